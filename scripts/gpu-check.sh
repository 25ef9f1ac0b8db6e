#!/usr/bin/env bash
# Is all well on this GPU, and how fast is it? The most valuable figures first, within a time.
#
#   scripts/gpu-check.sh                      build here, then check and measure
#   scripts/gpu-check.sh --pack FOLDER        build here, put the programs into FOLDER
#   scripts/gpu-check.sh --from FOLDER        check and measure with the programs of FOLDER
#   scripts/gpu-check.sh --rehearse           small sizes, to try this script on software Vulkan
#
#   --minutes N      time for everything (default: 9); what does not fit is cut or left out
#   --continue       go on with the search of an earlier call, with all of --minutes
#   --report FOLDER  results.json, results.md, log.txt, profiles (default: runs/gpu-check-report)
#   --data FOLDER    images for the search (default: the built-in ones)
#   --out FOLDER     where the search writes its run (default: runs/gpu-check)
#   --adapter NAME   which adapter (default: the best)
#   --no-train       leave the search out
#
# Parts, each with a limit of its own: adapters; every kernel against its plain-Rust twin, and
# whole plans against finite differences; a training and a search step of resnet18 profiled, with
# the tuner's choices; PyTorch and burn where they are set up (benches/peers/README.md); a search
# with resnet18. Results are written after each part, what a part has printed so far lies in
# current.txt, and results.md is a table for docs/results.md. Where FOLDER holds the programs, bash
# and coreutils are enough. Exit status: 1 where a part failed; a part cut short is no failure.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."

pack="" from="" data="builtin" out="runs/gpu-check" report="runs/gpu-check-report"
adapter="" train=1 minutes=9 continue=0 rehearse=0
while [ $# -gt 0 ]; do
    case "$1" in
        --pack | --from | --data | --out | --adapter | --minutes | --report)
            [ $# -ge 2 ] || { echo "gpu-check: $1 needs a value" >&2; exit 2; }
            printf -v "${1#--}" '%s' "$2"; shift 2 ;;
        --no-train) train=0; shift ;;
        --continue) continue=1; shift ;;
        --rehearse) rehearse=1; shift ;;
        *) sed -n '2,24s/^# \{0,1\}//p' "$0"; exit 2 ;;
    esac
done
case "$minutes" in
    *[!0-9]* | "" | 0*) echo "gpu-check: --minutes takes a whole number above 0" >&2; exit 2 ;;
esac

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
    cp "${CARGO_TARGET_DIR:-target}/release/autorep" "$from/autorep"
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

model=resnet18 batch=256 rounds=15 epochs=(16 10 10) budget=12.9k suite="" plans="" limits=(20 120 60 90)
more=()
if [ "$rehearse" = 1 ]; then
    # One kernel's tests and one plan's stand for the suites: all of them take minutes in software.
    model=resnet8 batch=16 rounds=3 epochs=(1 1 1) budget=10% suite=pool plans=forward_agrees
    more=(--train-images 64)
fi
chosen=()
[ -z "$adapter" ] || chosen=(--adapter "$adapter")
mkdir -p "$(dirname "$out")" "$report"
facts="$report/facts.tsv" current="$report/current.txt"
[ "$continue" = 1 ] || rm -f "$facts" "$report/log.txt"
touch "$facts"
end=$((SECONDS + minutes * 60))
child="" stopped=0
trap 'stopped=1; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null || true' INT TERM

# Keeps one figure: `fact PART NAME VALUE`. A later one takes an earlier one's place.
fact() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>"$facts"; }

# Writes results.json and results.md of all facts, each whole or not at all.
write_results() {
    awk -F'\t' '
        function quoted(text) { gsub(/\\/, "\\\\", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }
        { key = $1 "\t" $2; if (!(key in value)) order[++count] = key; value[key] = $3 }
        END {
            print "["
            for (i = 1; i <= count; i++) {
                split(order[i], name, "\t")
                printf "  {\"part\": %s, \"name\": %s, \"value\": %s}%s\n", quoted(name[1]), quoted(name[2]),
                    quoted(value[order[i]]), i < count ? "," : ""
            }
            print "]"
        }' "$facts" >"$report/results.json.new"
    mv "$report/results.json.new" "$report/results.json"
    awk -F'\t' '
        { key = $1 "\t" $2; if (!(key in value)) order[++count] = key; value[key] = $3 }
        END {
            print "| part | figure | value |\n|---|---|---|"
            for (i = 1; i <= count; i++) {
                split(order[i], name, "\t"); gsub(/\|/, "\\|", value[order[i]])
                printf "| %s | %s | %s |\n", name[1], name[2], value[order[i]]
            }
        }' "$facts" >"$report/results.md.new"
    mv "$report/results.md.new" "$report/results.md"
}

failures=0
# Runs one part: `part NAME SECONDS COMMAND…`. It is asked to stop when its time is over, or all
# time is, and killed 20 s later. True where it came to its end.
# The signal is SIGTERM, since what bash runs in the background ignores SIGINT.
part() {
    local name=$1 limit=$2 left=$((end - SECONDS)) begun=$SECONDS status=0
    shift 2
    [ "$limit" -le "$left" ] || limit=$left
    if [ "$stopped" = 1 ] || [ "$limit" -lt 5 ]; then
        : >"$current"
        fact "$name" status "left out: no time"
        write_results
        return 1
    fi
    printf '\n== %s (at most %s s)\n' "$name" "$limit"
    timeout --kill-after=20 "$limit" "$@" >"$current" 2>&1 &
    child=$!
    wait "$child" || status=$?
    # A signal ends the first wait before the part has written what it keeps.
    if [ "$stopped" = 1 ]; then status=0; wait "$child" || status=$?; fi
    child=""
    { printf '\n== %s\n' "$name"; cat "$current"; } >>"$report/log.txt"
    tail -n 40 "$current"
    case "$status" in
        0) fact "$name" status done ;;
        124 | 137 | 130) fact "$name" status "cut after $((SECONDS - begun)) s" ;;
        *) fact "$name" status "failed ($status), see log.txt"; failures=$((failures + 1)) ;;
    esac
    write_results
    [ "$status" = 0 ]
}

