"""Which patterns and colours each NYU-40 class may show in rendered rooms.

Colours are tied to classes loosely: each class draws from a few base colours
and jitters them, so that appearance helps a small network but never decides.
"""

import numpy as np

from tasks.datasets.rooms.textures import Color, Material

#: Per class: patterns, sRGB base colours, (least, largest) period in metres.
_LOOKS: dict[str, tuple[tuple[str, ...], tuple[Color, ...], tuple[float, float]]] = {
    "wall": (
        ("plain", "plain", "plain", "stripes"),
        ((0.82, 0.78, 0.70), (0.70, 0.76, 0.78), (0.80, 0.72, 0.58), (0.66, 0.72, 0.6)),
        (0.1, 0.3),
    ),
    "floor": (
        ("planks", "planks", "tiles", "fabric", "checks"),
        ((0.55, 0.36, 0.20), (0.42, 0.28, 0.18), (0.6, 0.55, 0.48), (0.35, 0.35, 0.4)),
        (0.12, 0.4),
    ),
    "ceiling": (("plain", "tiles"), ((0.9, 0.9, 0.87), (0.85, 0.83, 0.8)), (0.5, 0.7)),
    "cabinet": (
        ("panel", "panel", "wood"),
        ((0.58, 0.38, 0.2), (0.45, 0.27, 0.15), (0.78, 0.72, 0.62)),
        (0.35, 0.6),
    ),
    "bed": (
        ("checks", "stripes", "fabric", "plain"),
        ((0.35, 0.42, 0.62), (0.62, 0.3, 0.32), (0.75, 0.72, 0.68), (0.3, 0.5, 0.5)),
        (0.08, 0.25),
    ),
    "chair": (
        ("wood", "fabric", "plain"),
        ((0.5, 0.3, 0.15), (0.2, 0.2, 0.24), (0.35, 0.15, 0.15)),
        (0.05, 0.2),
    ),
    "sofa": (
        ("fabric", "plain", "stripes"),
        ((0.42, 0.3, 0.22), (0.3, 0.36, 0.3), (0.5, 0.46, 0.42), (0.25, 0.28, 0.42)),
        (0.05, 0.2),
    ),
    "table": (("wood", "planks"), ((0.5, 0.32, 0.18), (0.62, 0.45, 0.28)), (0.1, 0.3)),
    "door": (
        ("panel",),
        ((0.72, 0.6, 0.45), (0.5, 0.33, 0.2), (0.85, 0.83, 0.8)),
        (0.7, 1),
    ),
    "window": (("panes",), ((0.75, 0.86, 0.97), (0.85, 0.9, 0.93)), (0.5, 0.9)),
    "bookshelf": (("wood",), ((0.48, 0.3, 0.17), (0.3, 0.2, 0.13)), (0.1, 0.3)),
    "picture": (
        ("frame",),
        ((0.6, 0.5, 0.25), (0.25, 0.45, 0.6), (0.65, 0.35, 0.3), (0.35, 0.5, 0.3)),
        (0.1, 0.3),
    ),
    "counter": (
        ("fabric", "plain"),
        ((0.4, 0.38, 0.36), (0.75, 0.72, 0.68)),
        (0.1, 0.2),
    ),
    "blinds": (("slats",), ((0.88, 0.86, 0.8), (0.75, 0.7, 0.6)), (0.04, 0.08)),
    "desk": (("wood", "plain"), ((0.62, 0.44, 0.26), (0.4, 0.3, 0.25)), (0.1, 0.3)),
    "shelves": (("wood", "plain"), ((0.66, 0.52, 0.36), (0.8, 0.8, 0.78)), (0.1, 0.3)),
    "curtain": (
        ("folds",),
        ((0.6, 0.25, 0.25), (0.7, 0.62, 0.45), (0.35, 0.45, 0.4)),
        (0.1, 0.2),
    ),
    "dresser": (("panel",), ((0.45, 0.25, 0.14), (0.6, 0.42, 0.26)), (0.25, 0.35)),
    "pillow": (
        ("fabric", "stripes", "checks"),
        ((0.85, 0.8, 0.72), (0.75, 0.4, 0.3), (0.45, 0.55, 0.7)),
        (0.04, 0.1),
    ),
    "mirror": (("frame",), ((0.62, 0.68, 0.7),), (0.2, 0.3)),
    "floor mat": (
        ("checks", "stripes", "fabric"),
        ((0.6, 0.25, 0.2), (0.3, 0.35, 0.5), (0.55, 0.5, 0.35)),
        (0.1, 0.3),
    ),
    "clothes": (
        ("fabric", "stripes"),
        ((0.25, 0.3, 0.5), (0.55, 0.2, 0.25), (0.3, 0.3, 0.3)),
        (0.03, 0.1),
    ),
    "books": (
        ("spines",),
        ((0.6, 0.22, 0.18), (0.2, 0.3, 0.5), (0.7, 0.6, 0.4)),
        (0.03, 0.05),
    ),
    "refridgerator": (("panel",), ((0.85, 0.86, 0.87), (0.6, 0.62, 0.64)), (0.8, 1.0)),
    "television": (("frame",), ((0.06, 0.07, 0.09), (0.1, 0.12, 0.2)), (0.1, 0.2)),
    "paper": (("lines",), ((0.95, 0.95, 0.92),), (0.02, 0.04)),
    "towel": (("fabric", "stripes"), ((0.85, 0.8, 0.75), (0.4, 0.6, 0.65)), (0.1, 0.2)),
    "shower curtain": (("folds",), ((0.85, 0.85, 0.9), (0.5, 0.65, 0.75)), (0.1, 0.25)),
    "box": (("plain", "lines"), ((0.66, 0.5, 0.32), (0.58, 0.42, 0.26)), (0.06, 0.12)),
    "whiteboard": (("frame", "lines"), ((0.93, 0.94, 0.95),), (0.08, 0.15)),
    "person": (("fabric",), ((0.75, 0.55, 0.45), (0.5, 0.35, 0.28)), (0.1, 0.2)),
    "night stand": (
        ("panel", "wood"),
        ((0.5, 0.3, 0.17), (0.35, 0.22, 0.15)),
        (0.2, 0.3),
    ),
    "toilet": (("plain",), ((0.92, 0.92, 0.9),), (0.1, 0.2)),
    "sink": (("plain",), ((0.85, 0.86, 0.87), (0.65, 0.67, 0.7)), (0.1, 0.2)),
    "lamp": (("plain",), ((0.98, 0.9, 0.7), (0.95, 0.85, 0.75)), (0.1, 0.2)),
    "bathtub": (("plain",), ((0.9, 0.9, 0.92),), (0.1, 0.2)),
    "bag": (("fabric", "plain"), ((0.3, 0.15, 0.12), (0.15, 0.25, 0.3)), (0.05, 0.1)),
    "otherstructure": (
        ("tiles", "plain", "stripes"),
        ((0.6, 0.4, 0.33), (0.7, 0.68, 0.65)),
        (0.1, 0.25),
    ),
    "otherfurniture": (
        ("wood", "fabric", "panel"),
        ((0.3, 0.25, 0.2), (0.5, 0.45, 0.5)),
        (0.1, 0.4),
    ),
    "otherprop": (
        ("plain", "stripes", "frame"),
        ((0.2, 0.55, 0.35), (0.75, 0.2, 0.2), (0.15, 0.15, 0.17), (0.8, 0.6, 0.15)),
        (0.03, 0.1),
    ),
}

