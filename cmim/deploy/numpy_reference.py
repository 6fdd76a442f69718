r"""Reads and runs a raw network file (``.npz``) with NumPy alone.

This one file is enough: it imports the standard library and NumPy, and works where it
is copied to. ``docs/raw_format.md`` describes what it reads.

Products of signs are matrix products of -1, 0 and +1 in float32: all partial sums are
integers of at most ``I kh kw < 2**24``, so they are exact in any order. XOR and
population count would read fewer bytes, but in NumPy each is a pass over memory, a
matrix product is one call of the BLAS, and zeros outside of the image need no second
product there.

    python numpy_reference.py model.npz photo.npy
"""

from __future__ import annotations

import json
import sys
import time
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

FORMAT, VERSION = "cmim-raw", 1
PROGRAM = "program"
MOST, RATIO = 1 << 24, 20  # bytes that a file may unpack to, and times its size


class RawNetworkError(ValueError):
    """A file, or an input, that is not what it should be."""


def pack_signs(signs: np.ndarray) -> np.ndarray:
    """Signs as bits: 1 for +1, channels innermost, the first in the lowest bit.

    Args:
        signs: ``(O, I, kh, kw)``, -1 or +1.

    Returns:
        uint8 ``(O, kh, kw, ceil(I / 8))``, unused bits 0.

    Examples:
        >>> pack_signs(np.array([1, -1, 1, 1]).reshape(1, 4, 1, 1)).tolist()
        [[[[13]]]]
    """
    return np.packbits(signs.transpose(0, 2, 3, 1) > 0, axis=-1, bitorder="little")


def unpack_signs(bits: np.ndarray, channels: int) -> np.ndarray:
    """What :func:`pack_signs` packed, as float32.

    Args:
        bits: uint8 ``(O, kh, kw, ceil(I / 8))``.
        channels: I.

    Examples:
        >>> unpack_signs(np.array([[[[13]]]], np.uint8), 4).ravel().tolist()
        [1.0, -1.0, 1.0, 1.0]
    """
    ones = np.unpackbits(bits, axis=-1, count=channels, bitorder="little")
    return (2 * ones.astype(np.float32) - 1).transpose(0, 3, 1, 2)


def windows(x: np.ndarray, kernel: Any, stride: Any, dilation: Any) -> np.ndarray:
    """A view of what lies under a kernel: ``(N, C, H', W', kh, kw)``."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = sliding_window_view(x, reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def convolve(x: np.ndarray, weight: np.ndarray, step: dict) -> np.ndarray:
    """Cross-correlation with zeros outside of the image, one image at a time."""
    (rows, columns), o = step["padding"], len(weight)
    x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    view = windows(x, weight.shape[2:], step["stride"], step["dilation"])
    flat = weight.reshape(o, -1)
    out = np.empty((len(x), o, *view.shape[2:4]), np.float32)
    for image, target in zip(view, out, strict=True):
        under = image.transpose(0, 3, 4, 1, 2).reshape(flat.shape[1], -1)
        target[...] = (flat @ under).reshape(target.shape)
    return out


def binary_conv(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    """Sum over steps and terms: ``scale * (half * W * s + middle * W * 1)``."""
    if step["centred"]:
        mean = x.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64)
        x = x - mean.astype(np.float32)
    weights = [unpack_signs(b, step["in_channels"]) for b in arrays["bits"]]
    one = np.ones((1, 1, *x.shape[2:]), np.float32)
    total: Any = None
    for cut, (low, high) in zip(arrays["thresholds"], step["levels"], strict=True):
        signs = 2 * (x >= cut.reshape(-1, 1, 1)).astype(np.float32) - 1
        for weight, scale in zip(weights, arrays["scales"], strict=True):
            part = (high - low) / 2 * convolve(signs, weight, step).astype(np.float64)
            if high + low:
                inside = convolve(one, weight.sum(1, keepdims=True), step)
                part = part + (high + low) / 2 * inside.astype(np.float64)
            part = part * scale.reshape(-1, 1, 1)
            total = part if total is None else total + part
    return total.astype(np.float32)


def per_channel(values: np.ndarray, x: np.ndarray) -> np.ndarray:
    return values.reshape(-1, *[1] * (x.ndim - 2))


def conv(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    return convolve(x, arrays["weight"], step) + per_channel(arrays["bias"], x)


def affine(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    return x * per_channel(arrays["scale"], x) + per_channel(arrays["shift"], x)


def prelu(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, x * per_channel(arrays["slope"], x))


def pooled(x: np.ndarray, step: dict, outside: float) -> np.ndarray:
    (top, left), (bottom, right) = step["begin"], step["end"]
    pads = ((0, 0), (0, 0), (top, bottom), (left, right))
    x = np.pad(x, pads, constant_values=np.float32(outside))
    return windows(x, step["kernel"], step["stride"], step["dilation"])


def max_pool(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    return pooled(x, step, -np.inf).max(axis=(4, 5))


def avg_pool(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    inside = pooled(np.ones_like(x[:1, :1]), step, 0).sum(axis=(4, 5))
    return pooled(x, step, 0).sum(axis=(4, 5)) / inside


def mean(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    axes = tuple(axis + 1 for axis in step["axes"])  # they do not count the images
    return x.mean(axis=axes).reshape(len(x), *step["shape"])


def take(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    at = [slice(None)] * x.ndim
    at[step["axis"] + 1] = slice(step["start"], step["stop"], step["step"])
    return x[tuple(at)]


def pad(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    return np.pad(x, [(0, 0), *step["widths"]], constant_values=step["value"])


OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "binary_conv": binary_conv,
    "conv": conv,
    "linear": lambda step, arrays, x: x @ arrays["weight"].T + arrays["bias"],
    "affine": affine,
    "constant": lambda step, arrays: arrays["value"][None],
    "add": lambda step, arrays, x, y: x + y,
    "subtract": lambda step, arrays, x, y: x - y,
    "multiply": lambda step, arrays, x, y: x * y,
    "divide": lambda step, arrays, x, y: x / y,
    "relu": lambda step, arrays, x: np.maximum(x, np.float32(0)),
    "prelu": prelu,
    "clip": lambda step, arrays, x: np.clip(x, step["low"], step["high"]),
    "exp": lambda step, arrays, x: np.exp(x),
    "absolute": lambda step, arrays, x: np.abs(x),
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "mean": mean,
    "concat": lambda step, arrays, *xs: np.concatenate(xs, axis=step["axis"] + 1),
    "slice": take,
    "pad": pad,
    "reshape": lambda step, arrays, x: x.reshape(len(x), *step["shape"]),
    "broadcast": lambda step, arrays, x: np.broadcast_to(x, (len(x), *step["shape"])),
}


class Network:
    """A program, as ``docs/raw_format.md`` describes it, and its arrays by name."""

    def __init__(self, document: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        check_document(document, arrays)
        self.document, self.arrays = document, arrays
        self.steps: list[dict] = document["steps"]
        # The last step that reads a value; what is output is kept.
        self._last = {name: k for k, s in enumerate(self.steps) for name in s["inputs"]}

    @property
    def input_shape(self) -> tuple[int, ...]:
        """``(3, H, W)``."""
        return tuple(self.document["input"]["shape"])

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """Uint8 RGB ``([N,] H, W, 3)`` as the network's float32 ``(N, 3, H, W)``."""
        if images.ndim not in (3, 4) or images.shape[-1] != 3:
            raise RawNetworkError(f"images are {images.shape}, not ([N,] H, W, 3)")
        given = self.document["input"]
        x = images.reshape(-1, *images.shape[-3:]).astype(np.float32)
        x = (x - np.float32(given["mean"])) / np.float32(given["std"])
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def run(self, images: np.ndarray) -> Any:
        """The network's output.

        Args:
            images: float32 ``(N, 3, H, W)``, normalised.

        Returns:
            An array, or a tuple of them where the network has several outputs.

        Raises:
            RawNetworkError: Images of another size.
        """
        if images.ndim != 4 or images.shape[1:] != self.input_shape:
            raise RawNetworkError(
                f"images are {images.shape}; this network takes {self.input_shape} "
                "each, behind the number of images: export it with another --size"
            )
        values = {self.document["input"]["name"]: np.asarray(images, np.float32)}
        outputs = self.document["outputs"]
        for k, step in enumerate(self.steps):
            arrays = {role: self.arrays[key] for role, key in step["arrays"].items()}
            inputs = [values[name] for name in step["inputs"]]
            values[step["output"]] = OPERATORS[step["op"]](step, arrays, *inputs)
            for name in set(step["inputs"]) - set(outputs):
                if self._last[name] == k:
                    del values[name]
        found = tuple(values[name] for name in outputs)
        return found[0] if len(found) == 1 else found


