"""SPU as a party meets it: its settings, and what it says it sent."""

import contextlib
import os
import re
import sys
import tempfile
import typing

import handover

try:
    import spu.libspu as libspu
except ModuleNotFoundError:
    handover.fail("SPU is not installed here: `make pi-spu` makes an environment, target/private/spu/bin/python runs in it")


class Protocol(typing.NamedTuple):
    """One of SPU's protocols, and how far from what is expected it may be."""

    kind: libspu.ProtocolKind
    parties: int
    # Shares of bytes, and of rounds: in ABY3 one party, drawn anew each time, is spared a message in every ReLU and
    # every truncation; what is expected are the rounds of one who never is. Squares of Cheetah get dearer the fewer
    # there are at a time.
    tolerance: float
    spared: float


PROTOCOLS = {
    "semi2k": Protocol(libspu.ProtocolKind.SEMI2K, 2, 0.02, 0.0),
    "aby3": Protocol(libspu.ProtocolKind.ABY3, 3, 0.02, 0.2),
    "cheetah": Protocol(libspu.ProtocolKind.CHEETAH, 2, 0.25, 0.0),
}

LINK = re.compile(r"Link details: total send bytes (\d+), recv bytes (\d+), send actions (\d+), recv actions (\d+)")


def settings(protocol, bits, ring):
    """What all parties must agree on: a ring of 2^`ring` and `bits` fractional bits."""
    field = {32: libspu.FieldType.FM32, 64: libspu.FieldType.FM64, 128: libspu.FieldType.FM128}[ring]
    config = libspu.RuntimeConfig(protocol=PROTOCOLS[protocol].kind, field=field)
    config.fxp_fraction_bits = bits
    # The profile is where SPU tells what it sent.
    config.enable_pphlo_profile = True
    return config


@contextlib.contextmanager
def told():
    """Collects what SPU's own code prints meanwhile, below Python's streams; yields a function that reads it."""
    sys.stdout.flush()
    with tempfile.TemporaryFile() as log:
        screen = os.dup(1)
        os.dup2(log.fileno(), 1)

        def read():
            log.seek(0)
            return log.read().decode(errors="replace")

        try:
            yield read
        finally:
            os.dup2(screen, 1)
            os.close(screen)


def sent(log):
    """[(bytes sent, send actions)] of each party whose profile the text holds."""
    found = [(int(match[1]), int(match[3])) for match in LINK.finditer(log)]
    if not found:
        raise handover.Wrong("SPU did not say what it sent: is this another version?")
    return found
