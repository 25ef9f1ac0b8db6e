#!/usr/bin/env bash
# The table "In engines of private inference" of docs/results.md: searches on the built-in data from one teacher,
# each computed by two or three parties in CrypTen and in SPU. Takes about 20 minutes on two cores.
#
# usage: scripts/results-private.sh [FOLDER]      [default: runs/results-private]
#
# Searches that are there already are kept. Needs what `make pi-spu` and `make pi-crypten` have made.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-runs/results-private}
autorep=target/release/autorep
spu=${SPU_PYTHON:-target/private/spu/bin/python}
crypten=${CRYPTEN_PYTHON:-target/private/crypten/bin/python}
epochs=(--teacher-epochs 8 --search-epochs 5 --finish-epochs 2 --batch 64)
mkdir -p "$out"

search() { # NAME OPTIONS…
    local name=$1
    shift
    [ -e "$out/$name/summary.json" ] && return
    rm -rf "${out:?}/$name"
    "$autorep" search --data builtin --model resnet8 "${epochs[@]}" --out "$out/$name" "$@"
}

search element-10 --budget 10% --control
teacher=(--teacher "$out/element-10")
search element-2 --budget 2% "${teacher[@]}"
search channel-10 --budget 10% --granularity channel "${teacher[@]}"
search channel-2 --budget 2% --granularity channel "${teacher[@]}"
search site-14 --budget 14.3% --granularity site "${teacher[@]}"
search bytes --cost crypten --budget 150kB "${teacher[@]}"
search rounds --cost crypten --budget 20rounds --granularity site "${teacher[@]}"
search cheetah-lines --cost spu-cheetah --budget 120kB --degree 1 "${teacher[@]}"

images=$out/images.safetensors
"$autorep" data export builtin --split test --count 8 -o "$images"
rows=(element-10/control-relu element-10 channel-10 site-14 element-2 channel-2 bytes rounds cheetah-lines
    element-10/control)
for row in "${rows[@]}"; do
    model=$out/${row//\//-}
    "$autorep" export "$out/$row" --format onnx --for pi -o "$model.onnx" --force >/dev/null
    "$crypten" integrations/crypten/run.py "$model.onnx" --images "$images" --count 8 --weights public \
        --json "$model.crypten.json" >/dev/null
    for protocol in semi2k aby3 cheetah; do
        "$spu" integrations/spu/run.py "$model.onnx" --images "$images" --count 8 --weights public \
            --protocol $protocol --json "$model.$protocol.json" >/dev/null
    done
done

# Bytes of an image; of all eight rounds, seconds of the processor in a party, and seconds on a WAN of 400 Mbit/s and
# 20 ms a round, by calculation from these.
"$spu" - "$out" "${rows[@]}" <<'PY'
import json, pathlib, sys

out = pathlib.Path(sys.argv[1])
engines = ["crypten", "semi2k", "aby3", "cheetah"]
print("| network | ReLUs | test | " + " | ".join(engines) + " |")
print("|---|---|---|" + "---|" * len(engines))
for row in sys.argv[2:]:
    summary = json.loads((out / row / "summary.json").read_text())
    cells = []
    for engine in engines:
        file = out / f"{row.replace('/', '-')}.{engine}.json"
        told = json.loads(file.read_text())
        computed = max(party["processor_seconds"] for party in told["parties"])
        wan = computed + told["images"] * told["bytes"] * 8 / 400e6 + told["rounds"] * 0.02
        cell = f"{told['bytes'] / 1e3:.0f} kB, {told['rounds']}; {computed:.2f} s, {wan:.2f} s"
        # Of Cheetah's thousands of messages most are not rounds that one waits for.
        cells.append(cell if engine != "cheetah" else f"{told['bytes'] / 1e3:.0f} kB; {computed:.1f} s")
    test = summary["result"]["test_top1"]
    print(f"| {row} | {told['relus']} | {100 * test:.2f} % | " + " | ".join(cells) + " |")
PY
