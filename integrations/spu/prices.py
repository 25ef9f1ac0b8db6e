"""Measures what single operations take in SPU, and writes assets/protocols/spu-PROTOCOL.toml.

  python prices.py semi2k --write ../../assets/protocols/spu-semi2k.toml
"""

import argparse
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import engine
import jax
import jax.numpy as jnp
import numpy as np
import spu
import spu.api as api
import spu.libspu as libspu
import spu.utils.simulation as simulation
from prices import Took, compute, price, write

ELEMENTS = 65536
# Runs of which the fastest counts.
RUNS = 3
BITS = 18
# Of a convolution's operands, as a matrix product takes them.
WEIGHTS, UNFOLDED, MULTIPLY_ADDS = 64 * 64 * 9, ELEMENTS * 9, ELEMENTS * 64 * 9


class EveryParty(simulation.Simulator):
    """All parties as threads of this process, each of which tells what it sent; SPU's own asks the first one only."""

    def __call__(self, executable, *values):
        shares = [self.io.make_shares(np.array(value), libspu.Visibility.VIS_SECRET) for value in values]
        about = libspu.link.Desc()
        for rank in range(self.wsize):
            about.add_party(f"party{rank}", f"thread{rank}")

        def party(rank):
            link = libspu.link.create_mem(about, rank)
            runtime = api.Runtime(link, libspu.RuntimeConfig(self.rt_config))
            for name, share in zip(executable.input_names, shares):
                runtime.set_var(name, share[rank])
            start = time.thread_time()
            runtime.run(executable)
            self.seconds.append(time.thread_time() - start)
            return [runtime.get_var(name) for name in executable.output_names]

        self.seconds = []
        threads = [simulation.PropagatingThread(target=party, args=(rank,)) for rank in range(self.wsize)]
        for thread in threads:
            thread.start()
        return [self.io.reconstruct(output) for output in zip(*[thread.join() for thread in threads])]


