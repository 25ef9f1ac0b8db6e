#!/usr/bin/env bash
# Makes the tables of methods and costs in docs/results.md, and a page about them.
#
#   scripts/results-strategies.sh DATA OUT
#
# Searches that exist are not run again; an interrupted one goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2
autorep=${AUTOREP:-target/release/autorep}
common=(--data "$data" --model resnet8 --train-images 5000 --batch 64
    --set search.epochs=4 --set finish.epochs=3 --resume)

methods() {
    "$autorep" sweep "${common[@]}" --teacher-epochs 12 --out "$out/methods" "$@"
}
costs() {
    "$autorep" sweep "${common[@]}" --teacher "$out/methods/teacher" \
        --set search.cost=crypten --out "$out/costs" "$@"
}

methods --methods autorep --budgets 10%,2% --seeds 2
methods --methods snl --budgets 10%,2%
methods --methods autopoly --budgets 10%
methods --methods none --budgets 0
costs --methods autorep --budgets 550kB,1MB,14rounds --seeds 2
costs --methods fisher --budgets 550kB,1MB,14rounds
"$autorep" report "$out/methods" "$out/costs" -o "$out/report.html"
