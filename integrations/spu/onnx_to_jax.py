"""The ONNX graph of a network for private inference as a function in JAX, which SPU compiles.

It takes the operators that `autorep export --for pi` writes and no others.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import handover
import jax
import jax.numpy as jnp
import numpy as np
from onnx import helper, numpy_helper


def to_jax(model):
    """(function of an image batch and the weights, the weights by name).

    Initializers are weights, which may be secret. Constants (shapes, the lists of kept elements) are public.
    """
    graph = model.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type not in OPERATORS:
            raise handover.Wrong(f"the network holds `{node.op_type}`, which has no form here: export it with --for pi")

    def network(images, weights):
        values = {graph.input[0].name: images, **weights}
        for node in graph.node:
            attributes = {each.name: helper.get_attribute_value(each) for each in node.attribute}
            values[node.output[0]] = OPERATORS[node.op_type](attributes, *[values[name] for name in node.input])
        return values[graph.output[0].name]

    return network, weights


def convolution(attributes, x, weight, bias=None):
    top, left, bottom, right = attributes["pads"]
    y = jax.lax.conv_general_dilated(
        x,
        weight,
        attributes["strides"],
        ((top, bottom), (left, right)),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
        feature_group_count=attributes["group"],
    )
    return y if bias is None else y + bias.reshape(1, -1, 1, 1)


def slices(_, x, starts, ends, axes, steps):
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        cut[int(axis)] = slice(int(start), int(end), int(step))
    return x[tuple(cut)]


def average(attributes, x):
    """A sum over windows, which is local, and one product with a public number."""
    (height, width), (down, right) = attributes["kernel_shape"], attributes["strides"]
    top, left, bottom, end = attributes["pads"]
    window, stride = (1, 1, height, width), (1, 1, down, right)
    pads = ((0, 0), (0, 0), (top, bottom), (left, end))
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, stride, pads) * np.float32(1 / (height * width))


def maximum(attributes, x):
    window, stride = (1, 1, *attributes["kernel_shape"]), (1, 1, *attributes["strides"])
    top, left, bottom, right = attributes["pads"]
    # What lies outside must lose every comparison, but a fixed-point number has no minus infinity.
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    return jax.lax.reduce_window(x, np.float32(-8192), jax.lax.max, window, stride, pads)


def square(_, x, exponent):
    if float(np.asarray(exponent).reshape(-1)[0]) != 2:
        raise handover.Wrong("the network holds a power that is no square")
    return jnp.square(x)


OPERATORS = {
    "Constant": lambda attributes: numpy_helper.to_array(attributes["value"]),
    "Add": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Pow": square,
    "Relu": lambda _, x: jnp.maximum(x, 0),
    "Sigmoid": lambda _, x: jax.nn.sigmoid(x),
    "Conv": convolution,
    "Gemm": lambda _, a, b, c: a @ b.T + c,
    "Flatten": lambda _, x: x.reshape(x.shape[0], -1),
    "Reshape": lambda _, x, shape: x.reshape([int(extent) for extent in shape]),
    "Concat": lambda attributes, *parts: jnp.concatenate(parts, axis=attributes["axis"]),
    "Gather": lambda attributes, x, index: jnp.take(x, np.asarray(index), axis=attributes["axis"], mode="clip"),
    "Slice": slices,
    "AveragePool": average,
    "GlobalAveragePool": lambda _, x: jnp.sum(x, axis=(2, 3), keepdims=True) * np.float32(1 / (x.shape[2] * x.shape[3])),
    "MaxPool": maximum,
}
