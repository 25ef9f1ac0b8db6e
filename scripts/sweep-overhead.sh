#!/usr/bin/env bash
# What a sweep costs beside its searches: writing the plan of 1,000, handing 100 to processes that find nothing to
# do, and gathering 1,000. One search is run; the others are its copies, whose checkpoints are links to its own, so
# files come out of memory.
#
# usage: scripts/sweep-overhead.sh [MODEL]      [default: resnet18]
set -euo pipefail
cd "$(dirname "$0")/.."

autorep=$(realpath "${AUTOREP:-target/release/autorep}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
out=$work/sweep
export XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-$work}

timed() {
    local what=$1 from
    shift
    from=$(date +%s%N)
    "$@"
    echo "$what: $((($(date +%s%N) - from) / 1000000)) ms"
}

sweep() {
    "$autorep" sweep --out "$out" --data builtin:train=64,test=32,size=32 --model "${model}" --batch 16 \
        --teacher-epochs 1 --set search.epochs=1 --set finish.epochs=1 --budgets "$(seq -s, 1 100)" --seeds 10 "$@"
}
model=${1:-resnet18}
timed "plan of 1,000" sweep --plan "$work/plan"
head -n 2 "$work/plan" | sh >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
first=$out/autorep-1-s0
for seed in $(seq 0 9); do
    for budget in $(seq 1 100); do
        run=$out/autorep-$budget-s$seed
        [ "$run" != "$first" ] || continue
        cp -rl "$first" "$run"
        rm "$run/config.toml"
        sed -e "s/^seed = .*/seed = $seed/" -e "s/^budget = .*/budget = \"$budget\"/" \
            "$first/config.toml" >"$run/config.toml"
    done
done
gather() { "$autorep" sweep --gather "$out" >"$work/said"; }
timed "gathering 1,000, $model" gather
timed "gathering 1,000 again" gather
grep -q '1000 of 1000 searches are done' "$work/said"
lines() { sed -n '2,101p' "$work/plan" | sh >/dev/null 2>&1; }
timed "100 complete lines of the plan" lines
