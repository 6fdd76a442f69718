r"""Reads and runs a raw network file (``.npz``) with NumPy alone.

This one file is enough: it imports the standard library and NumPy, and works where it
is copied to. ``docs/raw_format.md`` describes what it reads.

Products of signs are matrix products of -1, 0 and +1 in float32: all partial sums are
integers of at most ``I kh kw < 2**24``, so they are exact in any order. XOR and
population count read fewer bytes, but each is a pass over memory in NumPy, and zeros
outside of the image would need a second product.

    python numpy_reference.py model.npz photo.npy
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import numpy as np
except ModuleNotFoundError:
    sys.exit("error: NumPy is not installed: pip install numpy")

FORMAT, VERSION = "cmim-raw", 1
PROGRAM = "program"
DIGEST = re.compile(rb'(?<="sha256":")[0-9a-f]{64}')
# Weights hardly compress: a file that unpacks to more than this is no network.
LARGEST_RATIO, ALWAYS_READ = 20, 2**26


class RawNetworkError(ValueError):
    """A file or an input that is not what it should be."""


def unpack_signs(bits: np.ndarray, channels: int) -> np.ndarray:
    """uint8 ``(O, kh, kw, ceil(I / 8))`` to float32 ``(O, I, kh, kw)``: bit 1 is +1.

    Examples:
        >>> unpack_signs(np.array([[[[13]]]], np.uint8), 4).ravel().tolist()
        [1.0, -1.0, 1.0, 1.0]
    """
    ones = np.unpackbits(bits, axis=-1, count=channels, bitorder="little")
    return (2 * ones.astype(np.float32) - 1).transpose(0, 3, 1, 2)


def windows(x: np.ndarray, kernel: Any, stride: Any, dilation: Any) -> np.ndarray:
    """A view of what lies under a kernel: ``(N, C, H', W', kh, kw)``."""
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def convolve(x: np.ndarray, weight: np.ndarray, step: dict) -> np.ndarray:
    """Cross-correlation with zeros outside of the image, one image at a time."""
    (rows, columns), o = step["padding"], len(weight)
    x = np.pad(x, ((0, 0), (0, 0), (rows, rows), (columns, columns)))
    view = windows(x, weight.shape[2:], step["stride"], step["dilation"])
    flat = weight.reshape(groups := step.get("groups", 1), o // groups, -1)
    out = np.empty((len(x), o, *view.shape[2:4]), np.float32)
    for image, target in zip(view, out, strict=True):
        under = image.transpose(0, 3, 4, 1, 2).reshape(groups, flat.shape[2], -1)
        target[...] = (flat @ under).reshape(target.shape)
    return out


def binary_conv(step: dict, arrays: dict, x: np.ndarray) -> np.ndarray:
    """Sum over steps and terms: ``scale * (half * W * s + middle * W * 1)``."""
    if step["centred"]:
        x = x - x.mean((1, 2, 3), np.float64, keepdims=True).astype(np.float32)
    stored = (b[:1] if (b == b[:1]).all() else b for b in arrays["bits"])  # offsets
    weights = [unpack_signs(b, step["in_channels"]) for b in stored]
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


def pooled(x: np.ndarray, step: dict, outside: float) -> np.ndarray:
    pads = [(0, 0), (0, 0), *zip(step["begin"], step["end"], strict=True)]
    x = np.pad(x, pads, constant_values=np.float32(outside))
    return windows(x, step["kernel"], step["stride"], step["dilation"])


def axes(step: dict) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in step["axes"])  # they do not count the images


def bilinear(size: int, wanted: int) -> np.ndarray:
    """The part of each pixel in each wanted one, along an axis: ``(wanted, size)``."""
    centres = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    return np.maximum(1 - abs(centres[:, None] - np.arange(size)), 0, dtype=np.float32)


# s is a step, a its arrays by role, x and y are what it reads.
OPERATORS: dict[str, Callable[..., np.ndarray]] = {
    "binary_conv": binary_conv,
    "conv": lambda s, a, x: convolve(x, a["weight"], s) + per_channel(a["bias"], x),
    "linear": lambda s, a, x: x @ a["weight"].T + a["bias"],
    "affine": lambda s, a, x: (
        x * per_channel(a["scale"], x) + per_channel(a["shift"], x)
    ),
    "constant": lambda s, a: a["value"][None],
    "add": lambda s, a, x, y: x + y,
    "subtract": lambda s, a, x, y: x - y,
    "multiply": lambda s, a, x, y: x * y,
    "divide": lambda s, a, x, y: x / y,
    "relu": lambda s, a, x: np.maximum(x, np.float32(0)),
    "prelu": lambda s, a, x: np.where(x > 0, x, x * per_channel(a["slope"], x)),
    "clip": lambda s, a, x: np.clip(x, s["low"], s["high"]),
    "exp": lambda s, a, x: np.exp(x),
    "absolute": lambda s, a, x: np.abs(x),
    "max_pool": lambda s, a, x: pooled(x, s, -np.inf).max(axis=(4, 5)),
    "avg_pool": lambda s, a, x: (
        pooled(x, s, 0).sum(axis=(4, 5))
        / pooled(np.ones_like(x[:1, :1]), s, 0).sum(axis=(4, 5))
    ),
    "mean": lambda s, a, x: x.mean(axes(s)).reshape(len(x), *s["shape"]),
    "norm": lambda s, a, x: np.sqrt((x * x).sum(axes(s))).reshape(len(x), *s["shape"]),
    "resize": lambda s, a, x: (
        bilinear(x.shape[2], s["shape"][1]) @ x @ bilinear(x.shape[3], s["shape"][2]).T
    ),
    "concat": lambda s, a, *xs: np.concatenate(xs, axis=s["axis"] + 1),
    "slice": lambda s, a, x: x[
        (slice(None),) * (s["axis"] + 1) + (slice(s["start"], s["stop"], s["step"]),)
    ],
    "pad": lambda s, a, x: np.pad(
        x, [(0, 0), *s["widths"]], constant_values=s["value"]
    ),
    "reshape": lambda s, a, x: x.reshape(len(x), *s["shape"]),
    "broadcast": lambda s, a, x: np.broadcast_to(x, (len(x), *s["shape"])),
}


def run_step(step: dict, arrays: dict, inputs: list[np.ndarray]) -> np.ndarray:
    """One step; what does not fit together is an error of the file."""
    try:
        found = OPERATORS[step["op"]](step, arrays, *inputs)
        if list(found.shape[1:]) != list(step["shape"]):
            raise ValueError(f"gives {found.shape[1:]}, not {step['shape']}")
    except (LookupError, TypeError, ValueError) as error:
        where = f"step {step['output']!r} ({step['op']}) cannot be run"
        raise RawNetworkError(f"{where}, the file is damaged: {error}") from error
    return found


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
        """``(C, H, W)``: three bands, or as many as the network was trained on."""
        return tuple(self.document["input"]["shape"])

    def normalise(self, images: np.ndarray) -> np.ndarray:
        """uint8 ``([N,] H, W, C)``, RGB first, as the input ``(N, C, H, W)``."""
        n = self.input_shape[0]
        if images.ndim not in (3, 4) or images.shape[-1] != n:
            raise RawNetworkError(f"images are {images.shape}, not ([N,] H, W, {n})")
        if images.dtype != np.uint8:
            raise RawNetworkError(f"images are {images.dtype}; give uint8, 0 to 255")
        given = self.document["input"]
        x = images.reshape(-1, *images.shape[-3:]).astype(np.float32)
        x = (x - np.float32(given["mean"])) / np.float32(given["std"])
        return np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def run(self, images: np.ndarray) -> Any:
        """float32 ``(N, C, H, W)``, normalised, to the output, a tuple of several."""
        if images.ndim != 4 or images.shape[1:] != self.input_shape:
            takes = f"takes (N, C, H, W) of {self.input_shape}"
            wanted = f"this network {takes}: export it with another --size"
            raise RawNetworkError(f"images are {images.shape}; {wanted}")
        values = {self.document["input"]["name"]: np.asarray(images, np.float32)}
        outputs = self.document["outputs"]
        for k, step in enumerate(self.steps):
            arrays = {role: self.arrays[key] for role, key in step["arrays"].items()}
            inputs = [values[name] for name in step["inputs"]]
            values[step["output"]] = run_step(step, arrays, inputs)
            for name in set(step["inputs"]) - set(outputs):
                if self._last[name] == k:
                    del values[name]
        results = tuple(values[name] for name in outputs)
        return results[0] if len(results) == 1 else results


def digest_of(text: bytes, arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of the program, with zeros for its digest, and of the arrays by name."""
    found = hashlib.sha256(DIGEST.sub(b"0" * 64, text))
    for name, array in sorted(arrays.items()):
        header = f"{name} {array.dtype.str} {list(array.shape)}\n"
        found.update(header.encode() + array.tobytes())
    return found.hexdigest()


