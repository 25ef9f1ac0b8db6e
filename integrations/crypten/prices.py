"""Measures what single operations take in CrypTen, and writes assets/protocols/crypten.toml.

  python prices.py --write ../../assets/protocols/crypten.toml
"""

import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
from engine import crypten, measured, torch
from prices import Took, compute, price, write

import crypten.mpc

ELEMENTS = 65536
# Runs of which the fastest counts.
RUNS = 5


@crypten.mpc.run_multiprocess(world_size=2)
def party():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x = torch.randn(1, 64, 32, 32)
    other, kernel = torch.randn(x.shape), torch.randn(64, 64, 3, 3) / 24
    assert x.numel() == ELEMENTS
    secret, secret_other, secret_kernel = (crypten.cryptensor(value) for value in (x, other, kernel))
    operations = {
        "relu": lambda: secret.relu(),
        "square": lambda: secret.square(),
        "product": lambda: secret * secret_other,
        "scale": lambda: secret * 0.3,
        "linear": lambda: secret.conv2d(kernel, padding=1),
        "secret": lambda: secret.conv2d(secret_kernel, padding=1),
    }
    few = crypten.cryptensor(x[:, :1, :4, :4])
    operations["few"] = lambda: few.relu()
    took = {}
    for name, operation in operations.items():
        runs = [measured(operation)[1] for _ in range(RUNS)]
        assert len({(run["bytes"], run["rounds"]) for run in runs}) == 1, f"{name} is not always the same"
        took[name] = min(runs, key=lambda run: run["processor_seconds"])
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", metavar="FILE", help="the file to write [default: the screen]")
    options = parser.parse_args()
    parties = party()
    if not parties:
        raise SystemExit("error: a party failed")

    def of(name):
        both = [each[name] for each in parties]
        mean = lambda key: sum(each[key] for each in both) / len(both)  # noqa: E731
        return Took(mean("bytes"), max(each["rounds"] for each in both), mean("processor_seconds"))

    weights = 64 * 64 * 9
    secret = of("secret")
    input_, weight = 8, 8
    assert secret.bytes == input_ * ELEMENTS + weight * weights, "convolutions open something else than their operands"
    multiply_adds = ELEMENTS * 64 * 9
    write(
        options.write,
        f'''\
# Prices are online, per element, sent by each party, on a ring of 64 bits.
name = "crypten"
title = "CrypTen, 2 parties"
parties = 2
engine = "CrypTen {crypten.__version__}, torch {torch.__version__.split("+")[0]}"
source = """
Measured by integrations/crypten/prices.py on {ELEMENTS:,} elements at once, 16 fractional bits. A ReLU is
a comparison (conversion to binary shares, a carry circuit) and a product; products and squares are
Beaver's, whose triples are dealt beforehand and left out.
"""

{price("relu", of("relu").each(ELEMENTS))}

{price("square", of("square").each(ELEMENTS))}

{price("product", of("product").each(ELEMENTS))}

# Each party shifts its share.
{price("truncation.square", of("scale").each(ELEMENTS))}

{price("truncation.linear", of("scale").each(ELEMENTS))}

# Both operands are opened under their masks, the convolution's input as it is.
[linear]
input = {input_}
weight = {weight}
rounds = {secret.rounds}

{compute(
    relu=of("relu").seconds / ELEMENTS,
    square=of("square").seconds / ELEMENTS,
    product=of("product").seconds / ELEMENTS,
    linear_public=of("linear").seconds / multiply_adds,
    linear_encrypted=secret.seconds / multiply_adds,
    round=of("few").seconds / of("few").rounds,
)}
''',
    )


if __name__ == "__main__":
    main()