def measure(protocol, operation, *values):
    """What an operation of secret `values` takes."""
    config = engine.settings(protocol, BITS, 64)
    config.max_concurrency = 1
    parties = EveryParty(engine.PROTOCOLS[protocol].parties, config)
    runs = []
    for _ in range(RUNS):
        with engine.told() as log:
            simulation.sim_jax(parties, operation)(*values)
            sent = engine.sent(log())
        mean = sum(bytes_ for bytes_, _ in sent) / len(sent)
        runs.append(Took(mean, max(actions for _, actions in sent), sum(parties.seconds) / len(sent)))
    return min(runs, key=lambda run: run.seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("protocol", choices=engine.PROTOCOLS)
    parser.add_argument("--write", metavar="FILE", help="the file to write [default: the screen]")
    options = parser.parse_args()
    libspu.logging.setup_logging(libspu.logging.LogOptions())
    random = np.random.default_rng(0)
    x, other = random.normal(size=(2, 1, 64, 32, 32)).astype(np.float32) / 2
    kernel = random.normal(size=(64, 64, 3, 3)).astype(np.float32) / 24
    assert x.size == ELEMENTS

    def convolve(x, kernel):
        numbers = ("NCHW", "OIHW", "NCHW")
        return jax.lax.conv_general_dilated(x, kernel, (1, 1), ((1, 1), (1, 1)), dimension_numbers=numbers)

    def of(operation, *values):
        """What each of three in a row takes beyond the first, which pays for the session too."""
        three = lambda x, *more: operation(operation(operation(x, *more), *more), *more)  # noqa: E731
        once, thrice = (measure(options.protocol, each, *values) for each in (operation, three))
        mean = Took((thrice.bytes - once.bytes) / 2, once.rounds, (thrice.seconds - once.seconds) / 2)
        return mean

    # Without the constants three would be one: max(max(x, 0), 0), 0.3 · 0.3 · x.
    relu_of = lambda x: jnp.maximum(x - np.float32(0.01), 0)  # noqa: E731
    scale_of = lambda x: x * np.float32(0.3) + 1  # noqa: E731
    relu, scaled = of(relu_of, x), of(scale_of, x)
    squared = of(jnp.square, x)
    multiplied = of(lambda x, y: x * y, x, other)
    public = of(lambda x: convolve(x, kernel), x)
    secret = of(convolve, x, kernel)
    # So few elements take next to nothing but the session. Each of these pays for what truncations take, and for
    # something of its own.
    few = [measure(options.protocol, each, x[:, :1, :4, :4]) for each in (relu_of, scale_of, jnp.square)]
    session = few[0].bytes + few[2].bytes - few[1].bytes
    # What is not a truncation.
    square, product, linear = squared - scaled, multiplied - scaled, secret - public
    text = TEXTS[options.protocol]
    # Rounds are those of Cheetah's silent transfers, thousands in a session and hardly any beyond it.
    rounds = options.protocol != "cheetah"
    tables = [price("relu", relu.each(ELEMENTS), rounds), price("square", square.each(ELEMENTS), rounds)]
    if rounds:
        tables.append(price("product", product.each(ELEMENTS)))
    tables += [price(f"truncation.{of_what}", scaled.each(ELEMENTS), rounds) for of_what in ("square", "linear")]
    if options.protocol == "semi2k":
        assert linear.bytes == 8 * (UNFOLDED + WEIGHTS), "products open something else than their operands"
        opened = "unfolded = 8\nweight = 8"
    if options.protocol == "aby3":
        assert abs(linear.bytes - 8 * ELEMENTS) < 1, "products share anew something else than their result"
        opened = "output = 8"
    if rounds:
        tables.append(f"{text['linear']}\n[linear]\n{opened}\nrounds = {linear.rounds}")
    else:
        tables.append(f"# Transfers and keys that any number of images share.\n[session]\nbytes = {session:.3g}")
    seconds = {"relu": relu.seconds, "square": squared.seconds, "product": multiplied.seconds}
    seconds = {name: value / ELEMENTS for name, value in seconds.items()}
    seconds["linear_public"] = public.seconds / MULTIPLY_ADDS
    seconds["linear_encrypted"] = secret.seconds / MULTIPLY_ADDS
    if rounds:
        seconds["round"] = few[0].seconds / few[0].rounds
    tables.append(compute(**seconds))
    head = f'''\
{text["head"]}
name = "spu-{options.protocol}"
title = "{text["title"]}"
parties = {engine.PROTOCOLS[options.protocol].parties}
engine = "SPU {spu.__version__}"
source = """
Measured by integrations/spu/prices.py on {ELEMENTS:,} elements at once, {BITS} fractional bits.
{text["source"]}
"""
'''
    write(options.write, "\n".join([head, "\n\n".join(tables), ""]))


TEXTS = {
    "semi2k": {
        "head": "# Prices are online, per element, sent by each party, on a ring of 64 bits.",
        "title": "SecretFlow SPU, Semi2k, 2 parties",
        "source": """\
The dealer's offline part is left out. Where SPU may err in the highest bit, a truncation is free.""",
        "linear": """\
# [m×k]·[k×n] opens both operands. The left one of a convolution is its unfolded input, one row of
# k = C/groups·R·R values per output position, as SPU multiplies it. (Grouped convolutions are
# priced as one such product a group; SPU has no fast path for them, and by single products they
# take about twice that or more.)""",
    },
    "aby3": {
        "head": "# Prices are online, per element, the mean of what the parties send, on a ring of 64 bits.",
        "title": "SecretFlow SPU, ABY3, 3 parties",
        "source": """\
Rounds are those of the party that sends most often; which one is spared a round, in a ReLU and
in a truncation, is drawn anew each time.""",
        "linear": "# Only the result is shared anew.",
    },
    "cheetah": {
        "head": """\
# Prices are online, per element, the mean of what both parties send, on a ring of 64 bits. What is
# left out is not known: linear layers with encrypted weights and products of two secrets are done by
# homomorphic encryption or oblivious transfer, whose bytes depend on parameters and packing.""",
        "title": "SecretFlow SPU, Cheetah, 2 parties",
        "source": """\
A square costs more than twice a ReLU here, and where there are only some thousand at a time half as
much again: quadratics save nothing, lines do (--degree 1).""",
    },
}


if __name__ == "__main__":
    main()
