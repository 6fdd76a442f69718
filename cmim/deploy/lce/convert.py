"""A raw program as a ``.tflite`` file of Larq Compute Engine. Runs in its Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from cmim.deploy.lce import flatbuffer
from cmim.deploy.lce.binary_conv import add_binary_conv
from cmim.deploy.lce.layout import last_shape
from cmim.deploy.lce.operators import Operators, TranslationError
from cmim.deploy.lce.products import Product, pack_signs, products_of
from cmim.deploy.numpy_reference import Network

Step = dict[str, Any]


def shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    """The shape of each value, channels first, without the images."""
    found = {network.document["input"]["name"]: network.input_shape}
    return found | {step["output"]: tuple(step["shape"]) for step in network.steps}


def arrays_of(network: Network, step: Step) -> dict[str, np.ndarray]:
    """A step's arrays by their role."""
    return {role: network.arrays[key] for role, key in step["arrays"].items()}


def binary_steps(
    network: Network,
) -> Iterator[tuple[Step, tuple[int, ...], list[Product]]]:
    """Each binary convolution, the shape of its input, and what it is the sum of."""
    shapes = shapes_of(network)
    for step in network.steps:
        if step["op"] == "binary_conv":
            shape = shapes[step["inputs"][0]]
            arrays = arrays_of(network, step)
            yield step, shape, products_of(step, arrays, shape[1:])[0]


def run_program(tf: Any, network: Network, image: Any, batch: int) -> list[Any]:
    """The outputs of a network for normalised images, all channels last.

    Raises:
        TranslationError: A step has no form of the engine, by its layer's name.
    """
    shapes, operators = shapes_of(network), Operators(tf, batch)
    values = {network.document["input"]["name"]: image}
    maps = {step["output"] for step in network.steps if step["op"] == "constant"}
    for step in network.steps:
        arrays = arrays_of(network, step)
        inputs = [values[name] for name in step["inputs"]]
        if step["op"] != "binary_conv" and not maps.isdisjoint(step["inputs"]):
            inputs = [
                x if name in maps else operators.apart(x)
                for name, x in zip(step["inputs"], inputs, strict=True)
            ]
        if step["op"] == "binary_conv":
            found = add_binary_conv(tf, step, arrays, inputs[0])
        else:
            given = [shapes[name] for name in step["inputs"]]
            found = operators(step, arrays, given, inputs)
        if tuple(found.shape[1:]) != last_shape(step["shape"]):
            raise TranslationError(
                f"{step['name'] or step['output']}: {step['op']} became "
                f"{tuple(found.shape[1:])}, not {last_shape(step['shape'])}"
            )
        values[step["output"]] = found
    return [values[name] for name in network.document["outputs"]]


def convert(
    shapes: Sequence[Sequence[int]], function: Callable[[Any, list], list]
) -> bytes:
    """A ``.tflite`` file of what a function makes of inputs of these shapes.

    Args:
        shapes: The images counted.
        function: TensorFlow and a list of tensors to a list of tensors.
    """
    import tensorflow as tf
    from larq_compute_engine import convert_keras_model

    # The converter puts what goes in and out in the order of the names.
    inputs = [
        tf.keras.Input(batch_shape=tuple(shape), name=f"input_{k:05d}")
        for k, shape in enumerate(shapes)
    ]
    refused: list[TranslationError] = []

    def run(given: Any) -> list:
        try:
            return function(tf, list(given) if len(shapes) > 1 else [given])
        except TranslationError as error:
            refused.append(error)
            raise

    try:
        found = tf.keras.layers.Lambda(run)(inputs if len(shapes) > 1 else inputs[0])
    except TranslationError:
        # Keras adds to what errors of layers say.
        raise refused[0] from None
    outputs = [
        tf.keras.layers.Lambda(lambda x: x, name=f"output_{k:05d}")(output)
        for k, output in enumerate(found)
    ]
    return convert_keras_model(tf.keras.Model(inputs, outputs))


def convert_network(
    network: Network, batch: int, outputs: Sequence[str], notes: dict[str, Any]
) -> tuple[bytes, list[dict[str, str]]]:
    """The file of a network.

    Args:
        network: Read from an ``.npz``.
        batch: Images at a time.
        outputs: Names of its outputs.
        notes: For the metadata.

    Returns:
        The file, and rows ``name``, ``type``, ``kernel`` and ``output`` of the
        operators with weights.

    Raises:
        TranslationError: A layer that the engine cannot compute, by name.
    """
    shape = (batch, *last_shape(network.input_shape))
    data = convert([shape], lambda tf, x: run_program(tf, network, x[0], batch))
    model = flatbuffer.read_model(data)
    flatbuffer.rename(model, ["image"], outputs)
    flatbuffer.note(model, notes)
    return flatbuffer.packed(model), _rows(network, model)


def _rows(network: Network, model: Any) -> list[dict[str, str]]:
    """The operators with weights; every product must be one with its bits.

    The converter computes products of equal bits and equal activations once; a product
    without an operator of its own is such a one, if its bits are in the file and not
    as floats.
    """
    waiting: dict[bytes, list[tuple[str, Product]]] = {}
    for step, _, products in binary_steps(network):
        for product in products:
            waiting.setdefault(product.packed(), []).append((step["name"], product))
    rows, written, as_floats = [], {}, set()
    for operator in flatbuffer.operators_of(model):
        name, weight = operator.name, "x".join(map(str, operator.weight))
        output = "x".join(map(str, operator.output))
        if operator.kind == flatbuffer.BINARY:
            found = waiting.get(operator.stored)
            if found is None:
                raise TranslationError(f"{name}: its bits are of no layer")
            written[operator.stored] = output
            if not found:
                continue
            name, product = found.pop(0)
            weight = _kernel(product)
        elif operator.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            if operator.kind == "CONV_2D":
                as_floats.add(_signs_of(operator))
            weight += ", float32"
        else:
            continue
        rows.append(dict(name=name, type=operator.kind, kernel=weight, output=output))
    for bits, kept in waiting.items():
        for name, product in kept:
            if bits not in written or bits in as_floats:
                raise TranslationError(
                    f"{name}: the converter of Larq Compute Engine did not make it "
                    "binary"
                )
            rows.append(
                dict(
                    name=name,
                    type=flatbuffer.BINARY,
                    kernel=_kernel(product),
                    output=written[bits],
                )
            )
    return rows


def _kernel(product: Product) -> str:
    return "x".join(map(str, product.weight.shape)) + ", 1 bit"


def _signs_of(operator: flatbuffer.WrittenOperator) -> bytes:
    """The signs of float weights (O, h, w, I), as :meth:`Product.packed` gives them."""
    weights = np.frombuffer(operator.stored, np.float32).reshape(operator.weight)
    return pack_signs(weights.transpose(0, 3, 1, 2))


def operator_counts(data: bytes) -> dict[str, int]:
    """How many operators of each kind a file has."""
    found = flatbuffer.operators_of(flatbuffer.read_model(data))
    return dict(Counter(operator.kind for operator in found))
