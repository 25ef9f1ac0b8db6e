"""One of the parties of private inference in SecretFlow's SPU, a process of its own.

Party 0 has the weights, party 1 the images; only party 1 learns the logits. ABY3 has a third party, which only
computes. Start each where it lives, with the same list of addresses:

  python party.py MODEL.onnx          --rank 0 --parties 10.0.0.1:9000,10.0.0.2:9000 --result owner.json
  python party.py MODEL.skeleton.onnx --rank 1 --parties 10.0.0.1:9000,10.0.0.2:9000 --images images.safetensors ...

With `--weights public` all take MODEL.onnx. Semi2k takes its random numbers from party 0 as it is used here: right for
measuring, not for secrets. SPU's own documentation says how a trusted third party deals them.
"""

import argparse
import contextlib
import json
import pathlib
import pickle
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import engine
import handover
import numpy as np
import spu.api as api
import spu.libspu as libspu
import spu.utils.frontend as frontend
from onnx_to_jax import to_jax

# Seconds in which messages under way arrive.
GOODBYE = 3.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--rank", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--parties", metavar="HOST:PORT,…", required=True, help="where each party listens")
    parser.add_argument("--protocol", choices=engine.PROTOCOLS, default="semi2k")
    parser.add_argument("--weights", choices=("encrypted", "public"), default="encrypted")
    parser.add_argument("--images", help="of party 1: what `autorep data export` wrote")
    parser.add_argument("--count", type=handover.positive, default=4)
    parser.add_argument("--bits", type=int, default=18, help="fractional bits [default: 18]")
    parser.add_argument("--ring", type=int, choices=(32, 64, 128), default=64, help="bits of a number [default: 64]")
    parser.add_argument("--patience", type=float, default=60, help="seconds to wait for the others [default: 60]")
    parser.add_argument("--result", required=True, metavar="FILE", help="where to write what was measured")
    return parser.parse_args()


def meet(options, model):
    """A link to the other parties, which all have the same network."""
    addresses = options.parties.split(",")
    wanted = engine.PROTOCOLS[options.protocol].parties
    if len(addresses) != wanted:
        raise handover.Wrong(f"{options.protocol} has {wanted} parties, --parties names {len(addresses)}")
    about = libspu.link.Desc()
    about.recv_timeout_ms = int(1000 * options.patience)
    for rank, address in enumerate(addresses):
        about.add_party(f"party{rank}", address)
    with handover.patience(options.patience, f"not all of {options.parties} answer"):
        link = libspu.link.create_brpc(about, options.rank)
    ours = handover.identity(model, options.weights)
    if any(theirs != ours for theirs in link.all_gather(ours)):
        # All see the same, and none may leave before all have heard: an acknowledgement that finds nobody ends the
        # process that sent it, without a word. So who is through the barrier stays for as long as that takes.
        with contextlib.suppress(RuntimeError):
            link.barrier()
        time.sleep(GOODBYE)
        raise handover.Wrong("the parties have different networks: the others want the skeleton of party 0's model")
    return link


def share_out(options, link, io, runtime, name, owner, value):
    """Sets a secret variable: whoever owns the value makes the shares and sends each party its own."""
    if owner == options.rank:
        shares = io.make_shares(np.ascontiguousarray(value), libspu.Visibility.VIS_SECRET)
        for rank, share in enumerate(shares):
            if rank != owner:
                link.send(rank, pickle.dumps((share.meta, list(share.share_chunks))))
        mine = shares[owner]
    else:
        mine = unpacked(link.recv(owner))
    runtime.set_var(name, mine)


def unpacked(message):
    # Shares travel as pickles: the parties must trust each other's processes, if not their data.
    share = libspu.Share()
    share.meta, share.share_chunks = pickle.loads(message)
    return share


def main():
    options = arguments()
    libspu.logging.setup_logging(quiet())
    model = handover.load(options.model)
    network, weights = to_jax(model)
    shape = handover.input_shape(model)
    images = np.zeros([options.count, *shape], np.float32)
    if options.rank == 1:
        if options.images is None:
            raise handover.Wrong("party 1 has the images: name them with --images")
        images, _ = handover.read_images(options.images, options.count)
        if list(images.shape[1:]) != shape:
            raise handover.Wrong(f"the network takes images of {shape}, {options.images} holds {list(images.shape[1:])}")
    link = meet(options, model)
    config = engine.settings(options.protocol, options.bits, options.ring)
    # Each secret, and the party that has it.
    secrets = [(1, images)]
    if options.weights == "public":
        program = lambda images: network(images, weights)  # noqa: E731
    else:
        secrets += [(0, value) for value in weights.values()]
        program = lambda images, *values: network(images, dict(zip(weights, values)))  # noqa: E731
    names = [f"secret{index}" for index in range(len(secrets))]
    values = [value for _, value in secrets]
    secret = [libspu.Visibility.VIS_SECRET] * len(secrets)
    executable, _ = frontend.compile(frontend.Kind.JAX, program, values, {}, names, secret, lambda _: ["logits"])
    io = api.Io(link.world_size, config)
    runtime = api.Runtime(link, config)
    for name, (owner, value) in zip(names, secrets):
        share_out(options, link, io, runtime, name, owner, value)
    wall, processor = time.perf_counter(), time.process_time()
    with engine.told() as log:
        runtime.run(executable)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        ((bytes_, rounds),) = engine.sent(log())
    took = {"bytes": bytes_, "rounds": rounds, "seconds": wall, "processor_seconds": processor}
    share = runtime.get_var("logits")
    if options.rank != 1:
        link.send(1, pickle.dumps((share.meta, list(share.share_chunks))))
    else:
        shares = [share if rank == 1 else unpacked(link.recv(rank)) for rank in range(link.world_size)]
        took["logits"] = io.reconstruct(shares).tolist()
    pathlib.Path(options.result).write_text(json.dumps(took))
    # Whoever ends first must not tear down what the others still send.
    link.barrier()
    link.stop_link()


def quiet():
    options = libspu.logging.LogOptions()
    options.enable_console_logger = True
    return options


if __name__ == "__main__":
    handover.command(main, gone=("connect", "timeout", "link", "brpc", "peer"))
