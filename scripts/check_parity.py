#!/usr/bin/env python3
"""Compares the logits of imported networks with those of PyTorch.

An independent witness for `autorep import` and for the networks themselves: efficientnet_b2 and
resnet50 against torchvision's, wide_resnet_22_8 against the module below. Random weights and
running statistics are written as safetensors, imported, evaluated on random images, and the
logits must agree to --tolerance of the largest. In a scratch environment,

    python3 -m venv .venv && .venv/bin/pip install torch torchvision safetensors numpy pillow
    cargo build --release
    .venv/bin/python scripts/check_parity.py

The exit status is 1 where a network differs.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import torchvision
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import save_file

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
CIFAR10 = ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010])
CLASSES = 10


class PreActivation(torch.nn.Module):
    """BN ReLU conv BN ReLU conv, + shortcut; where the width changes, of the activation."""

    def __init__(self, narrow, wide, stride):
        super().__init__()
        self.bn1 = torch.nn.BatchNorm2d(narrow)
        self.conv1 = torch.nn.Conv2d(narrow, wide, 3, stride, 1, bias=False)
        self.bn2 = torch.nn.BatchNorm2d(wide)
        self.conv2 = torch.nn.Conv2d(wide, wide, 3, 1, 1, bias=False)
        self.convShortcut = None
        if narrow != wide:
            self.convShortcut = torch.nn.Conv2d(narrow, wide, 1, stride, bias=False)

    def forward(self, x):
        first = torch.relu(self.bn1(x))
        out = self.conv2(torch.relu(self.bn2(self.conv1(first))))
        return out + (x if self.convShortcut is None else self.convShortcut(first))


class WideResNet(torch.nn.Module):
    """WRN-22-8: three groups of three blocks, no ReLU behind the last batch norm."""

    def __init__(self, classes):
        super().__init__()
        self.conv1 = torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        narrow = 16
        for group, wide in enumerate((128, 256, 512), 1):
            blocks = []
            for block in range(3):
                stride = 2 if group > 1 and block == 0 else 1
                blocks.append(PreActivation(narrow, wide, stride))
                narrow = wide
            setattr(self, f"layer{group}", torch.nn.Sequential(*blocks))
        self.bn1 = torch.nn.BatchNorm2d(narrow)
        self.fc = torch.nn.Linear(narrow, classes)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(self.bn1(x).mean((2, 3)))


# autorep's name, the module, side of the images, normalisation.
NETWORKS = [
    ("wide_resnet_22_8", lambda: WideResNet(CLASSES), 32, CIFAR10),
    (
        "imagenet_resnet50",
        lambda: torchvision.models.resnet50(num_classes=CLASSES),
        64,
        IMAGENET,
    ),
    (
        "efficientnet_b2",
        lambda: torchvision.models.efficientnet_b2(num_classes=CLASSES),
        64,
        IMAGENET,
    ),
]


def randomise(module, images):
    """Random weights, and the running statistics that they have on `images`: so every layer
    passes on what differs between images."""
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.7, 1.3)
            torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
            layer.momentum = None  # the mean over all batches seen
        elif isinstance(layer, (torch.nn.Conv2d, torch.nn.Linear)):
            fan_in = layer.weight[0].numel()
            bound = (3 / fan_in) ** 0.5
            torch.nn.init.uniform_(layer.weight, -bound, bound)
            if layer.bias is not None:
                torch.nn.init.uniform_(layer.bias, -0.3, 0.3)
    with torch.no_grad():
        module.train()(images)
    module.eval()


def write_images(folder, side, count):
    """A tree with one folder per class; gives the test images in the order they are read."""
    pixels = numpy.random.randint(0, 256, (count, side, side, 3), numpy.uint8)
    for split in ("train", "test"):
        for index, image in enumerate(pixels):
            path = folder / split / f"class{index % CLASSES}"
            path.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path / f"{index:03}.png")
    order = sorted(range(count), key=lambda index: (index % CLASSES, index))
    return pixels[order], numpy.array([index % CLASSES for index in order])


def run(*arguments):
    result = subprocess.run([str(a) for a in arguments], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"check_parity: {' '.join(map(str, arguments))}\n{result.stdout}{result.stderr}")
    return result.stdout


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--autorep", default="target/release/autorep", help="default %(default)s")
    parser.add_argument("--tolerance", type=float, default=1e-4, help="default %(default)s")
    parser.add_argument("--images", type=int, default=20, help="default %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch; default %(default)s")
    parser.add_argument("--only", help="a single network")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    failed = False
    for model, make, side, (mean, std) in NETWORKS:
        if options.only not in (None, model):
            continue
        torch.manual_seed(1)
        numpy.random.seed(1)
        module = make()
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            pixels, labels = write_images(scratch / "images", side, options.images)
            x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
            x = (x - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
            randomise(module, x)
            save_file(module.state_dict(), scratch / "weights.safetensors")
            comma = lambda values: ",".join(map(str, values))
            run(
                options.autorep, "import", scratch / "weights.safetensors", "--model", model,
                "--image-size", side, "--mean", comma(mean), "--std", comma(std),
                "--out", scratch / "run",
            )
            run(
                options.autorep, "eval", scratch / "run", "--data", scratch / "images",
                "--batch", "8", "--logits", scratch / "logits.safetensors",
            )
            found = load_file(scratch / "logits.safetensors")
        assert (found["labels"] == labels).all(), "the images were read in another order"
        with torch.no_grad():
            wanted = module(x).numpy()
        scale = abs(wanted).max()
        error = abs(found["logits"] - wanted).max() / scale
        # The comparison can fail: the logits of the next image are something else.
        other = abs(numpy.roll(wanted, 1, axis=0) - wanted).max() / scale
        agrees = error <= options.tolerance < other
        failed |= not agrees
        print(
            f"{model} at {side}×{side}: {'agrees' if agrees else 'DIFFERS'}, off by {error:.1e} of "
            f"the largest logit, {scale:.2f} (another image: {other:.1e})"
        )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
