"""PyTorch's side of `benches/peers/compare`: training steps, search steps, single convolutions.

    python3 -m venv .venv && .venv/bin/pip install torch
    .venv/bin/python benches/peers/torch_peer.py --model resnet8 --batch 128
    .venv/bin/python benches/peers/torch_peer.py --conv 64,64,32,3,1 --batch 32

One JSON object a line; README.md beside this file says what its keys mean. It runs on the GPU
where there is one (full f32, and PyTorch's default, which is TF32 in convolutions) and else on
the CPU, in both memory layouts. cuDNN may try its algorithms first (`benchmark`).

Phases of --model:
  teacher   forward, cross-entropy, backward, SGD with momentum and weight decay
  forward   what a search asks of its teacher: inference mode, no gradients
  search    AutoReP as its authors formulate it, every part a tensor operation of its own
"""

import argparse
import json
import math
import time
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
LAYOUTS = {"channels_last": torch.channels_last, "NCHW": torch.contiguous_format}


# The networks of src/models. `activation(channels, size)` makes the layer of one site.


def relu(_channels, _size):
    return nn.ReLU()


def conv(inputs, outputs, kernel, stride=1):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


class Block(nn.Module):
    """conv3×3 BN act conv3×3 BN, + shortcut, act."""

    def __init__(self, inputs, outputs, stride, size, activation):
        super().__init__()
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.act1 = activation(outputs, size)
        self.conv2 = conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = activation(outputs, size)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act1(self.bn1(self.conv1(x)))
        return self.act2(self.bn2(self.conv2(x)) + shortcut)


