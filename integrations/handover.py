"""What `autorep export RUN --format onnx --for pi -o MODEL.onnx` hands over, as the engines' programs read it.

Three files lie side by side: MODEL.onnx, MODEL.skeleton.onnx (every weight zero: the graph, the shapes and the
lists of kept elements, which are public) and MODEL.json, the manifest, which says what to expect of each protocol.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

try:
    import numpy as np
    import onnx
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"error: {missing.name} is not installed here: run this with the Python of an engine's environment, "
        "target/private/spu/bin/python or target/private/crypten/bin/python (`make pi-spu`, `make pi-crypten`)"
    ) from None

FORMAT = "autorep-pi-1"


class Wrong(Exception):
    """Something that whoever called can mend; the message says how."""


def fail(error):
    """Ends the program as a command should: one line, exit code 2.

    At once: threads of an engine that run while Python tears itself down abort the process, with another code.
    """
    print(f"error: {error}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(2)


def command(main, gone=()):
    """Runs a program's `main`: what can be mended ends in one line, and so does an error of the engine in which one of
    the words `gone` says that another party is no longer there.
    """
    try:
        main()
    except Wrong as error:
        fail(error)
    except RuntimeError as error:
        if any(word in str(error).lower() for word in gone):
            # Engines begin with a heading.
            first = " ".join(str(error).split("\n")[:2]).split()
            fail(f"another party is gone: {' '.join(first)}")
        raise


@contextlib.contextmanager
def patience(seconds, words):
    """Ends the program, saying `words`, where what is done meanwhile takes longer.

    Engines wait for their parties inside of code that listens to nobody, so nothing less would end it.
    """

    def give_up():
        fail(f"{words} within {seconds:.0f} s")

    watch = threading.Timer(seconds, give_up)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()


class HandOver:
    """The three files of MODEL.onnx."""

    def __init__(self, model):
        self.model = pathlib.Path(model).resolve()
        self.skeleton = self.model.with_suffix(".skeleton.onnx")
        manifest = self.model.with_suffix(".json")
        for path in (self.model, self.skeleton, manifest):
            if not path.is_file():
                raise Wrong(f"{path} is missing: autorep export RUN --format onnx --for pi -o {self.model} writes it")
        try:
            self.manifest = json.loads(manifest.read_text())
            written = self.manifest["format"]
        except (ValueError, KeyError, TypeError) as error:
            raise Wrong(f"{manifest} is no manifest of a network for private inference: {error}") from error
        if written != FORMAT:
            raise Wrong(f"{manifest} is of format `{written}`, not `{FORMAT}`: export the run again")

    def expected(self, protocol, weights, images):
        """(bytes that a party sends for each of `images` evaluated together, rounds); None where not known."""
        price = self.manifest["expected"][protocol][weights]
        bytes_, once = price["bytes"], price["bytes_once"]
        each = None if bytes_ is None else bytes_ - once + (once + price["bytes_session"]) / images
        return each, price["rounds"]

    def plain(self, images):
        """Logits of the same graph in the clear, by onnxruntime."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
        return session.run(None, {session.get_inputs()[0].name: images})[0]


def load(path):
    """The ONNX graph of a file."""
    try:
        model = onnx.load(path)
    except Exception as error:  # protobuf's and the system's, by many names
        raise Wrong(f"{path} is no ONNX file: {error}") from error
    if not model.graph.node:
        raise Wrong(f"{path} holds no network")
    return model


def identity(model, weights):
    """A digest that parties compare before they begin.

    Of encrypted weights it holds the names and shapes only, so that a model and its skeleton are one; of public ones
    their values too.
    """
    public = onnx.ModelProto()
    public.CopyFrom(model)
    if weights == "encrypted":
        for tensor in public.graph.initializer:
            kept = (tensor.name, list(tensor.dims), tensor.data_type)
            tensor.Clear()
            tensor.name, tensor.data_type = kept[0], kept[2]
            tensor.dims.extend(kept[1])
    return hashlib.sha256(public.graph.SerializeToString(deterministic=True)).hexdigest()


def input_shape(model):
    """[channels, height, width] of an image."""
    return [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim[1:]]


def read_images(path, count):
    """The first `count` images [N, C, H, W] and their labels of a file that `autorep data export` wrote."""
    from safetensors.numpy import load_file

    try:
        tensors = load_file(path)
        images, labels = tensors["images"], tensors["labels"]
    except FileNotFoundError as error:
        raise Wrong(f"{path} is missing: autorep data export DATA --split test -o {path} writes it") from error
    except Exception as error:
        raise Wrong(f"{path} holds no images and labels: autorep data export writes such a file ({error})") from error
    if count > len(images):
        raise Wrong(f"{path} holds {len(images)} images, not {count}")
    return np.ascontiguousarray(images[:count], dtype=np.float32), labels[:count]


