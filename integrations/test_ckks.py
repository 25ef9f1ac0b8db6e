"""Networks on encrypted numbers: widths that change, levels that run out, and what CKKS cannot do.

  python -m unittest test_ckks        (in this folder, with the Python of `make pi-ckks`)
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import handover
import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file
from test_handover import network

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "ckks"))
import engine


def polynomial(activation="Pow"):
    """Two linear layers, 3 → 7 → 2, around squares, or around another activation: three levels."""
    draw = np.random.default_rng(1).standard_normal
    tensors = {"a": draw((7, 3)), "b": draw(7), "c": draw((2, 7)), "d": draw(2)}
    weights = [helper.make_tensor(name, TensorProto.FLOAT, value.shape, value.ravel()) for name, value in tensors.items()]
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    nodes = [
        helper.make_node("Constant", [], ["exponent"], value=two),
        helper.make_node("Gemm", ["images", "a", "b"], ["wide"], transB=1),
        helper.make_node(activation, ["wide", "exponent"] if activation == "Pow" else ["wide"], ["square"]),
        helper.make_node("Gemm", ["square", "c", "d"], ["logits"], transB=1),
    ]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])
    graph = helper.make_graph(nodes, "test", [images], [logits], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


class Encrypted(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.path = pathlib.Path(scratch.name) / "model.onnx"

    def load(self, model):
        onnx.save(model, self.path)
        return engine.Network(self.path)

    def plain(self, image):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.path), providers=["CPUExecutionProvider"])
        return session.run(None, {"images": image[None].astype(np.float32)})[0][0]

    def test_answers_are_those_in_the_clear(self):
        image = np.random.default_rng(2).standard_normal(3)
        loaded = self.load(polynomial())
        self.assertEqual(loaded.length, 8)
        keys, _ = engine.context(3)
        logits, there, back = loaded.logits(keys, image)
        np.testing.assert_allclose(logits, self.plain(image), atol=1e-4)
        self.assertLess(back, there)

    def test_a_convolution_is_its_matrix(self):
        image = np.arange(8.0).reshape(2, 2, 2)
        loaded = self.load(network(3.0))
        keys, _ = engine.context(1)
        logits, *_ = loaded.logits(keys, image)
        np.testing.assert_allclose(logits, 3 * (image[0] + image[1]).ravel(), atol=1e-4)

    def test_levels_that_run_out_are_told(self):
        keys, _ = engine.context(2)
        with self.assertRaisesRegex(handover.Wrong, "more levels"):
            self.load(polynomial()).logits(keys, np.ones(3))
        with self.assertRaisesRegex(handover.Wrong, "19 are all"):
            engine.context(20)

    def test_what_ckks_cannot_do_is_named(self):
        with self.assertRaisesRegex(handover.Wrong, "square is a Relu"):
            self.load(polynomial("Relu"))


class Program(unittest.TestCase):
    """What does not fit together is told before keys are made."""

    def run_on(self, shape, manifest):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder)
            for name in ("m.onnx", "m.skeleton.onnx"):
                onnx.save(network(3.0), path / name)
            (path / "m.json").write_text(json.dumps({"format": handover.FORMAT, **manifest}))
            save_file({"images": np.ones(shape, np.float32), "labels": np.zeros(1, np.uint32)}, path / "i.safetensors")
            command = [sys.executable, str(HERE / "ckks" / "run.py"), str(path / "m.onnx")]
            return subprocess.run([*command, "--images", str(path / "i.safetensors")], capture_output=True, text=True)

    def test_images_of_another_shape(self):
        ended = self.run_on((1, 3, 2, 2), {"ckks": {"levels": 1}})
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertRegex(ended.stderr, "^error: .*another shape than the network's, 2×2×2")

    def test_a_manifest_without_levels(self):
        ended = self.run_on((1, 2, 2, 2), {})
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertRegex(ended.stderr, "^error: .*export the run again")


if __name__ == "__main__":
    unittest.main()
