#!/usr/bin/env python3
"""Runs an exported ONNX file under onnxruntime and checks its top-1 accuracy.

An independent witness for `autorep export`: it shares no code with autorep. In a scratch
environment,

    python3 -m venv .venv && .venv/bin/pip install onnxruntime numpy pillow
    .venv/bin/python scripts/check_onnx.py MODEL.onnx --images DATA --expect 0.7312

where DATA is what `autorep --data` takes: a folder with CIFAR's binary files, or one with an
image folder per class, directly or under test/ or val/. A single .bin file will do, too.
--expect is the top-1 that `autorep eval` printed, as a fraction; the exit status is 1 where
the two differ by more than --tolerance.
"""

import argparse
import json
import pathlib
import sys

import numpy
import onnxruntime
from PIL import Image

# File, bytes of labels before each image, which of them is the class.
CIFAR = {"test_batch.bin": (1, 0), "test.bin": (2, 1)}


def fail(message):
    sys.exit(f"check_onnx: {message}")


def find_images(path):
    """The CIFAR file or the folder of class folders that `path` means."""
    if path.is_file():
        return path
    for folder in (path, path / "cifar-10-batches-bin", path / "cifar-100-binary"):
        for name in CIFAR:
            if (folder / name).is_file():
                return folder / name
    for folder in (path / "test", path / "val", path):
        if folder.is_dir():
            return folder
    fail(f"{path} does not exist")


def cifar(file, batch):
    """Batches (uint8 images N×3×32×32, labels) of a binary CIFAR file."""
    if file.name not in CIFAR:
        fail(f"{file} is none of {', '.join(CIFAR)}")
    labels, fine = CIFAR[file.name]
    record = labels + 3 * 32 * 32
    data = numpy.fromfile(file, numpy.uint8)
    if data.size == 0 or data.size % record:
        fail(f"{file} does not consist of records of {record} bytes")
    data = data.reshape(-1, record)
    for start in range(0, len(data), batch):
        part = data[start : start + batch]
        yield part[:, labels:].reshape(-1, 3, 32, 32), part[:, fine]


def tree(folder, classes, size, batch):
    """Batches of a tree with one folder per class."""
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    unknown = [name for name in names if name not in classes]
    if not names or unknown:
        fail(f"{folder} holds {unknown or 'no class folders'}; the model knows {classes}")
    images, labels = [], []
    for name in names:
        for file in sorted((folder / name).rglob("*")):
            if file.name.startswith(".") or not file.is_file():
                continue
            try:
                with Image.open(file) as image:
                    pixels = numpy.asarray(image.convert("RGB"))
            except OSError as error:
                print(f"left out: {error}")
                continue
            if pixels.shape[:2] != size:
                # How to resize is the training program's choice, not a witness's guess.
                height, width = pixels.shape[:2]
                fail(f"{file} is {height}×{width}, the model takes {size[0]}×{size[1]}")
            images.append(pixels.transpose(2, 0, 1))
            labels.append(classes.index(name))
            if len(images) == batch:
                yield numpy.stack(images), numpy.array(labels)
                images, labels = [], []
    if images:
        yield numpy.stack(images), numpy.array(labels)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="the .onnx file")
    parser.add_argument("--images", required=True, type=pathlib.Path, help="folder or .bin file")
    parser.add_argument("--expect", type=float, help="top-1 to agree with, as a fraction")
    parser.add_argument("--tolerance", type=float, default=0.0005, help="default %(default)s")
    parser.add_argument("--batch", type=int, default=250, help="default %(default)s")
    options = parser.parse_args()

    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    classes = json.loads(metadata["classes"])
    _, _, height, width = session.get_inputs()[0].shape
    print(
        f"{options.model}: {metadata['model']}, {len(classes)} classes, "
        f"{metadata['relu_count']} of {metadata['relu_total']} ReLUs"
    )

    source = find_images(options.images)
    if source.is_file():
        if (height, width) != (32, 32):
            fail(f"CIFAR images are 32×32, the model takes {height}×{width}")
        batches = cifar(source, options.batch)
    else:
        batches = tree(source, classes, (height, width), options.batch)

    right = total = 0
    for images, labels in batches:
        inputs = images.astype(numpy.float32) / 255
        (logits,) = session.run(["logits"], {"input": inputs})
        right += int((logits.argmax(axis=1) == labels).sum())
        total += len(labels)
    if total == 0:
        fail(f"{source} holds no images")
    top1 = right / total
    print(f"top-1 {top1:.4f} ({right} of {total} images of {source})")
    if options.expect is not None:
        difference = abs(top1 - options.expect)
        # The margin admits a difference of exactly the tolerance in spite of rounding.
        agrees = difference <= options.tolerance + 1e-9
        print(
            f"expected {options.expect:.4f}: {'agrees' if agrees else 'DIFFERS'}, "
            f"off by {difference:.4f}, tolerance {options.tolerance:.4f}"
        )
        sys.exit(0 if agrees else 1)


if __name__ == "__main__":
    main()
