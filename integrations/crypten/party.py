"""One of the two parties of private inference in CrypTen, a process of its own.

Party 0 has the weights, party 1 the images; only party 1 learns the logits. Start each where it lives:

  python party.py MODEL.onnx          --rank 0 --meet 10.0.0.1:29500 --result owner.json
  python party.py MODEL.skeleton.onnx --rank 1 --meet 10.0.0.1:29500 --images images.safetensors --result client.json

With `--weights public` both take MODEL.onnx. CrypTen's default provider of random numbers, which is used here, is
party 0: right for measuring, not for secrets. CrypTen's own documentation says how a third party takes its place.
"""

import argparse
import contextlib
import json
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import handover


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rank", type=int, choices=(0, 1), required=True)
    parser.add_argument("--meet", metavar="HOST:PORT", required=True, help="where party 0 can be reached")
    parser.add_argument("--interface", default="lo", help="network interface between the parties [default: lo]")
    parser.add_argument("--weights", choices=("encrypted", "public"), default="encrypted")
    parser.add_argument("--images", help="of party 1: what `autorep data export` wrote")
    parser.add_argument("--count", type=handover.positive, default=4)
    parser.add_argument("--bits", type=int, default=16, help="fractional bits [default: 16]")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for the other party [default: 60]")
    parser.add_argument("--result", required=True, metavar="FILE", help="where to write what was measured")
    return parser.parse_args()


def meet(options, model):
    """Joins the other party, and sees that both have the same network."""
    host, _, port = options.meet.rpartition(":")
    os.environ.update(RANK=str(options.rank), WORLD_SIZE="2", RENDEZVOUS=f"tcp://{host}:{port}")
    os.environ["GLOO_SOCKET_IFNAME"] = options.interface

    from engine import cfg, crypten, torch

    torch.set_num_threads(1)
    with handover.patience(options.patience, f"no other party at {options.meet}"):
        crypten.init()
    cfg.encoder.precision_bits = options.bits
    ours = handover.identity(model, options.weights)
    ours = torch.tensor([int(ours[at : at + 8], 16) for at in range(0, 64, 8)])
    both = [torch.empty_like(ours) for _ in range(2)]
    torch.distributed.all_gather(both, ours)
    if not torch.equal(both[0], both[1]):
        # Both see it, and each must hear it before the other leaves.
        with contextlib.suppress(RuntimeError):
            torch.distributed.barrier()
        raise handover.Wrong("the parties have different networks: party 1 wants the skeleton of party 0's model")


def main():
    options = arguments()
    model = handover.load(options.model)
    images = None
    if options.rank == 1:
        if options.images is None:
            raise handover.Wrong("party 1 has the images: name them with --images")
        images, _ = handover.read_images(options.images, options.count)
        shape = handover.input_shape(model)
        if list(images.shape[1:]) != shape:
            raise handover.Wrong(f"the network takes images of {shape}, {options.images} holds {list(images.shape[1:])}")
    meet(options, model)
    from engine import crypten, measured, torch

    network = crypten.nn.from_onnx(model.SerializeToString()).eval()
    if options.weights == "encrypted":
        network.encrypt(src=0)
    else:
        # Public weights stay plain numbers, but the graph must take secret images.
        network._apply(lambda module: setattr(module, "encrypted", True))
        network.encrypted = True
    mine = torch.empty([options.count, *handover.input_shape(model)]) if images is None else torch.from_numpy(images)
    secret = crypten.cryptensor(mine, src=1)
    logits, took = measured(lambda: network(secret))
    logits = logits.get_plain_text(dst=1)
    if options.rank == 1:
        took["logits"] = logits.tolist()
    pathlib.Path(options.result).write_text(json.dumps(took))
    crypten.uninit()


if __name__ == "__main__":
    handover.command(main, gone=("connection", "closed by peer", "broken pipe", "reset by peer"))