_GLOW = {"window": 0.6, "lamp": 0.55, "television": 0.2, "mirror": 0.1}
#: Contrast of the second colour; the default keeps most surfaces calm.
_CONTRAST = {"wall": 0.1, "ceiling": 0.08, "toilet": 0.06, "bathtub": 0.06, "sink": 0.1}
_PATTERN_CONTRAST = {"plain": 0.15, "wood": 0.3, "lines": 0.75, "panel": 0.6}


def draw_material(name: str, generator: np.random.Generator) -> Material:
    """Draw the material of one object of a class.

    Args:
        name: One of ``NYU40_CLASSES``.
        generator: Source of every random choice.

    Examples:
        >>> draw_material("lamp", np.random.default_rng(0)).glow
        0.55
    """
    patterns, colors, (least, largest) = _LOOKS[name]
    pattern = patterns[generator.integers(len(patterns))]
    base = np.array(colors[generator.integers(len(colors))])
    first = base * generator.uniform(0.85, 1.1) + generator.normal(0.0, 0.03, 3)
    if pattern in ("frame", "panes"):
        second = np.full(3, generator.choice([0.12, 0.35, 0.9]))
    else:
        contrast = _CONTRAST.get(name, _PATTERN_CONTRAST.get(pattern, 0.45))
        tint = generator.normal(0.0, 0.16 * contrast, 3)
        second = first * (1.0 - contrast) + tint
    return Material(
        pattern,
        _as_color(first),
        _as_color(second),
        float(generator.uniform(least, largest)),
        float(generator.random()),
        _GLOW.get(name, 0.0),
    )


def _as_color(values: np.ndarray) -> Color:
    red, green, blue = np.clip(values, 0.02, 0.98).tolist()
    return red, green, blue
