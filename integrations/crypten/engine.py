"""CrypTen, imported so that it works under the torch of today, and quiet."""

import os
import sys
import types
import warnings

os.environ.setdefault("DISTRIBUTED_BACKEND", "gloo")
warnings.filterwarnings("ignore")
import handover

try:
    import torch
    import torch.onnx
except ModuleNotFoundError:
    handover.fail(
        "CrypTen is not installed here: `make pi-crypten` makes an environment, target/private/crypten/bin/python runs in it"
    )

# CrypTen 0.4.1 takes two names from torch that are gone. Both serve its exporter, which is not used here.
if not hasattr(torch.onnx, "OperatorExportTypes"):
    torch.onnx.OperatorExportTypes = type("OperatorExportTypes", (), {"ONNX": 0})
try:
    import torch.onnx._internal.registration  # noqa: F401
except ModuleNotFoundError:
    registration = types.ModuleType("torch.onnx._internal.registration")
    registration.registry = None
    sys.modules[registration.__name__] = registration

import crypten  # noqa: E402
import crypten.communicator as communicator  # noqa: E402
import crypten.nn  # noqa: E402
from crypten.config import cfg  # noqa: E402

__all__ = ["cfg", "communicator", "crypten", "measured", "torch"]


def measured(compute):
    """(result, what it took) of a computation: bytes that this party sent, rounds, seconds."""
    import time

    cfg.communicator.verbose = True
    channel = communicator.get()
    channel.barrier()
    channel.reset_communication_stats()
    wall, processor = time.perf_counter(), time.process_time()
    result = compute()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    told = channel.get_communication_stats()
    cfg.communicator.verbose = False
    # CrypTen counts what is received as well; of two parties each sends what the other receives.
    return result, {
        "bytes": told["bytes"] // 2,
        "rounds": told["rounds"],
        "seconds": wall,
        "processor_seconds": processor,
    }