# How many tests passed and failed, also where the suite was cut.
count_tests() {
    [ -s "$current" ] || return 0
    fact "$1" "tests passed, failed" \
        "$(grep -c '^test .*\.\.\. ok' "$current" || true), $(grep -c '^test .*FAILED' "$current" || true)"
    write_results
}

# A number of a profile: `number FILE NAME`.
number() { sed -n "s/^ *\"$2\": \([0-9.e+-]*\),*$/\1/p" "$1" | head -n 1; }

profile_facts() {
    local name=$1 file=$2
    [ -s "$file" ] || return 0
    fact "$name" adapter "$(sed -n 's/^  "adapter": "\(.*\)",$/\1/p' "$file")"
    fact "$name" preset "$(sed -n 's/^  "preset": "\(.*\)",$/\1/p' "$file")"
    fact "$name" "roofline, TFLOP/s, GB/s" "$(awk -v f="$(number "$file" flops_per_second)" \
        -v b="$(number "$file" bytes_per_second)" 'BEGIN { printf "%.3g, %.4g", f / 1e12, b / 1e9 }')"
    fact "$name" "step, ms" "$(awk -v s="$(number "$file" median)" 'BEGIN { printf "%.4g", s * 1e3 }')"
    fact "$name" "images/s" "$(awk -v s="$(number "$file" images_per_second)" 'BEGIN { printf "%.0f", s }')"
    fact "$name" "share of the roofline" "$(awk -v f="$(number "$file" floor_seconds)" \
        -v k="$(number "$file" kernel_seconds)" 'BEGIN { if (k > 0) printf "%.0f %%", 100 * f / k; else print "?" }')"
    fact "$name" clock "$(sed -n 's/^  "clock": "\(.*\)",$/\1/p' "$file")"
    write_results
}

if [ "$continue" = 0 ]; then
    part adapters "${limits[0]}" "$from/autorep" devices || true
    # Both suites share one limit.
    suites=$((SECONDS + limits[1]))
    AUTOREP_TEST_EMULATOR=0 part kernels "${limits[1]}" "$from/kernels" --test-threads 1 $suite || true
    count_tests kernels
    part plans "$((suites > SECONDS ? suites - SECONDS : 0))" "$from/plan" --test-threads 1 $plans || true
    count_tests plans

    for phase in teacher search; do
        part "$phase step" "${limits[2]}" "$from/autorep" profile -v --model "$model" --batch "$batch" \
            --image-size 32 --phase "$phase" --all --rounds "$rounds" --json "$report/profile-$phase.json" "${chosen[@]}" &&
            profile_facts "$phase step" "$report/profile-$phase.json"
    done || true
    # What the tuner says the first time it measures; a choice kept from earlier is not said again.
    grep -h "^\[DEBUG\].*: " "$report/log.txt" >"$report/tuner.txt" || true
    fact tuner "choices measured, in tuner.txt" "$(grep -c . "$report/tuner.txt" || true)"
    write_results

    if ! command -v python3 >/dev/null; then
        fact peers status "left out: no python3"
    elif [ "$rehearse" = 1 ] || ! python3 -c 'import torch' 2>/dev/null; then
        fact peers status "left out: no PyTorch, or a rehearsal"
    else
        part peers "${limits[3]}" python3 benches/peers/torch_peer.py --model "$model" --batch "$batch" || true
        while read -r line; do
            measured=$((${measured:-0} + 1))
            fact peers "measured $measured" "$(tr -d "{}\"" <<<"$line")"
        done < <(grep "^{" "$current" || true)
    fi
    write_results
fi

if [ "$train" = 1 ]; then
    # It begins or goes on: whatever an earlier call left is kept.
    part "search" "$((end > SECONDS ? end - SECONDS : 0))" "$from/autorep" search --data "$data" \
        --model "$model" --budget "$budget" --batch "$batch" --teacher-epochs "${epochs[0]}" \
        --search-epochs "${epochs[1]}" --finish-epochs "${epochs[2]}" "${more[@]}" --out "$out" \
        --resume "${chosen[@]}" || true
    while read -r line; do
        fact search "ReLUs, share, validation, test" "$line"
    done < <(grep "^AutoReP " "$current" | tr -s " " || true)
    while read -r line; do
        fact "its teacher" "ReLUs, share, validation, test" "$line"
    done < <(grep "^teacher, all ReLU " "$current" | tr -s " " || true)
    last=$(grep -E "^\[INFO \] (teacher|search|finish) [0-9]+/" "$current" | tail -n 1 || true)
    [ -z "$last" ] || fact search "last epoch" "$last"
    write_results
fi
# What is left of the time goes to kernels alone, and to burn.
if [ "$rehearse" = 0 ] && [ -x "$from/bench-kernels" ]; then
    part "kernels alone" 90 "$from/bench-kernels" --batch 256 --save gpu-check "${chosen[@]}" || true
fi
if [ "$rehearse" = 0 ] && [ -x "$from/burn-peer" ] && command -v python3 >/dev/null; then
    part "all peers" 300 benches/peers/compare --gpu --programs "$from" --json "$report/compare.jsonl" "${chosen[@]}" || true
fi
rm -f "$current"
printf '\n'
cat "$report/results.md"
[ "$failures" = 0 ] || exit 1
