"""What the engines' programs share: parties that fail are told, and what differs is found.

  python -m unittest test_handover        (in this folder, with an engine's Python)
"""

import argparse
import contextlib
import io
import json
import pathlib
import sys
import tempfile
import time
import unittest

import handover
import numpy as np
import onnx
from onnx import TensorProto, helper


def network(weight, channels=2):
    """The smallest network: a convolution with weights that are all `weight`."""
    kernel = helper.make_tensor("kernel", TensorProto.FLOAT, [1, channels, 1, 1], [weight] * channels)
    shape = {"kernel_shape": [1, 1], "pads": [0, 0, 0, 0], "strides": [1, 1], "dilations": [1, 1], "group": 1}
    node = helper.make_node("Conv", ["images", "kernel"], ["map"], **shape)
    flat = helper.make_node("Flatten", ["map"], ["logits"], axis=1)
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", channels, 2, 2])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 4])
    graph = helper.make_graph([node, flat], "test", [images], [logits], [kernel])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class Parties(unittest.TestCase):
    """Each is a small program of its own."""

    def run_parties(self, *programs, timeout=20.0):
        with tempfile.TemporaryDirectory() as folder:
            results = [f"{folder}/{rank}.json" for rank in range(len(programs))]
            commands = {
                result: [sys.executable, "-c", f"result = {result!r}\n{program}"]
                for result, program in zip(results, programs)
            }
            return handover.run_parties(commands, timeout, grace=1)

    GOOD = "import json; json.dump({'bytes': 7}, open(result, 'w'))"
    WAITING = "import time; time.sleep(60)"

    def test_results_come_in_their_order(self):
        other = self.GOOD.replace("7", "8")
        self.assertEqual(self.run_parties(self.GOOD, other), [{"bytes": 7}, {"bytes": 8}])

    def test_a_party_that_fails_is_named_with_its_words(self):
        bad = "import sys; print('noise'); print('error: no images', file=sys.stderr); sys.exit(2)"
        with self.assertRaisesRegex(handover.Wrong, "party 1 ended with exit code 2: no images"):
            self.run_parties(self.GOOD, bad)

    def test_a_party_that_is_killed_does_not_leave_the_other_waiting(self):
        killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
        start = time.monotonic()
        with self.assertRaisesRegex(handover.Wrong, "party 0 ended with exit code -9"):
            self.run_parties(killed, self.WAITING, timeout=50)
        self.assertLess(time.monotonic() - start, 30)

    def test_time_that_is_up_is_told(self):
        with self.assertRaisesRegex(handover.Wrong, "did not end within 1 s; party 1"):
            self.run_parties(self.GOOD, self.WAITING, timeout=1)


class Files(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.model = pathlib.Path(scratch.name) / "m.onnx"
        onnx.save(network(3.0), self.model)
        onnx.save(network(0.0), self.model.with_suffix(".skeleton.onnx"))
        price = {"bytes": 100.0, "bytes_once": 60.0, "bytes_session": 40.0, "rounds": 5.0}
        manifest = {
            "format": handover.FORMAT,
            "model": "test",
            "relus": 1,
            "relu_total": 4,
            "expected": {"crypten": {"public": price}},
        }
        self.manifest = self.model.with_suffix(".json")
        self.manifest.write_text(json.dumps(manifest))

    def test_what_is_missing_or_older_is_refused(self):
        handover.HandOver(self.model)
        self.manifest.write_text('{"format": "autorep-pi-0"}')
        with self.assertRaisesRegex(handover.Wrong, "export the run again"):
            handover.HandOver(self.model)
        self.manifest.write_text("{")
        with self.assertRaisesRegex(handover.Wrong, "is no manifest"):
            handover.HandOver(self.model)
        self.manifest.unlink()
        with self.assertRaisesRegex(handover.Wrong, "m.json is missing"):
            handover.HandOver(self.model)

    def test_what_is_no_network_or_no_images_is_refused(self):
        for text in (b"", b"\xff\xff\xff"):
            self.model.write_bytes(text)
            with self.assertRaisesRegex(handover.Wrong, "m.onnx (is no ONNX file|holds no network)"):
                handover.load(self.model)
        for path in (self.manifest, self.manifest.with_name("nothing")):
            with self.assertRaisesRegex(handover.Wrong, "autorep data export"):
                handover.read_images(path, 1)

    def test_a_skeleton_is_the_network_unless_weights_are_public(self):
        ours, skeleton, other = network(3.0), network(0.0), network(0.0, channels=3)
        for weights, same in (("encrypted", True), ("public", False)):
            same_as = handover.identity(ours, weights) == handover.identity(skeleton, weights)
            self.assertEqual(same_as, same, weights)
            self.assertNotEqual(handover.identity(ours, weights), handover.identity(other, weights))

    def compare(self, bytes_, rounds, logits=None, predicted=None):
        """Four images, of which each costs 40 bytes and a fourth of 60 + 40."""
        hand_over = handover.HandOver(self.model)
        images = np.random.default_rng(0).normal(size=(4, 2, 2, 2)).astype(np.float32)
        plain = hand_over.plain(images)
        np.testing.assert_allclose(plain, 3 * images.sum(1).reshape(4, 4), rtol=1e-5)
        party = {"bytes": bytes_, "rounds": rounds, "seconds": 1.0, "processor_seconds": 1.0}
        labels = plain.argmax(1)
        logits = plain if logits is None else logits(plain)
        options = argparse.Namespace(weights="public", fixed_point=None)
        if predicted is not None:
            options.fixed_point = self.manifest.with_name("eval.json")
            options.fixed_point.write_text(json.dumps({"largest_error": predicted}))
        with contextlib.redirect_stdout(io.StringIO()):
            result = handover.compare(hand_over, "crypten", options, images, labels, logits, [party, party], 0.01)
        return result["differences"]

    def test_differences_are_found(self):
        self.assertEqual(self.compare(4 * 65, 5), [])
        self.assertEqual(self.compare(4 * 65.5, 5), [])
        self.assertRegex(self.compare(4 * 66, 5)[0], r"bytes are \+1.5 %")
        self.assertRegex(self.compare(4 * 65, 6)[0], "6 rounds, not 5")
        self.assertRegex(self.compare(4 * 65, 5, lambda plain: -plain)[0], "top-1 of 4 of 4")
        self.assertRegex(self.compare(4 * 65, 5, lambda plain: plain * np.nan)[-1], "not finite")
        off = lambda plain: plain + np.float32(1e-3)  # noqa: E731
        self.assertEqual(self.compare(4 * 65, 5, off, predicted=1.5e-3), [])
        for predicted in (4e-4, 3e-3):
            self.assertRegex(self.compare(4 * 65, 5, off, predicted)[0], "largest error of a logit")


if __name__ == "__main__":
    unittest.main()
