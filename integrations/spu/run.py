"""Private inference in SecretFlow's SPU: the parties on loopback, what they send beside what `autorep cost` said.

  python run.py MODEL.onnx --images images.safetensors --protocol semi2k --count 4 --weights encrypted
"""

import argparse
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import engine
import handover
import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    handover.add_run_arguments(parser)
    parser.add_argument("--protocol", choices=engine.PROTOCOLS, default="semi2k")
    parser.add_argument("--bits", type=int, default=18, help="fractional bits [default: 18]")
    parser.add_argument("--ring", type=int, choices=(32, 64, 128), default=64, help="bits of a number [default: 64]")
    options = parser.parse_args()
    network = handover.HandOver(options.model)
    options.images = str(pathlib.Path(options.images).resolve())
    images, labels = handover.read_images(options.images, options.count)
    protocol = engine.PROTOCOLS[options.protocol]
    with tempfile.TemporaryDirectory() as folder:
        addresses = ",".join(f"127.0.0.1:{port}" for port in handover.free_ports(protocol.parties))
        commands = {}
        for rank in range(protocol.parties):
            owns = rank == 0 or options.weights == "public"
            commands[f"{folder}/{rank}.json"] = [
                *(sys.executable, str(HERE / "party.py"), str(network.model if owns else network.skeleton)),
                *("--rank", str(rank), "--parties", addresses, "--protocol", options.protocol),
                *("--weights", options.weights, "--images", options.images, "--count", str(options.count)),
                *("--bits", str(options.bits), "--ring", str(options.ring), "--result", f"{folder}/{rank}.json"),
            ]
        parties = handover.run_parties(commands, options.timeout)
    logits = np.array(parties[1].pop("logits"))
    name = f"spu-{options.protocol}"
    allowed = (protocol.tolerance, protocol.spared)
    result = handover.compare(network, name, options, images, labels, logits, parties, *allowed)
    handover.finish(result, options)


if __name__ == "__main__":
    handover.command(main)
