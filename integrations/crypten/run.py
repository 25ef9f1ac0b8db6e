"""Private inference in CrypTen: two parties on loopback, what they send beside what `autorep cost` said.

  python run.py MODEL.onnx --images images.safetensors --count 4 --weights encrypted
"""

import argparse
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import handover
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    handover.add_run_arguments(parser)
    parser.add_argument("--bits", type=int, default=16, help="fractional bits [default: 16]")
    options = parser.parse_args()
    network = handover.HandOver(options.model)
    options.images = str(pathlib.Path(options.images).resolve())
    images, labels = handover.read_images(options.images, options.count)
    with tempfile.TemporaryDirectory() as folder:
        (port,) = handover.free_ports(1)
        commands = {}
        for rank in range(2):
            owns = rank == 0 or options.weights == "public"
            commands[f"{folder}/{rank}.json"] = [
                *(sys.executable, str(HERE / "party.py"), str(network.model if owns else network.skeleton)),
                *("--rank", str(rank), "--meet", f"127.0.0.1:{port}", "--weights", options.weights),
                *("--images", options.images, "--count", str(options.count), "--bits", str(options.bits)),
                *("--result", f"{folder}/{rank}.json"),
            ]
        parties = handover.run_parties(commands, options.timeout)
    logits = np.array(parties[1].pop("logits"))
    result = handover.compare(network, "crypten", options, images, labels, logits, parties, tolerance=0.01)
    handover.finish(result, options)


if __name__ == "__main__":
    handover.command(main)
