#!/usr/bin/env python3
"""Whether `cargo bench` and `autorep profile` agree on how long kernels take.

    cargo bench -- --model resnet18 --batch 32 --save suite
    autorep profile --model resnet18 --batch 32 --phase search \\
        --data builtin:train=64,test=10,size=32 --json step.json
    scripts/check_timings.py --suite target/bench/suite.json --step step.json

Finds the kernels of every row of the suite in the step, on the row's first layer, and prints the
row's best time as a multiple of theirs. On a machine that others slow down, take turns and give
several files of each: the best of all counts. Fails unless nine in ten rows are within
--tolerance.
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


def read(file):
    try:
        with open(file) as text:
            return json.load(text)
    except (OSError, ValueError) as error:
        sys.exit(f"check_timings: {file}: {error}; see --help for how to make it")


def name(row):
    return f"{row['layer']:24}{row['shape']:20}{row['pass']:10}"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--suite", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--step", nargs="+", required=True, metavar="FILE")
    parser.add_argument("--tolerance", type=float, default=0.1)
    options = parser.parse_args()
    suites, steps = [list(map(read, files)) for files in (options.suite, options.step)]

    ours = [
        [row for row in suite if row["group"] == steps[0]["model"] and row["pass"] in PASSES]
        for suite in suites
    ]
    ratios, missing = [], []
    for rows in zip(*ours):
        if len({name(row) for row in rows}) > 1:
            sys.exit("check_timings: the suites are not of the same networks")
        found = [of_step(step, rows[0]) for step in steps]
        if not all(found):
            missing.append(f"{rows[0]['layer']} {rows[0]['pass']}")
            continue
        alone = min(row["time"]["best"] for row in rows)
        within = min(sum(dispatch["time"]["best"] for dispatch in some) for some in found)
        ratios.append(alone / within)
        mark = "" if abs(ratios[-1] - 1) <= options.tolerance else "  !"
        print(f"{name(rows[0])}{1e3 * alone:8.3f} ms  ×{ratios[-1]:.2f}{mark}")
    if missing or not ratios:
        sys.exit(
            "check_timings: are all of one model, batch and preset, and the steps of a search?"
            f" Lacking: {', '.join(missing) or 'all rows'}"
        )
    good = sum(abs(ratio - 1) <= options.tolerance for ratio in ratios)
    print(f"{good} of {len(ratios)} rows within {options.tolerance:.0%}")
    sys.exit(good < 0.9 * len(ratios))


main()