def load_network(path: str | Path) -> Network:
    """Read a raw network file.

    Args:
        path: The ``.npz`` file; nothing in it is executed.

    Raises:
        RawNetworkError: Damaged, unpacked too large, or of another format or version.
        FileNotFoundError: There is no such file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
            # NumPy compares no checksum of an array that says it is shorter.
            if size > MOST + RATIO * Path(path).stat().st_size or archive.testzip():
                raise RawNetworkError(f"a checksum is wrong, or {size} bytes too many")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        return Network(json.loads(bytes(arrays.pop(PROGRAM))), arrays)
    except (ValueError, KeyError, TypeError, AttributeError, EOFError,
            zipfile.BadZipFile, zlib.error) as error:  # fmt: skip
        raise RawNetworkError(f"{path} is damaged or no raw network: {error}") from None


def check_document(document: Any, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a program that is of another format, or names what is not there."""
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise RawNetworkError(f"format {found!r} is not {FORMAT!r}")
    if document.get("version") != VERSION:
        raise RawNetworkError(
            f"raw format version {document.get('version')} is not the version "
            f"{VERSION} that this reader knows"
        )
    known = {document["input"]["name"]}
    for step in document["steps"]:
        where = f"step {step['output']!r}"
        if step["op"] not in OPERATORS:
            raise RawNetworkError(f"{where}: unknown operation {step['op']!r}")
        missing = [name for name in step["inputs"] if name not in known]
        missing += [key for key in step["arrays"].values() if key not in arrays]
        if missing:
            raise RawNetworkError(f"{where}: {missing[0]!r} is not in the file")
        known.add(step["output"])
    if not set(document["outputs"]) <= known:
        raise RawNetworkError("an output of the network is made by no step")


def main() -> None:
    """List a file's steps, and time it on an image: uint8 ``(H, W, 3)``, ``.npy``."""
    network = load_network(sys.argv[1])
    for step in network.steps:
        shape = "x".join(map(str, step["shape"]))
        print(f"{step['op']:12s} {shape:14s} {step.get('name', '')}")
    images = np.zeros((1, *network.input_shape), np.float32)
    if len(sys.argv) > 2:
        images = network.normalise(np.load(sys.argv[2], allow_pickle=False))
    begin = time.perf_counter()
    network.run(images)
    print(f"{(time.perf_counter() - begin) / len(images):.3f} s an image")


if __name__ == "__main__":
    main()
