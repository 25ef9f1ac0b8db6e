#!/usr/bin/env python3
"""Takes one training step with autorep and one with PyTorch, and compares the gradients.

An independent witness for every backward pass at once: it shares no code with autorep. In a
scratch environment,

    python3 -m venv .venv && .venv/bin/pip install torch numpy pillow safetensors
    .venv/bin/python scripts/check_gradients.py --model resnet8

With plain SGD a step moves the weights by rate · gradient, so that (before − after) / rate is
autorep's gradient. It trains twice for a single step on one batch of random images, all of the
training set: once at a rate too small to change anything, which yields the initial weights, and
once at a large one. PyTorch computes the gradient in double precision, to compare with, and in
single precision, to know what rounding does: a value next to zero that falls on the other side
of a ReLU changes the gradients before it by some 0.1 %, and deep networks have many.

The exit status is 1 where the relative difference of a tensor (Euclidean norm; gradients, batch
norm's running statistics, loss) exceeds both --tolerance and three times PyTorch's largest.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors
import torch
from PIL import Image
from safetensors.torch import load_file
from torch.nn import functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benches/peers"))
import torch_peer  # noqa: E402 (the networks, in PyTorch's words)

NOTHING = 1e-30


def write_images(folder, count, size):
    """A tree with one random image in each of `count` classes; returns them, uint8 N×3×H×W.

    The program insists on holding an image out but never takes a class's only one: the last
    class has its image twice.
    """
    pixels = numpy.random.default_rng(0).integers(0, 256, (count, size, size, 3), numpy.uint8)
    for part in ("train", "test"):
        for index, image in enumerate(pixels):
            place = folder / part / f"{index:04}"
            place.mkdir(parents=True)
            Image.fromarray(image).save(place / "image.png")
    Image.fromarray(pixels[-1]).save(folder / "train" / f"{count - 1:04}" / "again.png")
    return pixels.transpose(0, 3, 1, 2)


def step(options, data, out, rate):
    """Weights and metadata after one step at `rate`, and the loss that it saw."""
    settings = {
        "teacher.rate": rate,
        "teacher.final-rate": 1,
        "teacher.warmup": 0,
        "teacher.decay": 0,
        "teacher.momentum": 0,
        "clip": 0,
        "augment.pad": 0,
        "augment.flip": "false",
        "validation": 0.01,
    }
    command = [options.autorep, "train", "--data", data, "--model", options.model, "--out", out]
    command += ["--batch", options.images, "--teacher-epochs", 1, "--kernels", options.kernels]
    command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    if options.adapter:
        command += ["--adapter", options.adapter]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    log = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss_ce"] for line in log if "loss_ce" in line]
    checkpoint = out / "checkpoints/teacher.safetensors"
    with safetensors.safe_open(checkpoint, "pt") as file:
        metadata = file.metadata()
    return load_file(checkpoint), metadata, losses[0]


def expected(options, pixels, weights, metadata, dtype):
    """PyTorch's gradients, running statistics and loss of a step from `weights`."""

    def triple(key):
        numbers = [float(word) for word in metadata[key].split(",")]
        return torch.tensor(numbers, dtype=dtype)[:, None, None]

    images = (torch.from_numpy(pixels).to(dtype) / 255 - triple("mean")) / triple("std")
    network = torch_peer.MODELS[options.model](options.size, torch_peer.relu)
    network.fc = torch.nn.Linear(network.fc.in_features, options.images)
    with torch.no_grad():
        for name, value in network.named_parameters():
            value.copy_(weights[name])
    network.to(dtype)
    loss = F.cross_entropy(network(images), torch.arange(options.images))
    loss.backward()
    found = {name: value.grad for name, value in network.named_parameters()}
    found |= {name: value for name, value in network.named_buffers() if "running" in name}
    return {name: value.double() for name, value in {**found, "loss": loss.detach()}.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="resnet8", choices=torch_peer.MODELS)
    parser.add_argument("--images", type=int, default=32, help="default %(default)s")
    parser.add_argument("--size", type=int, default=32, help="default %(default)s")
    parser.add_argument("--kernels", default="auto", help="default %(default)s")
    parser.add_argument("--adapter", help="default: the best")
    parser.add_argument("--autorep", default=ROOT / "target/release/autorep", type=pathlib.Path)
    parser.add_argument("--rate", type=float, default=100.0, help="default %(default)s")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="default %(default)s")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        pixels = write_images(folder / "data", options.images, options.size)
        before, metadata, _ = step(options, folder / "data", folder / "still", NOTHING)
        after, _, loss = step(options, folder / "data", folder / "moved", options.rate)

    exact = expected(options, pixels, before, metadata, torch.float64)
    rounded = expected(options, pixels, before, metadata, torch.float32)
    found = {name: after[name].double() for name in exact if "running" in name}
    found["loss"] = torch.tensor(loss, dtype=torch.float64)
    for name in exact.keys() - found.keys():
        found[name] = (before[name].double() - after[name].double()) / options.rate

    def differences(values):
        return {name: ((values[name] - exact[name]).norm() / exact[name].norm()).item() for name in exact}

    ours, theirs = differences(found), differences(rounded)
    limit = max(options.tolerance, 3 * max(theirs.values()))
    print(f"{'relative difference':<36} {'autorep':>10} {'PyTorch, single precision':>27}")
    for name, difference in ours.items():
        mark = "" if difference <= limit else "  DIFFERS"
        print(f"{name:<36} {difference:>10.1e} {theirs[name]:>27.1e}{mark}")
    # A difference that is no number does not agree, either.
    agrees = all(difference <= limit for difference in ours.values())
    print(
        f"{options.model}, {options.images} images of {options.size}²: "
        f"{'agrees' if agrees else 'DIFFERS'}, at most {max(ours.values()):.1e}, limit {limit:.1e}"
    )
    sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