class WideBlock(nn.Module):
    """BN act conv3×3 BN act conv3×3, + shortcut; a 1×1 shortcut starts behind the first act."""

    def __init__(self, inputs, outputs, stride, size, activation):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.act1 = activation(inputs, size * stride)
        self.conv1 = conv(inputs, outputs, 3, stride)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.act2 = activation(outputs, size)
        self.conv2 = conv(outputs, outputs, 3)
        self.shortcut = conv(inputs, outputs, 1, stride) if inputs != outputs else None

    def forward(self, x):
        u = self.act1(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(u)
        return self.conv2(self.act2(self.bn2(self.conv1(u)))) + shortcut


def stages(block, inputs, widths, blocks, size, activation):
    """layer1, layer2, …: blocks of one width each; all but the first halve the image."""
    layers = {}
    for stage, width in enumerate(widths):
        parts = []
        for index in range(blocks):
            stride = 2 if stage and not index else 1
            parts.append(block(inputs, width, stride, size >> stage, activation))
            inputs = width
        layers[f"layer{stage + 1}"] = nn.Sequential(*parts)
    return layers


def sequence(**parts):
    return nn.Sequential(OrderedDict(parts))


def resnet(widths, blocks, size, activation):
    """Basic blocks behind a 3×3 stem without ReLU and without max-pool."""
    return sequence(
        conv1=conv(3, widths[0], 3),
        bn1=nn.BatchNorm2d(widths[0]),
        **stages(Block, widths[0], widths, blocks, size, activation),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(widths[-1], CLASSES),
    )


def wide_resnet(widths, blocks, size, activation):
    """Pre-activation blocks; no ReLU behind the last batch norm."""
    return sequence(
        conv1=conv(3, 16, 3),
        **stages(WideBlock, 16, widths, blocks, size, activation),
        bn1=nn.BatchNorm2d(widths[-1]),
        pool=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(widths[-1], CLASSES),
    )


MODELS = {
    "resnet8": lambda size, act: resnet([16, 32, 64], 1, size, act),
    "resnet20": lambda size, act: resnet([16, 32, 64], 3, size, act),
    "resnet18": lambda size, act: resnet([64, 128, 256, 512], 2, size, act),
    "wide_resnet_22_8": lambda size, act: wide_resnet([128, 256, 512], 3, size, act),
}


# AutoReP's search step, written from the formulas and without fusing anything.


class KeepOrReplace(torch.autograd.Function):
    """Mask from scores with hysteresis; backward straight through, scaled by softplus."""

    @staticmethod
    def forward(ctx, scores, mask, threshold):
        ctx.save_for_backward(scores)
        return torch.where(mask > 0, scores > -threshold, scores > threshold).to(scores.dtype)

    @staticmethod
    def backward(ctx, gradient):
        (scores,) = ctx.saved_tensors
        return gradient * F.softplus(scores), None, None


class Gate(nn.Module):
    """m·relu(x) + (1−m)·(c₂x² + c₁x + c₀): m per element, c per channel fitted to moments."""

    def __init__(self, channels, size, threshold=0.003, momentum=0.1, every=10, until=500):
        super().__init__()
        self.scores = nn.Parameter(torch.rand(channels, size, size))
        self.coefficients = nn.Parameter(torch.zeros(3, channels))
        self.register_buffer("mask", torch.ones(channels, size, size))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.threshold, self.momentum = threshold, momentum
        self.every, self.until, self.forwards = every, until, 0

    @torch.no_grad()
    def observe(self, x):
        variance, mean = torch.var_mean(x, (0, 2, 3))
        self.mean.lerp_(mean, self.momentum)
        self.variance.lerp_(variance, self.momentum)
        if self.forwards < self.until and self.forwards % self.every == 0:
            u, s = self.mean, self.variance.sqrt()
            a = u / s
            density = torch.exp(-a * a / 2) / math.sqrt(2 * math.pi)
            self.coefficients[0] = (u * u + s * s) * density / (2 * s)
            self.coefficients[1] = torch.special.ndtr(a) - a * density
            self.coefficients[2] = density / (2 * s)
        self.forwards += 1

    def forward(self, x):
        self.observe(x)
        mask = KeepOrReplace.apply(self.scores, self.mask, self.threshold)
        self.mask = mask.detach()
        self.kept = mask.sum()
        c0, c1, c2 = self.coefficients[:, None, :, None, None]
        return mask * F.relu(x) + (1 - mask) * (c2 * x**2 + c1 * x + c0)


def search_loss(network, teacher, images, labels, target=0.1, weight=100.0, temperature=4.0):
    """Cross-entropy + distillation + a penalty on density above its target."""
    with torch.no_grad():
        soft = F.softmax(teacher(images) / temperature, 1)
    logits = network(images)
    distance = F.kl_div(F.log_softmax(logits / temperature, 1), soft, reduction="batchmean")
    gates = [module for module in network.modules() if isinstance(module, Gate)]
    kept = sum(gate.kept for gate in gates)
    density = kept / sum(gate.mask.numel() for gate in gates)
    penalty = weight * F.relu(density - target)
    return F.cross_entropy(logits, labels) + temperature**2 * distance + penalty


# What is timed.


def phase_step(options, phase, model, device, layout):
    """A function that takes one step of a phase."""
    make = MODELS[model]
    images = torch.randn(options.batch, 3, options.size, options.size, device=device)
    images = images.contiguous(memory_format=layout)
    labels = torch.randint(0, CLASSES, (options.batch,), device=device)
    teacher = make(options.size, relu).to(device, memory_format=layout)
    if phase == "forward":
        teacher.eval()

        def forward():
            with torch.no_grad():
                teacher(images)

        return forward
    if phase == "teacher":
        network = teacher
        optimizer = torch.optim.SGD(
            network.parameters(), lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4
        )

        def loss():
            return F.cross_entropy(network(images), labels)
    else:
        teacher.eval()
        network = make(options.size, Gate).to(device, memory_format=layout)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

        def loss():
            return search_loss(network, teacher, images, labels)

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def convolution_passes(options, shape, device, layout):
    """A function for each pass of one convolution."""
    inputs, outputs, size, kernel, stride = shape

    def random(*shape):
        return torch.randn(*shape, device=device).contiguous(memory_format=layout)

    x = random(options.batch, inputs, size, size)
    w = random(outputs, inputs, kernel, kernel)
    y = F.conv2d(x, w, stride=stride, padding=kernel // 2)
    dy = random(*y.shape)

    def backward(data, weight):
        wanted = [data, weight, False]
        strides, padding = [stride, stride], [kernel // 2, kernel // 2]
        return torch.ops.aten.convolution_backward(
            dy, x, w, None, strides, padding, [1, 1], False, [0, 0], 1, wanted
        )

    flops = 2 * y.numel() * inputs * kernel * kernel
    return flops, {
        "forward": lambda: F.conv2d(x, w, stride=stride, padding=kernel // 2),
        "data": lambda: backward(True, False),
        "weight": lambda: backward(False, True),
    }


def timed(options, device, run):
    """Milliseconds of a run in the best round, and on a CPU of a run on an otherwise idle one.

    The second is the processor time of a single thread divided by the number of threads: waiting
    threads spin, so that the processor time of all of them says little on a shared machine.
    """

    def repeat(times):
        clock, processor = time.perf_counter(), time.process_time()
        for _ in range(times):
            run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - clock, time.process_time() - processor

    repeat(2)
    times = max(1, math.ceil(options.seconds / repeat(1)[0]))
    clock = min(repeat(times)[0] for _ in range(options.rounds)) / times
    if device.type == "cuda":
        return clock * 1e3, None
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    repeat(1)
    times = max(1, math.ceil(options.seconds / repeat(1)[0]))
    processor = min(repeat(times)[1] for _ in range(options.rounds)) / times / threads
    torch.set_num_threads(threads)
    return clock * 1e3, processor * 1e3


def report(variant, adapter, **values):
    line = {"peer": "torch", "variant": variant, "adapter": adapter, **values}
    print(json.dumps({key: value for key, value in line.items() if value is not None}), flush=True)


def measure(options, device, adapter, variant, layout):
    for shape in options.conv:
        flops, passes = convolution_passes(options, shape, device, layout)
        for name, run in passes.items():
            if name == "data" and shape[0] == 3:
                continue  # nobody asks for the gradient of the images
            with torch.no_grad():
                clock, processor = timed(options, device, run)
            report(
                variant,
                adapter,
                kind="conv",
                **{"pass": name},
                shape=shape,
                batch=options.batch,
                ms=clock,
                cpu_ms=processor,
                gflops=flops / clock / 1e6,
            )
    for model in options.model:
        for phase in options.phase:
            torch.manual_seed(0)
            step = phase_step(options, phase, model, device, layout)
            clock, processor = timed(options, device, step)
            report(
                variant,
                adapter,
                kind="step",
                phase=phase,
                model=model,
                batch=options.batch,
                size=options.size,
                step_ms=clock,
                step_cpu_ms=processor,
                images_per_second=options.batch / clock * 1e3,
            )


def shape(text):
    numbers = [int(number) for number in text.split(",")]
    if len(numbers) != 5:
        raise argparse.ArgumentTypeError(f"{text} is not C,K,SIZE,KERNEL,STRIDE")
    return numbers


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    phases = ["teacher", "forward", "search"]
    parser.add_argument("--model", action="append", default=[], choices=MODELS)
    parser.add_argument("--phase", action="append", choices=phases, help="default: all")
    parser.add_argument("--conv", action="append", default=[], type=shape, metavar="C,K,SIZE,KERNEL,STRIDE")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="default: both")
    parser.add_argument("--batch", type=int, default=32, help="default %(default)s")
    parser.add_argument("--size", type=int, default=32, help="of the images (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="a round lasts (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="the best counts (default %(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")
    parser.add_argument("--threads", type=int, help="on the CPU (default: PyTorch's choice)")
    options = parser.parse_args()
    options.phase = options.phase or phases
    if options.threads:
        torch.set_num_threads(options.threads)
    cuda = torch.cuda.is_available() if options.device is None else options.device == "cuda"
    device = torch.device("cuda" if cuda else "cpu")
    adapter = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    adapter = f"{adapter}, PyTorch {torch.__version__}"
    torch.backends.cudnn.benchmark = True
    defaults = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    for name in options.layout or LAYOUTS:
        for tf32 in (False, True) if cuda else (None,):
            if tf32 is not None:
                allowed = defaults if tf32 else (False, False)
                torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = allowed
            variant = name if tf32 is None else f"{name}, {'TF32' if tf32 else 'full f32'}"
            measure(options, device, adapter, variant, LAYOUTS[name])


if __name__ == "__main__":
    main()
