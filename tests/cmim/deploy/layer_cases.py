"""Binary layers of every kind, inputs at their thresholds, and what they give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm

LEVELS = {
    "signs": [(-1.0, 1.0)],
    "bits": [(0.0, 1.0)],
    "minus": [(-1.0, 0.0)],
    "neither": [(-1.0, 3.0)],
    "several": [(0.0, 1.0), (-1.0, 1.0), (-1.0, 3.0)],
}
DILATIONS = (1, 2, 3, 4, 5, 6, 12, 18, 24, 36)


def random_layer(rng: np.random.Generator, **chosen) -> BinaryLayer:
    """Any layer; what is chosen is fixed."""
    o, i = int(rng.integers(1, 34)), int(rng.integers(1, 131))
    k, d = int(rng.choice([1, 3])), int(rng.choice(DILATIONS))
    s = int(rng.choice([1, 2]))
    given = dict(o=o, i=i, k=k, d=d, s=s, levels=rng.choice(list(LEVELS)), terms=1)
    given |= chosen
    o, i, k, d, s = (given[name] for name in "oikds")
    cut = rng.standard_normal(i) if rng.random() < 0.5 else np.zeros(1)
    steps = tuple(
        SignStep((cut + 0.25 * n).astype(np.float32), low, high)
        for n, (low, high) in enumerate(LEVELS[given["levels"]])
    )
    terms = tuple(
        SignTerm(
            np.float32(2.0) ** rng.integers(-2, 3, o).astype(np.float32),
            rng.choice([-1, 1], (o, i, k, k)).astype(np.int8),
        )
        for _ in range(given["terms"])
    )
    pad = d * (k // 2)
    return BinaryLayer("layer", steps, terms, (s, s), (pad, pad), (d, d))


def with_offset(rng: np.random.Generator, layer: BinaryLayer) -> BinaryLayer:
    """The layer with a number added to all weights of each filter: signs +1."""
    scale = np.float32(2.0) ** rng.integers(-2, 3, layer.shape[0]).astype(np.float32)
    scale *= rng.choice(np.float32([-1, 1]), layer.shape[0])
    offset = SignTerm(scale, np.ones_like(layer.terms[0].signs))
    return replace(layer, terms=(*layer.terms, offset))


def at_thresholds(rng: np.random.Generator, layer: BinaryLayer) -> np.ndarray:
    """Images of which half the values are a threshold or the next float beside it."""
    shape = (int(rng.integers(1, 4)), layer.shape[1], *rng.integers(1, 26, 2))
    x = rng.standard_normal(shape).astype(np.float32)
    step = layer.steps[rng.integers(len(layer.steps))]
    at = np.broadcast_to(step.threshold.reshape(-1, 1, 1), shape)
    beside = [np.nextafter(at, np.float32(end)) for end in (-np.inf, np.inf)]
    choice = rng.integers(6, size=shape)
    for k, values in enumerate((at, *beside)):
        x = np.where(choice == k, values, x)
    return x


def integer_convolution(layer: BinaryLayer, x: np.ndarray) -> np.ndarray:
    """By shifted products of whole images, in integers but for levels and scales."""
    n, _, h, w = x.shape
    o, _, kh, kw = layer.shape
    (ph, pw), (dh, dw), (sh, sw) = layer.padding, layer.dilation, layer.stride
    rows = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    columns = (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    total = np.zeros((n, o, rows, columns))
    for step in layer.steps:
        codes = np.where(x >= step.threshold.reshape(-1, 1, 1), step.high, step.low)
        padded = np.pad(codes, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
        for term in layer.terms:
            out = np.zeros((n, o, rows, columns))
            for a in range(kh):
                for b in range(kw):
                    part = padded[:, :, a * dh :: sh, b * dw :: sw]
                    part = part[:, :, :rows, :columns]
                    weights = term.signs[:, :, a, b].astype(float)
                    out += np.einsum("oi,nihw->nohw", weights, part)
            total += term.scale.reshape(-1, 1, 1) * out
    return total
