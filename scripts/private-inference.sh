#!/usr/bin/env bash
# A searched network in an engine of private inference: makes the engine's Python environment, exports the
# network, its all-ReLU teacher and images, and lets the parties compute on them, each a process of its own.
# With ckks: a network without ReLUs on encrypted images.
#
# usage: scripts/private-inference.sh spu|crypten|ckks [RUN]
#
# RUN is the folder of a search [default: runs/private, or runs/private-ckks, searched first where it is missing].
# What else may be set: PYTHON, COUNT (images, 4; with ckks 1), PROTOCOLS (of SPU: "semi2k aby3 cheetah"), WEIGHTS
# ("public encrypted").
# Exit code 3: the engine could not be installed, nothing was run.
set -euo pipefail
cd "$(dirname "$0")/.."

autorep=${AUTOREP:-target/release/autorep}
work=target/private
weights=${WEIGHTS:-public encrypted}

usage() {
    sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
    exit 2
}

engine=${1:-}
case $engine in
    spu | crypten)
        run=runs/private count=4
        tests="test_handover test_engines"
        searched="--data builtin --width 0.5 --budget 10% --teacher-epochs 2 --search-epochs 1 --finish-epochs 1 --control"
        ;;
    ckks)
        run=runs/private-ckks count=1
        tests="test_handover test_ckks"
        # A ciphertext's products with a matrix take a rotation for each element of the largest tensor: 4×8×8.
        searched="--data builtin:train=2048,test=256,size=8 --width 0.25 --budget 0 --teacher-epochs 6 --search-epochs 4
            --finish-epochs 4"
        ;;
    *) usage ;;
esac
[ $# -le 2 ] || usage
run=${2:-$run}
count=${COUNT:-$count}

not_run() {
    echo "NOT RUN: $1" >&2
    exit 3
}

# SPU's wheels are for 3.10 and 3.11, what CrypTen needs is for 3.11 and newer.
find_python() {
    local python
    for python in ${PYTHON:-python3.11 python3}; do
        if "$python" -c 'import ensurepip, sys, venv; raise SystemExit(sys.version_info[:2] != (3, 11))' \
            2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# Where that is easy: as root, on Debian and Ubuntu.
install_python() {
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        echo "installing Python with the system's package manager"
        apt-get update -qq </dev/null || true
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv \
            </dev/null || true
    fi
}

# The engine's environment, made once.
environment() {
    local folder=$work/$engine python
    env_python=$folder/bin/python
    if [ -e "$folder/ready" ] && cmp -s "$folder/ready" "integrations/$engine/requirements.txt"; then
        return
    fi
    python=$(find_python) || {
        install_python
        python=$(find_python) || not_run "no Python 3.11 with venv: install one, or name it by PYTHON"
    }
    echo "making the environment $folder"
    rm -rf "$folder"
    mkdir -p "$work"
    "$python" -m venv "$folder" || not_run "$python -m venv failed"
    "$env_python" -m pip install --quiet --disable-pip-version-check -r "integrations/$engine/requirements.txt" ||
        not_run "pip could not install integrations/$engine/requirements.txt"
    if [ -e "integrations/$engine/requirements-engine.txt" ]; then
        "$env_python" -m pip install --quiet --disable-pip-version-check --no-deps \
            -r "integrations/$engine/requirements-engine.txt" ||
            not_run "pip could not install integrations/$engine/requirements-engine.txt"
    fi
    cp "integrations/$engine/requirements.txt" "$folder/ready"
}

# The data set that a run was searched on.
data_of() {
    sed -n 's/^data = "\(.*\)"$/\1/p' "$run/config.toml"
}

environment
# shellcheck disable=SC2086 # words of a list, here and below
(cd integrations && "../$env_python" -m unittest --quiet $tests)
[ -x "$autorep" ] || cargo build --release
if [ ! -e "$run" ]; then
    # shellcheck disable=SC2086
    "$autorep" search --model resnet8 --batch 64 $searched --out "$run"
fi
data=${DATA:-$(data_of)}
mkdir -p "$work/models"
"$autorep" data export "${data:-builtin}" --split test --count "$count" -o "$work/models/images.safetensors"

if [ "$engine" = ckks ]; then
    model=$work/models/ckks.onnx
    "$autorep" export "$run" --format onnx --for pi -o "$model" --force >/dev/null
    echo
    "$env_python" integrations/ckks/run.py "$model" --images "$work/models/images.safetensors" --count "$count" --check
    exit
fi

failed=0
# The result, beside keeping all ReLUs and none where the run has those controls.
for source in "$run/control-relu" "$run" "$run/control"; do
    [ -e "$source" ] || continue
    model=$work/models/$(basename "$source").onnx
    "$autorep" export "$source" --format onnx --for pi -o "$model" --force >/dev/null
    # What the engine's arithmetic should make of the same images.
    bits=$([ "$engine" = crypten ] && echo 16 || echo 18)
    "$autorep" eval "$source" --fixed-point "$bits" --engine "$engine" --count "$count" --json >"$model.eval.json"
    for known in $weights; do
        common=("$model" --images "$work/models/images.safetensors" --count "$count" --weights "$known" --check
            --fixed-point "$model.eval.json")
        echo
        if [ "$engine" = crypten ]; then
            "$env_python" integrations/crypten/run.py "${common[@]}" || failed=1
        else
            for protocol in ${PROTOCOLS:-semi2k aby3 cheetah}; do
                "$env_python" integrations/spu/run.py "${common[@]}" --protocol "$protocol" || failed=1
            done
        fi
    done
done
exit $failed
