#!/usr/bin/env bash
# Is all well on this GPU, and how fast is it?
#
#   scripts/gpu-check.sh                      build here, then check and measure
#   scripts/gpu-check.sh --pack FOLDER        build here, put the programs into FOLDER
#   scripts/gpu-check.sh --from FOLDER        check and measure with the programs of FOLDER
#
#   --data FOLDER   images for the last part (default: the built-in ones)
#   --out FOLDER    where that part writes its run (default: runs/gpu-check)
#   --adapter NAME  which adapter (default: the best)
#   --no-train      leave the last part out
#
# Parts: adapters; every kernel against its plain-Rust twin, and whole plans against finite
# differences, on every adapter; kernels and training steps timed and profiled, then beside those
# of PyTorch and burn where they are set up (benches/peers/README.md); a search with resnet18.
set -euo pipefail
cd "$(dirname "$0")/.."

pack="" from="" data="builtin" out="runs/gpu-check" adapter="" train=1
while [ $# -gt 0 ]; do
    case "$1" in
        --pack) pack=$2; shift 2 ;;
        --from) from=$2; shift 2 ;;
        --data) data=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --adapter) adapter=$2; shift 2 ;;
        --no-train) train=0; shift ;;
        *) sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done

# The path of a test or bench program: `built test NAME`, `built bench NAME`.
built() {
    local release=()
    [ "$1" != test ] || release=(--release)
    cargo "$1" "${release[@]}" --no-run --message-format=json "--$1" "$2" 2>/dev/null |
        grep "\"kind\":\[\"$1\"\]" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}

if [ -z "$from" ]; then
    from=${pack:-$(mktemp -d)}
    mkdir -p "$from"
    cargo build --release
    cp target/release/autorep "$from/autorep"
    cargo test --release --no-run --test kernels --test plan
    cp "$(built test kernels)" "$from/kernels"
    cp "$(built test plan)" "$from/plan"
    cargo bench --no-run
    cp "$(built bench kernels)" "$from/bench-kernels"
    cp "$(built bench step)" "$from/bench-step"
    burn=benches/peers/burn/target/release/burn-peer
    [ ! -x "$burn" ] || cp "$burn" "$from/burn-peer"
    if [ -n "$pack" ]; then
        ls -l "$pack"
        exit 0
    fi
fi

chosen=()
[ -n "$adapter" ] && chosen=(--adapter "$adapter")
mkdir -p "$(dirname "$out")"
heading() { printf '\n== %s\n' "$*"; }

heading "Adapters"
"$from/autorep" devices

heading "Kernels against their twins"
"$from/kernels" --test-threads 1
"$from/plan" --test-threads 1

heading "Kernels, batch 256"
"$from/bench-kernels" --batch 256 --save gpu-check "${chosen[@]}"

heading "Training steps"
for run in "resnet8 128" "resnet20 128" "resnet18 256"; do
    set -- $run
    "$from/bench-step" --model "$1" --batch "$2" --steps 20 "${chosen[@]}"
done

heading "Where a step's time goes"
for phase in teacher search; do
    "$from/autorep" profile --model resnet18 --batch 256 --phase $phase --all \
        --json "$out-$phase.json" "${chosen[@]}"
done
scripts/check_timings.py --suite target/bench/gpu-check.json --step "$out-search.json" ||
    echo "gpu-check: kernels alone and in a step do not agree"

heading "Against PyTorch and burn"
benches/peers/compare --gpu --programs "$from" --json "$out-compare.jsonl" "${chosen[@]}" ||
    echo "gpu-check: some of these figures are missing"

if [ "$train" = 1 ]; then
    heading "A search with resnet18"
    "$from/autorep" search --data "$data" --model resnet18 --budget 12.9k --batch 256 \
        --teacher-epochs 30 --search-epochs 20 --finish-epochs 15 --out "$out" --resume "${chosen[@]}"
fi
