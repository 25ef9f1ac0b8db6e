"""Writes measured prices as a file that `autorep cost --protocol FILE` reads, and assets/protocols/ holds."""

import pathlib
import platform
import re

# What one operation took: bytes that a party sends (the mean of all parties), rounds (of the party with most), seconds
# of the processor in a party (the mean).


class Took:
    def __init__(self, bytes_, rounds, seconds):
        self.bytes, self.rounds, self.seconds = bytes_, rounds, seconds

    def __sub__(self, other):
        return Took(self.bytes - other.bytes, self.rounds - other.rounds, max(self.seconds - other.seconds, 0.0))

    def each(self, elements):
        return Took(self.bytes / elements, self.rounds, self.seconds / elements)


def processor():
    """The name of the processor, as the system has it."""
    try:
        names = re.findall(r"model name\s*:\s*(.+)", pathlib.Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()


def number(value):
    """Five digits, and no more than there are: 232, 57.333."""
    return f"{value:.5g}"


def price(name, took, rounds=True):
    lines = [f"[{name}]", f"bytes = {number(took.bytes)}"]
    if rounds:
        lines.append(f"rounds = {took.rounds}")
    return "\n".join(lines)


def nanoseconds(seconds):
    return f"{float(f'{1e9 * seconds:.3g}'):g}"


def compute(**seconds):
    """The table of what a party computes; seconds per element, or per multiply-add of linear layers."""
    lines = [
        "# Nanoseconds of the processor in each party, one thread, per element; of linear layers per multiply-add.",
        "[compute]",
        f'machine = "{processor()}"',
    ]
    return "\n".join(lines + [f"{name} = {nanoseconds(value)}" for name, value in seconds.items()])


def write(path, text):
    if path:
        pathlib.Path(path).write_text(text)
    else:
        print(text, end="")
