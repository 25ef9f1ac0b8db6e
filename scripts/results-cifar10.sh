#!/usr/bin/env bash
# Makes the CIFAR-10 table of docs/results.md: one teacher, then each replacement at each budget.
#
#   scripts/results-cifar10.sh DATA OUT [SEED…]     (python3 prints the table at the end)
#
# A row that exists is not run again; an interrupted one goes on where it was.
set -euo pipefail
cd "$(dirname "$0")/.."
data=$1 out=$2
shift 2
seeds=${*:-0}
autorep=${AUTOREP:-target/release/autorep}
common="--data $data --model resnet8 --train-images 10000 --batch 64"

for seed in $seeds; do
    teacher=$out/teacher-$seed
    [ -e "$teacher/summary.json" ] ||
        $autorep train $common --teacher-epochs 10 --seed "$seed" --out "$teacher" --resume
    for budget in 10% 2% 0; do
        for kind in "exact 2" "official 2" "exact 1" "identity 1"; do
            read -r polynomial degree <<<"$kind"
            row=$out/$polynomial-$degree-${budget%\%}-$seed
            [ -e "$row/summary.json" ] ||
                $autorep search $common --teacher "$teacher" --budget $budget --seed "$seed" \
                    --polynomial $polynomial --degree $degree --search-epochs 3 \
                    --finish-epochs 2 --out "$row" --resume
        done
    done
done

python3 - "$out" <<'PYTHON'
import glob, json, sys

rows = [json.load(open(path)) for path in glob.glob(f"{sys.argv[1]}/*/summary.json")]
searches = [row for row in rows if row["method"] != "teacher"]
order = {"exact": 0, "official": 1, "identity": 3}
searches.sort(key=lambda r: (-r["relu_count"], order[r["polynomial"]] + 2 * (r["degree"] == 1), r["seed"]))
print("| polynomial | ReLUs kept | seed | validation | test | teacher test | seconds |")
print("|---|---|---|---|---|---|---|")
for r in searches:
    name = "identity" if r["polynomial"] == "identity" else f"degree {r['degree']} {r['polynomial']}"
    share = 100 * r["relu_count"] / r["relu_total"]
    print(
        f"| {name} | {r['relu_count']} ({share:.1f} %) | {r['seed']} "
        f"| {100 * r['result']['val_top1']:.2f} % | {100 * r['result']['test_top1']:.2f} % "
        f"| {100 * r['teacher']['test_top1']:.2f} % | {r['wall_seconds']:.0f} |"
    )
PYTHON
