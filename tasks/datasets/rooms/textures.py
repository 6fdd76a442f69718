"""Procedural surface patterns of rendered rooms.

A pattern maps face coordinates in metres to a mixing weight in [0, 1] between
the two colours of a material. All patterns are vectorised over points.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Color = tuple[float, float, float]

_TABLE_SIZE = 512
_TEXELS_PER_METRE = 200.0


@dataclass(frozen=True)
class Material:
    """Two colours and the pattern that mixes them.

    Args:
        pattern: Key of ``PATTERNS``.
        first: sRGB colour in [0, 1] where the pattern weight is 0.
        second: sRGB colour in [0, 1] where the pattern weight is 1.
        period: Size of one repetition in metres, > 0.
        phase: Shift that decorrelates surfaces that share a pattern.
        glow: Fraction of the colour in [0, 1] that does not depend on light.
    """

    pattern: str
    first: Color
    second: Color
    period: float = 0.3
    phase: float = 0.0
    glow: float = 0.0


@dataclass(frozen=True)
class Face:
    """Points of one face: coordinates and extent, all in metres.

    Shape:
        ``u`` and ``v`` are ``(N,)``, measured from the lower left corner;
        ``width`` and ``height`` are the extent of the face.
    """

    u: Floats
    v: Floats
    width: float
    height: float


@lru_cache(maxsize=1)
def noise_table() -> Floats:
    """Return a tileable fractal value-noise table, values in [0, 1].

    A table with nearest look-up costs one gather per point; interpolated
    noise would cost about twenty passes over the image.

    Shape:
        ``(512, 512)``.
    """
    generator = np.random.default_rng(20120101)
    table = np.zeros((_TABLE_SIZE, _TABLE_SIZE))
    for cells, weight in ((8, 1.0), (16, 0.6), (64, 0.4), (256, 0.25)):
        lattice = generator.random((cells, cells))
        position = np.arange(_TABLE_SIZE) * cells / _TABLE_SIZE
        low = position.astype(int)
        fraction = position - low
        high = (low + 1) % cells
        rows = (
            lattice[low] * (1 - fraction)[:, None] + lattice[high] * fraction[:, None]
        )
        table += weight * (rows[:, low] * (1 - fraction) + rows[:, high] * fraction)
    table = (table - table.min()) / (table.max() - table.min())
    return table.astype(np.float32)


def sample_noise(u: Floats, v: Floats, phase: float) -> Floats:
    """Return fractal noise in [0, 1] at points in metres; period 2.56 m.

    Examples:
        >>> point = np.array([0.5], dtype=np.float32)
        >>> shifted = point + np.float32(2.56)
        >>> bool(sample_noise(point, point, 0.0) == sample_noise(shifted, point, 0.0))
        True
    """
    shift = phase * 97.0
    columns = (u * _TEXELS_PER_METRE + shift).astype(np.int64) % _TABLE_SIZE
    rows = (v * _TEXELS_PER_METRE + 3.0 * shift).astype(np.int64) % _TABLE_SIZE
    return noise_table()[rows, columns]


def _plain(face: Face, period: float, phase: float) -> Floats:
    return sample_noise(face.u, face.v, phase)


def _fabric(face: Face, period: float, phase: float) -> Floats:
    return sample_noise(face.u * 6.0, face.v * 6.0, phase)


def _checks(face: Face, period: float, phase: float) -> Floats:
    cells = np.floor(face.u / period + phase) + np.floor(face.v / period + phase)
    return (cells % 2).astype(np.float32)


def _tiles(face: Face, period: float, phase: float) -> Floats:
    joint = 0.03
    inside_u = (face.u / period + phase) % 1.0 > joint
    inside_v = (face.v / period + phase) % 1.0 > joint
    stone = 0.7 + 0.3 * sample_noise(face.u, face.v, phase)
    return (1.0 - (inside_u & inside_v) * stone).astype(np.float32)


def _stripes(face: Face, period: float, phase: float) -> Floats:
    return ((face.u / period + phase) % 1.0 > 0.5).astype(np.float32)


def _slats(face: Face, period: float, phase: float) -> Floats:
    return (face.v / period + phase) % 1.0


def _folds(face: Face, period: float, phase: float) -> Floats:
    bend = sample_noise(face.u * 0.3, face.v * 0.3, phase)
    waves = np.sin(2 * np.pi * (face.u / period + phase + bend))
    return (0.5 + 0.5 * waves).astype(np.float32)


def _wood(face: Face, period: float, phase: float) -> Floats:
    grain = sample_noise(face.u * 0.4, face.v * 4.0, phase)
    rings = np.sin(2 * np.pi * (face.v / period + 2.0 * grain))
    return (0.5 + 0.5 * rings).astype(np.float32)


def _planks(face: Face, period: float, phase: float) -> Floats:
    row = np.floor(face.v / period)
    tone = (row * 0.381 + np.floor(face.u / 1.2 + row * 0.37) * 0.613 + phase) % 1.0
    joint = face.v / period - row < 0.04
    plank = 0.6 * tone + 0.4 * _wood(face, 0.2, phase)
    return np.maximum(plank, joint).astype(np.float32)


def _panel(face: Face, period: float, phase: float) -> Floats:
    """Darken a grid of drawers or doors fitted to the extent of the face."""
    columns = max(1, round(face.width / period))
    rows = max(1, round(face.height / period))
    across = np.abs((face.u / face.width * columns) % 1.0 - 0.5) * face.width / columns
    up = np.abs((face.v / face.height * rows) % 1.0 - 0.5) * face.height / rows
    seam = (across > face.width / columns / 2 - 0.015) | (
        up > face.height / rows / 2 - 0.015
    )
    handle = (across < 0.05) & (up < 0.012)
    grain = 0.25 * sample_noise(face.u, face.v * 3, phase)
    return np.maximum(grain, 0.9 * (seam | handle)).astype(np.float32)


def _spines(face: Face, period: float, phase: float) -> Floats:
    """Book spines: every slot has its own tone and top."""
    slot = np.floor(face.u / period)
    tone = np.abs(np.sin(slot * 12.9898 + phase * 78.233)) * 43.7 % 1.0
    gap = (face.u / period - slot < 0.1) | (face.v > face.height * (0.8 + 0.2 * tone))
    return np.where(gap, 1.0, 0.75 * tone).astype(np.float32)


def _frame(face: Face, period: float, phase: float) -> Floats:
    """A border of second colour around a smooth gradient with blobs."""
    border = min(0.05, 0.12 * min(face.width, face.height))
    edge = np.minimum(
        np.minimum(face.u, face.width - face.u),
        np.minimum(face.v, face.height - face.v),
    )
    blobs = sample_noise(face.u * 1.5, face.v * 1.5, phase)
    inner = 0.6 * blobs * (0.4 + 0.6 * face.v / face.height)
    return np.where(edge < border, 1.0, inner).astype(np.float32)


def _panes(face: Face, period: float, phase: float) -> Floats:
    """Window panes: bright sky above a darker ground, bars between panes."""
    columns = max(1, round(face.width / period))
    rows = max(1, round(face.height / period))
    across = (face.u / face.width * columns) % 1.0
    up = (face.v / face.height * rows) % 1.0
    bars = (np.abs(across - 0.5) > 0.46) | (np.abs(up - 0.5) > 0.46)
    skyline = 0.35 + 0.25 * sample_noise(face.u, np.zeros_like(face.v), phase)
    ground = 0.5 * (face.v / face.height < skyline)
    return np.where(bars, 1.0, ground).astype(np.float32)


def _lines(face: Face, period: float, phase: float) -> Floats:
    """Text-like dark lines of varying length on a light sheet."""
    row = np.floor(face.v / period)
    length = 0.5 + 0.45 * np.sin(row * 7.0 + phase * 31.0)
    ink = (face.v / period - row < 0.35) & (face.u < face.width * length)
    margin = (face.u > 0.08 * face.width) & (face.v > 0.1 * face.height)
    return (0.7 * (ink & margin)).astype(np.float32)


PATTERNS: dict[str, Callable[[Face, float, float], Floats]] = {
    "checks": _checks,
    "fabric": _fabric,
    "folds": _folds,
    "frame": _frame,
    "lines": _lines,
    "panel": _panel,
    "panes": _panes,
    "plain": _plain,
    "planks": _planks,
    "slats": _slats,
    "spines": _spines,
    "stripes": _stripes,
    "tiles": _tiles,
    "wood": _wood,
}


def face_colors(material: Material, face: Face) -> Floats:
    """Return linear RGB colours of the points of a face.

    Shape:
        ``(N, 3)`` float32 in [0, 1].

    Examples:
        >>> checks = Material("checks", (0, 0, 0), (1, 1, 1), period=0.5)
        >>> u = np.array([0.1, 0.6], dtype=np.float32)
        >>> face_colors(checks, Face(u, np.zeros_like(u), 1.0, 1.0))[:, 0].tolist()
        [0.0, 1.0]
    """
    weight = PATTERNS[material.pattern](face, material.period, material.phase)
    first = np.array(material.first, dtype=np.float32) ** 2.2
    second = np.array(material.second, dtype=np.float32) ** 2.2
    return first + weight[:, None].astype(np.float32) * (second - first)
