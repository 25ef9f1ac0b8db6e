"""A network without ReLUs on an encrypted image, in TenSEAL's CKKS.

A ciphertext holds all elements of a tensor. Whatever is linear in them is a matrix, sums and squares go element by
element, so that these three operations are all that is needed.
"""

import functools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import handover
import numpy as np
import onnx
from onnx import helper, numpy_helper

try:
    import tenseal
except ModuleNotFoundError:
    raise SystemExit("error: tenseal is not installed here: `make pi-ckks` makes an environment with it") from None

# Bits of a number's fraction, and of the prime that a level takes from the modulus.
SCALE = 40
# Bits of the first and the last prime, which are no levels.
ENDS = 60
# Bits of modulus at 128 bits of security, by the degree of the polynomials (Homomorphic Encryption Standard, 2018).
MODULUS = {8192: 218, 16384: 438, 32768: 881}
# A product with a matrix, by node.
LINEAR = ("Conv", "Gemm", "AveragePool", "GlobalAveragePool")


def context(levels):
    """Keys for a computation of so many levels: the least degree that is safe. Also returns the degree."""
    bits = 2 * ENDS + levels * SCALE
    degree = next((degree for degree, most in MODULUS.items() if bits <= most), None)
    if degree is None:
        most = (max(MODULUS.values()) - 2 * ENDS) // SCALE
        raise handover.Wrong(
            f"the network takes {levels} levels, and {most} are all that there are without bootstrapping, which TenSEAL "
            "does not have: search a shallower network, or take the weights to an engine that has"
        )
    keys = tenseal.context(
        tenseal.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=[ENDS, *[SCALE] * levels, ENDS]
    )
    keys.global_scale = 2**SCALE
    keys.generate_galois_keys()
    return keys, degree


class Network:
    """The graph of MODEL.onnx as matrices, sums and squares."""

    def __init__(self, path):
        self.model = onnx.shape_inference.infer_shapes(handover.load(path))
        graph = self.model.graph
        self.plain = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.shapes = {
            value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim][1:]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self.input, self.output = graph.input[0].name, graph.output[0].name
        for node in graph.node:
            if node.op_type == "Constant":
                self.plain[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            elif node.op_type not in ("Add", "Sub", "Pow", "Flatten", *LINEAR):
                raise handover.Wrong(
                    f"{node.output[0]} is a {node.op_type}, which CKKS cannot compute: search with --budget 0, and choose "
                    "an architecture without max-pooling and sigmoids"
                )
        self.nodes = [node for node in graph.node if node.op_type != "Constant"]

    @functools.cached_property
    def length(self):
        """Elements of every ciphertext: a power of two, and the largest tensor's.

        TenSEAL's product with a matrix rotates its operand, which must therefore repeat in the ciphertext with the
        period of the matrix. Matrices of one size that divides the slots keep that up from layer to layer; others
        give wrong numbers without a word.
        """
        largest = max(int(np.prod(shape)) for shape in self.shapes.values())
        return 1 << (largest - 1).bit_length()

    def padded(self, values):
        """A vector, or the rows and columns of a matrix, with zeros to the length of a ciphertext."""
        values = np.asarray(values, float)
        return np.pad(values, [(0, self.length - size) for size in values.shape]).tolist()

    def constant(self, values, encrypted):
        """A vector to add to others like `encrypted`.

        It is encrypted, with the public key, since that repeats it in the ciphertext, and adding a list does not.
        """
        return tenseal.ckks_vector(encrypted.context(), self.padded(values))

    def affine(self, node):
        """The matrix [inputs, outputs] and the offset [outputs] of a linear node: what it makes of zero and of each
        unit vector."""
        import onnxruntime

        shape = self.shapes[node.input[0]]
        size = int(np.prod(shape))
        images = helper.make_tensor_value_info(node.input[0], onnx.TensorProto.FLOAT, ["N", *shape])
        outputs = helper.make_tensor_value_info(node.output[0], onnx.TensorProto.FLOAT, None)
        weights = [tensor for tensor in self.model.graph.initializer if tensor.name in node.input]
        graph = helper.make_graph([node], "node", [images], [outputs], weights)
        model = helper.make_model(graph, opset_imports=self.model.opset_import, ir_version=self.model.ir_version)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        units = np.concatenate([np.zeros((1, size)), np.eye(size)]).astype(np.float32).reshape(-1, *shape)
        made = session.run(None, {node.input[0]: units})[0].reshape(size + 1, -1).astype(float)
        return made[1:] - made[0], made[0]

    def evaluate(self, encrypted, progress=lambda node: None):
        """The encrypted logits of an encrypted image. Only the public part of its context is used."""
        values = {self.input: encrypted}
        for node in self.nodes:
            progress(node)
            name = node.output[0]
            first = values[node.input[0]]
            match node.op_type:
                case "Add" | "Sub":
                    second = node.input[1]
                    if second in values:
                        other = values[second]
                    else:
                        whole = np.broadcast_to(self.plain[second], [1, *self.shapes[name]])
                        other = self.constant(whole.ravel(), first)
                    values[name] = first + other if node.op_type == "Add" else first - other
                case "Pow":
                    values[name] = first.square()
                case "Flatten":
                    values[name] = first
                case _:
                    matrix, offset = self.affine(node)
                    values[name] = first.matmul(self.padded(matrix)) + self.constant(offset, first)
        return values[self.output]

    def logits(self, keys, image, progress=lambda node: None):
        """Encrypts an image [C, H, W], evaluates it and decrypts: the logits, and the bytes of the ciphertexts there and
        back."""
        there = tenseal.ckks_vector(keys, self.padded(image.ravel()))
        try:
            back = self.evaluate(there, progress)
        except ValueError as error:
            # SEAL's words where the modulus has no prime left.
            if "scale out of bounds" in str(error) or "end of modulus" in str(error):
                raise handover.Wrong(f"the network takes more levels than there are: {error}") from error
            raise
        logits = np.array(back.decrypt())[: int(np.prod(self.shapes[self.output]))]
        return logits, len(there.serialize()), len(back.serialize())
