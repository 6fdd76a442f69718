"""Binary layers in the engine against integers, from equal inputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from cmim.deploy.lce.binary_conv import add_binary_conv, weighted
from cmim.deploy.lce.convert import arrays_of, binary_steps, convert
from cmim.deploy.lce.layout import channels_first, channels_last
from cmim.deploy.lce.products import Product
from cmim.deploy.numpy_reference import Network, binary_conv

Step = dict[str, Any]
Layer = tuple[Step, dict[str, np.ndarray], list[Product]]


def near_thresholds(thresholds: np.ndarray, x: np.ndarray, seed: int = 0) -> np.ndarray:
    """Activations of which half lie at a threshold, or at the next float beside it.

    Zero's neighbours are the normal numbers beside it, and -0.0.

    Args:
        thresholds: float32 ``(K, I)`` or ``(K, 1)``.
        x: ``(N, I, H, W)``.
        seed: Of the choice.
    """
    random = np.random.default_rng(seed)
    tiny = np.float32(np.finfo(np.float32).tiny)
    at = thresholds[random.integers(len(thresholds))].reshape(-1, 1, 1)
    at = np.broadcast_to(at, x.shape)
    zero = np.abs(at) <= tiny
    down = np.where(zero, -2 * tiny, np.nextafter(at, np.float32(-np.inf)))
    up = np.where(zero, 2 * tiny, np.nextafter(at, np.float32(np.inf)))
    same = np.where(zero, np.float32(-0.0), at)
    choice = random.integers(8, size=x.shape)
    for k, values in enumerate((at, down, up, same)):
        x = np.where(choice == k, values, x)
    return x.astype(np.float32)


def compare_layers(network: Network, inputs: list[np.ndarray]) -> list[dict[str, Any]]:
    """Compare each product of each binary layer with integers, and whole layers.

    Of layers with thresholds relative to the image's mean the inputs are centred
    first: a mean is a rounded number, which engines may have otherwise.

    Args:
        network: Read from an ``.npz``.
        inputs: Real activations ``(1, I, H, W)`` of its binary layers, in order.

    Returns:
        Rows ``layer``, ``shape``, ``products``, ``values``, ``wrong`` and
        ``scaled_difference``, the largest of whole layers, relative.
    """
    layers: list[Layer] = []
    given = []
    for (step, _, products), x in zip(binary_steps(network), inputs, strict=True):
        if step["centred"]:
            x = x - x.mean((1, 2, 3), np.float64, keepdims=True).astype(np.float32)
        given.append(x)
        layers.append(({**step, "centred": False}, arrays_of(network, step), products))
    if not layers:
        return []
    interpreter = _interpreter(layers, given)
    rows = [_row(*layer) for layer in layers]
    near = [
        near_thresholds(arrays["thresholds"], x)
        for (_, arrays, _), x in zip(layers, given, strict=True)
    ]
    for images in (given, near):
        found = interpreter.predict([channels_last(x) for x in images])
        _count(rows, layers, images, [channels_first(np.asarray(out)) for out in found])
    return rows


def _interpreter(layers: list[Layer], inputs: list[np.ndarray]) -> Any:
    """All layers side by side: of each the sums of its products, then its output."""
    from larq_compute_engine.tflite.python.interpreter import Interpreter

    def function(tf: Any, xs: list) -> list:
        outputs = []
        for (step, arrays, products), x in zip(layers, xs, strict=True):
            for product in products:
                one = np.ones(len(product.weight))
                outputs.append(weighted(tf, step, product, x, one, 0 * one))
            outputs.append(add_binary_conv(tf, step, arrays, x))
        return outputs

    shapes = [channels_last(x).shape for x in inputs]
    return Interpreter(convert(shapes, function)).interpreter


def _row(step: Step, arrays: dict[str, np.ndarray], products: list) -> dict[str, Any]:
    outputs = arrays["scales"].shape[1]
    shape = f"{step['in_channels']} to {outputs}, {'x'.join(map(str, step['kernel']))}"
    return dict(
        layer=step["name"],
        shape=shape,
        products=len(products),
        values=0,
        wrong=0,
        scaled_difference=0.0,
    )


def _count(
    rows: list[dict[str, Any]],
    layers: list[Layer],
    inputs: list[np.ndarray],
    found: list[np.ndarray],
) -> None:
    """Add what differs between the engine's outputs and integers to the rows."""
    place = iter(found)
    for row, (step, arrays, products), x in zip(rows, layers, inputs, strict=True):
        for product in products:
            expected, ours = product.integers(step, x), next(place)
            row["values"] += expected.size
            row["wrong"] += int((ours != expected).sum())
        whole, ours = binary_conv(step, arrays, x), next(place)
        largest = max(float(np.abs(whole).max()), 1e-30)
        difference = float(np.abs(whole - ours).max()) / largest
        row["scaled_difference"] = max(row["scaled_difference"], difference)