def free_ports(count):
    """Ports of loopback that nobody uses."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run_parties(commands, timeout, grace=10):
    """Runs a command for each party, all at once, and returns what each left in its result file.

    `commands` maps a result file to a command. Where a party ends badly, the others have `grace` seconds to notice,
    then they are ended, and its words are told.
    """
    with contextlib.ExitStack() as stack:
        logs = [stack.enter_context(tempfile.TemporaryFile("w+")) for _ in commands]
        watch_parties(commands, logs, timeout, grace)
    return [json.loads(pathlib.Path(result).read_text()) for result in commands]


def watch_parties(commands, logs, timeout, grace):
    """Starts a command for each log, and returns when all have ended well."""
    # Engines leave logs where they run.
    folder = pathlib.Path(next(iter(commands))).parent
    parties = [
        subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        for command, log in zip(commands.values(), logs)
    ]

    def words(rank):
        logs[rank].seek(0)
        lines = [line for line in logs[rank].read().splitlines() if line.strip()]
        told = [line for line in lines if line.startswith("error: ")]
        return told[0].removeprefix("error: ") if told else "\n".join(lines[-12:])

    end = time.monotonic() + timeout
    first = None
    try:
        while any(party.poll() is None for party in parties):
            bad = [rank for rank, party in enumerate(parties) if party.poll() not in (None, 0)]
            if bad and first is None:
                # Whoever failed first is the cause; the others notice that it is gone.
                first, end = bad[0], min(end, time.monotonic() + grace)
            if time.monotonic() > end:
                break
            time.sleep(0.05)
    finally:
        running = [rank for rank, party in enumerate(parties) if party.poll() is None]
        for rank in running:
            parties[rank].kill()
            parties[rank].wait()
    bad = [rank for rank, party in enumerate(parties) if party.returncode != 0 and rank not in running]
    if first is None and bad:
        first = bad[0]
    if first is not None:
        code = parties[first].returncode
        raise Wrong(f"party {first} ended with exit code {code}: {words(first) or 'it said nothing'}")
    if running:
        raise Wrong(f"the parties did not end within {timeout:.0f} s; party {running[0]}: {words(running[0])}")


def megabytes(number):
    return "not known" if number is None else f"{number / 1e6:.4f} MB"


def compare(hand_over, protocol, options, images, labels, logits, parties, tolerance, spared=0.0):
    """Prints what was measured beside what was expected, and returns both with the differences that matter.

    Bytes may differ by the share `tolerance`, rounds be fewer by the share `spared`, and the largest error of a logit
    be half or twice what it is without the engine.
    """
    weights = options.weights
    count = len(images)
    plain = hand_over.plain(images)
    largest = float(np.abs(logits - plain).max())
    agree = int((logits.argmax(1) == plain.argmax(1)).sum())
    right = int((logits.argmax(1) == labels).sum())
    expected_bytes, expected_rounds = hand_over.expected(protocol, weights, count)
    manifest = hand_over.manifest
    print(
        f"{manifest['model']}, {manifest['relus']} of {manifest['relu_total']} ReLUs, {protocol}, {weights} weights, "
        f"{count} images at once"
    )
    print(f"  top-1 as in the clear    {agree} of {count} (right: {right})")
    print(f"  largest error of a logit {largest:.4g}, of {np.abs(plain).max():.4g}")
    for rank, party in enumerate(parties):
        print(
            f"  party {rank}                  {megabytes(party['bytes'] / count)} sent an image, {party['rounds']} rounds, "
            f"{party['seconds']:.2f} s ({party['processor_seconds']:.2f} s of the processor)"
        )
    predicted = None
    if options.fixed_point:
        predicted = json.loads(pathlib.Path(options.fixed_point).read_text())["largest_error"]
        print(f"  autorep eval said        {predicted:.4g}")
    bytes_ = sum(party["bytes"] for party in parties) / len(parties) / count
    rounds = max(party["rounds"] for party in parties)
    told = "not known" if expected_rounds is None else f"{expected_rounds:.0f}"
    print(f"  measured, mean           {megabytes(bytes_)}, {rounds} rounds")
    print(f"  autorep cost said        {megabytes(expected_bytes)}, {told} rounds")
    differences = []
    if agree < count:
        differences.append(f"top-1 of {count - agree} of {count} images is another than in the clear")
    if not np.isfinite(logits).all():
        differences.append("logits are not finite")
    if predicted is not None and not predicted / 2 <= largest <= 2 * predicted:
        differences.append(f"the largest error of a logit is {largest:.4g}, not about {predicted:.4g}")
    if expected_bytes is not None and abs(bytes_ - expected_bytes) > tolerance * expected_bytes:
        differences.append(f"bytes are {100 * (bytes_ / expected_bytes - 1):+.1f} % of what was expected")
    if expected_rounds is not None and not (1 - spared) * expected_rounds <= rounds <= expected_rounds:
        differences.append(f"{rounds} rounds, not {expected_rounds:.0f}")
    return {
        "protocol": protocol,
        "weights": weights,
        "images": count,
        "relus": manifest["relus"],
        "relu_total": manifest["relu_total"],
        "agree": agree,
        "right": right,
        "largest_error": largest,
        "expected_error": predicted,
        "largest_logit": float(np.abs(plain).max()),
        "bytes": bytes_,
        "rounds": rounds,
        "expected_bytes": expected_bytes,
        "expected_rounds": expected_rounds,
        "parties": parties,
        "differences": differences,
    }


def finish(result, arguments):
    """Writes the result where it is wanted, and ends: with exit code 1 where `--check` finds a difference."""
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(result, indent=2) + "\n")
    for difference in result["differences"]:
        print(f"  differs: {difference}")
    raise SystemExit(1 if arguments.check and result["differences"] else 0)


def add_run_arguments(parser):
    """The arguments of a run that every engine has."""
    parser.add_argument("model", help="MODEL.onnx of `autorep export --for pi`, its skeleton and manifest beside it")
    parser.add_argument("--images", required=True, help="what `autorep data export` wrote")
    parser.add_argument("--count", type=positive, default=4, help="images, evaluated together [default: 4]")
    parser.add_argument("--weights", choices=("encrypted", "public"), default="encrypted")
    parser.add_argument("--check", action="store_true", help="exit code 1 where something is not as expected")
    parser.add_argument("--json", metavar="FILE", help="write all that was measured")
    parser.add_argument(
        "--fixed-point", metavar="FILE", help="what `autorep eval --fixed-point --json` says of these images, to compare"
    )
    parser.add_argument("--timeout", type=float, default=600, metavar="S", help="seconds for all [default: 600]")


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError
    return number
