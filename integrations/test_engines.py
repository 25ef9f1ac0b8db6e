"""Parties that do not fit together, or are gone, end in a sentence: with the engine whose Python runs this.

  python -m unittest test_engines        (in this folder, with an engine's Python)
"""

import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import handover
import numpy as np
import onnx
from safetensors.numpy import save_file
from test_handover import network

HERE = pathlib.Path(__file__).resolve().parent
# By what only one of them needs, since the folders beside this file have the engines' names.
ENGINE = "crypten" if importlib.util.find_spec("torch") else "spu"


class Engine(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        for name, model in (
            ("model", network(3.0)),
            ("skeleton", network(0.0)),
            ("other", network(0.0, channels=3)),
        ):
            onnx.save(model, self.folder / f"{name}.onnx")
        images = np.ones((2, 2, 2, 2), np.float32)
        save_file({"images": images, "labels": np.zeros(2, np.uint32)}, self.folder / "images.safetensors")
        save_file(
            {"images": np.ones((2, 3, 2, 2), np.float32), "labels": np.zeros(2, np.uint32)},
            self.folder / "coloured.safetensors",
        )
        self.ports = handover.free_ports(2)

    def party(self, rank, model, images="images", patience="30"):
        if ENGINE == "spu":
            where = ["--parties", ",".join(f"127.0.0.1:{port}" for port in self.ports)]
        else:
            where = ["--meet", f"127.0.0.1:{self.ports[0]}"]
        return subprocess.Popen(
            [
                *(sys.executable, str(HERE / ENGINE / "party.py"), str(self.folder / f"{model}.onnx")),
                *("--rank", str(rank), *where, "--count", "2", "--patience", patience),
                *("--images", str(self.folder / f"{images}.safetensors"), "--result", str(self.folder / f"{rank}.json")),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self, party):
        out, error = party.communicate(timeout=120)
        lines = [line for line in error.splitlines() if line.startswith("error: ")]
        self.assertEqual((party.returncode, len(lines)), (2, 1), out + error)
        return lines[0]

    def test_a_model_and_its_skeleton_compute(self):
        parties = [self.party(0, "model"), self.party(1, "skeleton")]
        for party in parties:
            _, error = party.communicate(timeout=120)
            self.assertEqual(party.returncode, 0, error)
        logits = np.array(json.loads((self.folder / "1.json").read_text())["logits"])
        np.testing.assert_allclose(logits, np.full((2, 4), 6.0), atol=1e-3)

    def test_another_network_is_refused_by_both(self):
        parties = [self.party(0, "model"), self.party(1, "other", "coloured")]
        for party in parties:
            self.assertIn("different networks", self.told(party))

    def test_images_of_another_shape_are_refused(self):
        self.assertIn("takes images of [2, 2, 2]", self.told(self.party(1, "skeleton", "coloured")))

    def test_nobody_is_waited_for_for_ever(self):
        self.assertIn("within 3 s", self.told(self.party(0, "model", patience="3")))

    def test_a_party_that_dies_is_missed(self):
        # Images that never come keep it from the meeting, however fast the machine is.
        os.mkfifo(self.folder / "never.safetensors")
        parties = [self.party(0, "model", patience="5"), self.party(1, "skeleton", "never", patience="5")]
        time.sleep(1.0)
        parties[1].send_signal(signal.SIGKILL)
        parties[1].communicate()
        self.assertRegex(self.told(parties[0]), "within 5 s|is gone")


if __name__ == "__main__":
    unittest.main()