def load_network(path: str | Path) -> Network:
    """Read a ``.npz``, executing nothing; ``RawNetworkError`` if it is none of ours."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"'{path}' does not exist, or is no file")
    try:
        check_archive(path)
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        text = bytes(arrays.pop(PROGRAM))
        network = Network(json.loads(text), arrays)
        # Files from before there was one have no digest.
        if network.document.get("sha256", "") not in ("", digest_of(text, arrays)):
            raise RawNetworkError("its digest is another one")
    except Exception as error:
        # A damaged file fails in any way: zlib, zip, JSON, headers of arrays.
        what = str(error) or type(error).__name__
        raise RawNetworkError(f"{path} is damaged or no raw network: {what}") from None
    return network


def check_archive(path: str | Path) -> None:
    """Refuse what unpacks to a multiple of itself or differs from its checksums."""
    with zipfile.ZipFile(path) as file:
        size = sum(x.file_size for x in file.infolist())
        if size > max(ALWAYS_READ, LARGEST_RATIO * Path(path).stat().st_size):
            raise RawNetworkError(f"it would unpack to {size / 1e6:.0f} MB")
        # NumPy compares no checksum of an array that says it is shorter.
        if file.testzip():
            raise RawNetworkError("a checksum is wrong")


def check_document(document: Any, arrays: dict[str, np.ndarray]) -> None:
    """Refuse a program that is of another format, or names what is not there."""
    found = document.get("format") if isinstance(document, dict) else None
    if found != FORMAT:
        raise RawNetworkError(f"format {found!r} is not {FORMAT!r}")
    if (version := document.get("version")) != VERSION:
        known = f"the version {VERSION} that this reader knows"
        raise RawNetworkError(f"raw format version {version} is not {known}")
    made = {document["input"]["name"]}
    for step in document["steps"]:
        where = f"step {step['output']!r}"
        if step["op"] not in OPERATORS:
            raise RawNetworkError(f"{where}: unknown operation {step['op']!r}")
        missing = [name for name in step["inputs"] if name not in made]
        missing += [key for key in step["arrays"].values() if key not in arrays]
        if missing:
            raise RawNetworkError(f"{where}: {missing[0]!r} is not in the file")
        made.add(step["output"])
    if not set(document["outputs"]) <= made:
        raise RawNetworkError("an output of the network is made by no step")


def main(words: list[str]) -> None:
    """List a file's steps, and time it on an image: uint8 ``(H, W, C)``, ``.npy``."""
    if not words or len(words) > 2 or words[0].startswith("-"):
        raise RawNetworkError("usage: python numpy_reference.py MODEL.npz [PHOTO.npy]")
    network = load_network(words[0])
    print(json.dumps(network.document.get("identity", "it says of no task")))
    for step in network.steps:
        shape = "x".join(map(str, step["shape"]))
        print(f"{step['op']:12s} {shape:14s} {step.get('name', '')}")
    images = np.zeros((1, *network.input_shape), np.float32)
    if len(words) > 1:
        try:
            photo = np.lib.format.open_memmap(words[1], mode="r")
        except ValueError as error:
            raise RawNetworkError(f"{words[1]} is no .npy file: {error}") from None
        images = network.normalise(photo)
    begin = time.perf_counter()
    network.run(images)
    print(f"{(time.perf_counter() - begin) / len(images):.3f} s an image")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
        sys.stdout.flush()
    except (RawNetworkError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
