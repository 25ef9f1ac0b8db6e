"""A network without ReLUs on encrypted images, in TenSEAL: what it answers beside what it answers in the clear, and
whether it takes the levels that `autorep cost --protocol ckks` said.

  python run.py MODEL.onnx --images images.safetensors --count 1

One process plays both parts; the evaluation uses public keys alone.
"""

import argparse
import json
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import engine
import handover
import numpy as np

# What CKKS's rounding may add to a logit, as a share of the largest: 15 levels were seen to add 5e-5.
TOLERANCE = 1e-3


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="MODEL.onnx of `autorep export --for pi`, its skeleton and manifest beside it")
    parser.add_argument("--images", required=True, help="what `autorep data export` wrote")
    parser.add_argument("--count", type=handover.positive, default=1, help="images, one after the other [default: 1]")
    parser.add_argument("--levels", type=handover.positive, help="levels to provide [default: what the manifest says]")
    parser.add_argument("--check", action="store_true", help="exit code 1 where something is not as expected")
    parser.add_argument("--json", metavar="FILE", help="write all that was measured")
    options = parser.parse_args()
    hand_over = handover.HandOver(options.model)
    network = engine.Network(hand_over.model)
    images, labels = handover.read_images(options.images, options.count)
    if images.shape[1:] != tuple(network.shapes[network.input]):
        wanted = "×".join(map(str, network.shapes[network.input]))
        raise handover.Wrong(f"{options.images} holds images of another shape than the network's, {wanted}")
    try:
        levels = options.levels or hand_over.manifest["ckks"]["levels"]
    except KeyError:
        raise handover.Wrong("the manifest says no levels: export the run again, or pass --levels") from None
    start = time.monotonic()
    keys, degree = engine.context(levels)
    made = time.monotonic() - start
    print(
        f"{hand_over.manifest['model']}, {hand_over.manifest['relus']} ReLUs, CKKS, {levels} levels, degree {degree}, "
        f"{network.length} slots used",
        flush=True,
    )
    started = time.monotonic()
    evaluated = [network.logits(keys, image) for image in images]
    seconds = (time.monotonic() - started) / len(images)
    logits = np.array([each[0] for each in evaluated])
    plain = hand_over.plain(images)
    largest = float(np.abs(logits - plain).max())
    agree = int((logits.argmax(1) == plain.argmax(1)).sum())
    result = {
        "protocol": "ckks",
        "levels": levels,
        "degree": degree,
        "images": len(images),
        "agree": agree,
        "right": int((logits.argmax(1) == labels).sum()),
        "largest_error": largest,
        "largest_logit": float(np.abs(plain).max()),
        "bytes": evaluated[0][1:],
        "seconds": seconds,
        "seconds_keys": made,
        "differences": [],
    }
    print(f"  top-1 as in the clear    {agree} of {len(images)} (right: {result['right']})")
    print(f"  largest error of a logit {largest:.4g}, of {result['largest_logit']:.4g}")
    print(f"  an image                 {seconds:.1f} s, and {made:.1f} s once for the keys")
    print("  ciphertexts              {} there, {} back".format(*map(handover.megabytes, result["bytes"])))
    if agree < len(images):
        result["differences"].append(f"top-1 of {len(images) - agree} images is another than in the clear")
    if not largest <= TOLERANCE * result["largest_logit"]:
        result["differences"].append(f"the largest error of a logit is {largest:.4g}")
    handover.finish(result, options)


if __name__ == "__main__":
    handover.command(main)
