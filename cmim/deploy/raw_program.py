"""A packed network as a program: a list of steps in a small vocabulary.

``docs/raw_format.md`` says what each step computes; ``numpy_reference.py`` runs it.
Steps and shapes do not count the images: a program takes any number of them.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from cmim.deploy.binary_layer import BinaryLayer
from cmim.deploy.numpy_reference import (
    DIGEST,
    FORMAT,
    PROGRAM,
    VERSION,
    Network,
    digest_of,
)
from cmim.whole_output import whole_output

INPUT = "image"


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


@dataclass(frozen=True)
class Step:
    """One operation of a program.

    Attributes:
        op: Its word in the vocabulary.
        inputs: Names of the values that it reads.
        output: Name of the value that it makes.
        shape: Shape of the output, without the images.
        options: Numbers that belong to it.
        arrays: Weights and the like, float32 or packed bits, by their role.
        name: Name of the module that it comes from.
    """

    op: str
    inputs: tuple[str, ...]
    output: str
    shape: tuple[int, ...]
    options: dict[str, Any] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Program:
    """A network for normalised images.

    Attributes:
        input_shape: ``(C, H, W)``.
        steps: In the order in which they run.
        outputs: Names of the values that the network gives.
        normalisation: ``mean`` and ``std`` of RGB of 0 to 255, a number for each band.
        identity: The network's identity (:mod:`cmim.identity`), or None.
    """

    input_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    normalisation: dict[str, list[float]] = field(default_factory=dict)
    identity: dict[str, Any] | None = None

    def pack(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """The document and the arrays that it names, as they are stored."""
        arrays: dict[str, np.ndarray] = {}
        steps = []
        for k, step in enumerate(self.steps):
            keys = {role: f"{k:03d}.{role}" for role in step.arrays}
            arrays |= {key: step.arrays[role] for role, key in keys.items()}
            row = dict(
                op=step.op,
                name=step.name,
                inputs=list(step.inputs),
                output=step.output,
                shape=list(step.shape),
                arrays=keys,
            )
            steps.append(row | step.options)
        bands = self.input_shape[0]
        image = dict(mean=[0.0] * bands, std=[1.0] * bands) | self.normalisation
        document = dict(
            format=FORMAT,
            version=VERSION,
            input=dict(name=INPUT, shape=list(self.input_shape), **image),
            steps=steps,
            outputs=list(self.outputs),
        )
        if self.identity is not None:
            document["identity"] = self.identity
        return document, arrays

    def network(self) -> Network:
        """The program as a network that runs in NumPy."""
        return Network(*self.pack())

    def save(self, path: str | Path) -> None:
        """Write a raw network file with a digest; equal programs give equal bytes."""
        document, arrays = self.pack()
        document |= dict(sha256="0" * 64)
        text = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
        text = DIGEST.sub(digest_of(text, arrays).encode(), text)
        arrays[PROGRAM] = np.frombuffer(text, np.uint8)
        with whole_output(path) as place, open(place, "wb") as file:
            # Stored as they are: weights hardly shrink, and readers need no inflating.
            np.savez(file, allow_pickle=False, **arrays)


def binary_step(
    layer: BinaryLayer, source: str, output: str, shape: tuple[int, ...]
) -> Step:
    """A binary convolution with the binarizer in front of it, as a step.

    Args:
        layer: The layer to compute.
        source: Name of the real activation.
        output: Name of its output.
        shape: Shape of the output, ``(O, H', W')``.
    """
    _, channels, kh, kw = layer.shape
    width = max(len(step.threshold) for step in layer.steps)
    options = dict(
        in_channels=channels,
        kernel=[kh, kw],
        stride=list(layer.stride),
        padding=list(layer.padding),
        dilation=list(layer.dilation),
        levels=[[step.low, step.high] for step in layer.steps],
        centred=layer.centred,
    )
    arrays = dict(
        bits=np.stack([pack_signs(term.signs) for term in layer.terms]),
        thresholds=np.stack(
            [np.broadcast_to(step.threshold, width) for step in layer.steps]
        ),
        scales=np.stack([term.scale for term in layer.terms]),
    )
    return Step("binary_conv", (source,), output, shape, options, arrays, layer.name)


def fold_affine(program: Program) -> Program:
    """Join each scale and shift with the convolution or affine step in front of it.

    Where something else reads the value in between, both stay. Binary convolutions
    stay as they are, so that their sums are the same integers.
    """
    uses = Counter(name for step in program.steps for name in step.inputs)
    uses.update(program.outputs)
    steps: list[Step] = []
    made: dict[str, int] = {}
    for step in program.steps:
        place = made.get(step.inputs[0]) if step.op == "affine" else None
        before = None if place is None else steps[place]
        if place is not None and before is not None and uses[before.output] == 1:
            joined = _joined(before, step)
            if joined is not None:
                steps[place] = joined
                made[step.output] = place
                continue
        made[step.output] = len(steps)
        steps.append(step)
    return replace(program, steps=tuple(steps))


def _joined(before: Step, after: Step) -> Step | None:
    """``after``, an affine step, behind ``before`` as one step, computed in float64."""
    scale, shift = (after.arrays[n].astype(np.float64) for n in ("scale", "shift"))
    given = {name: array.astype(np.float64) for name, array in before.arrays.items()
             if before.op in ("affine", "conv", "linear")}  # fmt: skip
    if before.op == "affine":
        arrays = dict(
            scale=scale * given["scale"], shift=shift + scale * given["shift"]
        )
    elif before.op in ("conv", "linear"):
        weight = given["weight"]
        factor = scale.reshape(-1, *[1] * (weight.ndim - 1))
        arrays = dict(weight=weight * factor, bias=shift + scale * given["bias"])
    else:
        return None
    rounded = {name: array.astype(np.float32) for name, array in arrays.items()}
    return replace(before, output=after.output, arrays=rounded)
