"""PyTorch's side of `cargo bench --bench step`: the same network, batch and optimiser.

    python3 -m venv .venv && .venv/bin/pip install torch
    .venv/bin/python benches/peers/torch_step.py --model resnet8 --batch 128

Prints images per second of the best of three runs, on the GPU where there is one (f32 with and
without TF32) and else on the CPU (channels_last, PyTorch's faster layout there).
"""

import argparse
import time

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class ResNet(nn.Module):
    """Basic blocks, a 3×3 stem without ReLU: as src/models/resnet.rs."""

    def __init__(self, widths, blocks, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        layers, inputs = [], widths[0]
        for stage, width in enumerate(widths):
            for block in range(blocks):
                layers.append(Block(inputs, width, 2 if stage and not block else 1))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x):
        x = self.layers(self.bn1(self.conv1(x)))
        return self.fc(x.mean((2, 3)))


MODELS = {
    "resnet8": ([16, 32, 64], 1),
    "resnet20": ([16, 32, 64], 3),
    "resnet18": ([64, 128, 256, 512], 2),
}


def measure(arguments, device, layout):
    torch.manual_seed(0)
    net = ResNet(*MODELS[arguments.model]).to(device, memory_format=layout)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9, nesterov=True, weight_decay=5e-4)
    x = torch.randn(arguments.batch, 3, arguments.size, arguments.size, device=device)
    x = x.contiguous(memory_format=layout)
    labels = torch.randint(0, 10, (arguments.batch,), device=device)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(x), labels).backward()
        optimizer.step()

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()

    step()
    wait()
    best = float("inf")
    for _ in range(3):
        begun = time.perf_counter()
        for _ in range(arguments.steps):
            step()
        wait()
        best = min(best, (time.perf_counter() - begun) / arguments.steps)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, default="resnet8")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    layouts = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}
    if torch.cuda.is_available():
        device = torch.device("cuda")
        runs = [(name, layout, tf32) for name, layout in layouts.items() for tf32 in (False, True)]
        print(torch.cuda.get_device_name(), "PyTorch", torch.__version__)
    else:
        device = torch.device("cpu")
        runs = [(name, layout, None) for name, layout in layouts.items()]
        print(f"CPU, {torch.get_num_threads()} threads, PyTorch", torch.__version__)
    for name, layout, tf32 in runs:
        if tf32 is not None:
            torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.backends.cudnn.allow_tf32 = tf32
        seconds = measure(arguments, device, layout)
        mode = "" if tf32 is None else ", TF32" if tf32 else ", full f32"
        print(
            f"{arguments.model} teacher batch {arguments.batch} ({name}{mode}): "
            f"{seconds * 1e3:.1f} ms a step, {arguments.batch / seconds:.0f} images/s"
        )


if __name__ == "__main__":
    main()
