#!/usr/bin/env python3
"""Whether `cargo bench` and `autorep profile` agree on how long kernels take.

    cargo bench -- --model resnet18 --batch 32 --save suite
    autorep profile --model resnet18 --batch 32 --phase search \\
        --data builtin:train=64,test=10,size=32 --json step.json
    scripts/check_timings.py target/bench/suite.json step.json

Finds the kernels of every row of the suite in the step, on the row's first layer, and prints the
row's time as a multiple of theirs: medians, and the best of all samples, which other programs on
the machine disturb less. Fails unless nine in ten rows are within --tolerance by their best.
"""

import argparse
import json
import sys


# The part of a step that a row of the suite belongs to.
PASSES = {
    "forward": "forward",
    "gate": "forward",
    "norm": "forward",
    "data": "backward",
    "weight": "backward",
    "gate back": "backward",
    "norm back": "backward",
}


def of_step(step, row):
    """Dispatches of the step that the row stands for: the same kernels on the same layer, one
    after the other."""
    layer = row["layer"].split(" ×")[0]
    names = [name for name, _ in row["stages"]]
    part = PASSES[row["pass"]]
    ours = [d for d in step["dispatches"] if (d["layer"], d["pass"]) == (layer, part)]
    for first in range(len(ours) - len(names) + 1):
        some = ours[first : first + len(names)]
        if [f"{d['kernel']}.{d['entry']}" for d in some] == names:
            return some
    return None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("suite", help="what `cargo bench -- --save` wrote")
    parser.add_argument("step", help="what `autorep profile --json` wrote")
    parser.add_argument("--tolerance", type=float, default=0.1)
    options = parser.parse_args()
    with open(options.suite) as suite, open(options.step) as step:
        rows, step = json.load(suite), json.load(step)

    ratios, missing = [], []
    for row in rows:
        if row["group"] != step["model"] or row["pass"] not in PASSES:
            continue
        found = of_step(step, row)
        if not found:
            missing.append(f"{row['layer']} {row['pass']}")
            continue
        median, best = (
            row["time"][what] / sum(dispatch["time"][what] for dispatch in found)
            for what in ("median", "best")
        )
        ratios.append(best)
        mark = "" if abs(best - 1) <= options.tolerance else "  !"
        name = f"{row['layer']:24}{row['shape']:20}{row['pass']:10}"
        print(f"{name}{1e3 * row['time']['median']:8.3f} ms  ×{median:.2f}  best ×{best:.2f}{mark}")
    if missing or not ratios:
        sys.exit(
            "check_timings: are both of one model, batch and preset, and the step one of a search?"
            f" It lacks {', '.join(missing) or 'all rows'}"
        )
    within = sum(abs(ratio - 1) <= options.tolerance for ratio in ratios)
    print(f"{within} of {len(ratios)} rows within {options.tolerance:.0%} by their best")
    sys.exit(within < 0.9 * len(ratios))


main()
