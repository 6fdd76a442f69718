"""Fixtures, small things and wall patches of rendered rooms.

Same object coordinates as in ``room_furniture``. Wall patches have their back
on the plane y = 0 and reach into the room, towards -y.
"""

import numpy as np

from tasks.datasets.rooms.furniture import Piece, Surface


def build_refrigerator(piece: Piece) -> None:
    """A tall box with two doors."""
    size = (piece.uniform(0.7, 0.9), 0.7, piece.uniform(1.6, 1.85))
    piece.box("refridgerator", (0, 0, 0), size)


def build_counter(piece: Piece) -> None:
    """Kitchen counter: cabinets below and above, a sink in the top."""
    width, height = piece.uniform(1.6, 2.6), 0.9
    piece.box("cabinet", (0, 0.02, 0), (width, 0.58, height - 0.05))
    piece.box("counter", (0, 0, height - 0.05), (width, 0.64, 0.05))
    x = piece.uniform(-0.25, 0.25) * width
    piece.box("sink", (x, -0.03, height - 0.02), (0.55, 0.42, 0.03))
    piece.cylinder("sink", (x, 0.2, height), (0.04, 0.04, 0.25))
    if piece.chance(0.7):
        piece.box("cabinet", (0, 0.15, 1.45), (width, 0.34, 0.65), fresh=True)
    piece.surface(-np.sign(x) * width / 4, 0, height, 0.4 * width, 0.4)


def build_toilet(piece: Piece) -> None:
    """Bowl, lid and tank."""
    piece.cylinder("toilet", (0, -0.1, 0), (0.36, 0.48, 0.4))
    piece.cylinder("toilet", (0, -0.1, 0.4), (0.4, 0.52, 0.04))
    piece.box("toilet", (0, 0.24, 0.36), (0.45, 0.18, 0.4))


def build_washbasin(piece: Piece) -> None:
    """Basin on a cabinet or a pedestal, under a mirror."""
    if piece.chance(0.5):
        piece.box("cabinet", (0, 0, 0), (0.8, 0.5, 0.8))
        piece.box("counter", (0, 0, 0.8), (0.84, 0.52, 0.04))
    else:
        piece.cylinder("sink", (0, 0.05, 0), (0.2, 0.2, 0.76))
    piece.cylinder("sink", (0, -0.02, 0.76), (0.52, 0.42, 0.11))
    piece.box("mirror", (0, 0.23, 1.15), (0.6, 0.03, 0.75))


def build_bathtub(piece: Piece) -> None:
    """Four sides and a bottom, half hidden by a shower curtain."""
    width, depth, height = 1.6, 0.75, 0.55
    piece.box("bathtub", (0, 0, 0), (width, depth, 0.12))
    for side in (-1, 1):
        piece.box("bathtub", (side * (width / 2 - 0.04), 0, 0), (0.08, depth, height))
        piece.box("bathtub", (0, side * (depth / 2 - 0.04), 0), (width, 0.08, height))
    length = piece.uniform(0.4, 1.2)
    at = ((width - length) / 2, -depth / 2 - 0.02, 0.2)
    piece.box("shower curtain", at, (length, 0.04, 1.75))


def build_lamp(piece: Piece) -> None:
    """A floor lamp: foot, pole and shade."""
    height = piece.uniform(1.3, 1.6)
    piece.cylinder("lamp", (0, 0, 0), (0.3, 0.3, 0.03), fresh=True)
    piece.cylinder("lamp", (0, 0, 0.03), (0.04, 0.04, height), fresh=True)
    piece.cylinder("lamp", (0, 0, height - 0.15), (0.4, 0.4, 0.32))


def build_boxes(piece: Piece) -> None:
    """A pile of one to three cardboard boxes."""
    bottom = 0.0
    for _ in range(int(piece.generator.integers(1, 4))):
        height = piece.uniform(0.2, 0.35)
        size = (piece.uniform(0.3, 0.5), piece.uniform(0.3, 0.45), height)
        at = (piece.uniform(-0.05, 0.05), piece.uniform(-0.05, 0.05), bottom)
        piece.box("box", at, size, piece.uniform(-0.4, 0.4), fresh=True)
        bottom += height


def build_person(piece: Piece) -> None:
    """A standing figure."""
    height = piece.uniform(1.55, 1.8)
    for side in (-1, 1):
        at = (side * 0.1, 0, 0)
        piece.cylinder("person", at, (0.17, 0.18, 0.5 * height))
    piece.cylinder("person", (0, 0, 0.47 * height), (0.44, 0.26, 0.36 * height), True)
    piece.ellipsoid("person", (0, 0, 0.84 * height), (0.19, 0.22, 0.26))


def build_bag(piece: Piece) -> None:
    """A bag on the floor."""
    piece.ellipsoid("bag", (0, 0, -0.03), (0.45, 0.28, 0.4))
    piece.box("bag", (0, 0, 0.3), (0.2, 0.03, 0.15))


def build_laundry(piece: Piece) -> None:
    """A heap of clothes in a basket."""
    piece.cylinder("otherprop", (0, 0, 0), (0.45, 0.45, 0.5))
    piece.ellipsoid("clothes", (0, 0, 0.35), (0.42, 0.42, 0.3), fresh=True)


def build_bench(piece: Piece) -> None:
    """A bench or an ottoman."""
    if piece.chance(0.5):
        piece.cylinder("otherfurniture", (0, 0, 0), (0.6, 0.6, 0.42))
        return
    piece.box("otherfurniture", (0, 0, 0.38), (1.1, 0.4, 0.06))
    piece.legs("otherfurniture", 1.1, 0.4, 0.38)


def build_pillar(piece: Piece) -> None:
    """A chimney breast or a structural column, floor to ceiling height."""
    size = (piece.uniform(0.35, 0.9), piece.uniform(0.3, 0.45), 3.2)
    piece.box("otherstructure", (0, 0, 0), size)
    if piece.chance(0.5):
        piece.box("otherprop", (0, -size[1] / 2, 0.2), (size[0] * 0.6, 0.05, 0.6))


def build_mat(piece: Piece) -> None:
    """A rug."""
    size = (piece.uniform(1.0, 2.2), piece.uniform(0.7, 1.5), 0.015)
    piece.box("floor mat", (0, 0, 0), size)


#: (class, shape, least size, largest size) of the things that stand on tops.
_SMALL = {
    "books": ("box", (0.15, 0.2, 0.04), (0.3, 0.26, 0.2)),
    "paper": ("box", (0.21, 0.3, 0.004), (0.42, 0.32, 0.01)),
    "box": ("box", (0.12, 0.1, 0.08), (0.3, 0.25, 0.2)),
    "bag": ("ellipsoid", (0.25, 0.15, 0.2), (0.4, 0.25, 0.3)),
    "clothes": ("ellipsoid", (0.35, 0.3, 0.08), (0.6, 0.5, 0.16)),
    "towel": ("box", (0.25, 0.2, 0.05), (0.4, 0.3, 0.15)),
    "lamp": ("cylinder", (0.18, 0.18, 0.3), (0.26, 0.26, 0.45)),
    "otherprop": ("cylinder", (0.07, 0.07, 0.1), (0.2, 0.2, 0.3)),
    "pillow": ("ellipsoid", (0.4, 0.35, 0.15), (0.5, 0.4, 0.2)),
}


def add_clutter(piece: Piece, surface: Surface, names: tuple[str, ...]) -> None:
    """Put zero to four small things on a top, in slots that cannot collide."""
    count = int(piece.generator.integers(0, 5))
    slot = 2 * surface.half_width / max(count, 1)
    for number in range(count):
        name = names[piece.generator.integers(len(names))]
        shape, least, largest = _SMALL[name]
        width, depth, height = piece.generator.uniform(least, largest).tolist()
        width, depth = min(width, 0.9 * slot), min(depth, 1.6 * surface.half_depth)
        x = surface.x - surface.half_width + (number + 0.5) * slot
        y = surface.y + piece.uniform(-1, 1) * max(0.0, surface.half_depth - depth / 2)
        at, size = (x, y, surface.z), (width, depth, height)
        if shape == "cylinder":
            piece.cylinder(name, at, size, fresh=True)
        elif shape == "ellipsoid":
            sunk = (x, y, surface.z - 0.25 * height)
            piece.ellipsoid(name, sunk, size, fresh=True)
        else:
            piece.box(name, at, size, piece.uniform(-0.2, 0.2), fresh=True)


#: (thickness, bottom from..to, width from..to, height from..to), metres.
_PATCHES = {
    "picture": (0.03, (1.2, 1.5), (0.35, 0.9), (0.3, 0.7)),
    "whiteboard": (0.03, (0.9, 1.0), (1.2, 2.0), (0.9, 1.2)),
    "mirror": (0.03, (0.9, 1.2), (0.4, 0.8), (0.7, 1.1)),
    "paper": (0.006, (1.2, 1.6), (0.2, 0.4), (0.28, 0.5)),
    "towel": (0.05, (0.9, 1.1), (0.35, 0.6), (0.5, 0.7)),
    "clothes": (0.12, (0.9, 1.1), (0.35, 0.6), (0.6, 0.9)),
    "bag": (0.14, (1.0, 1.2), (0.25, 0.35), (0.35, 0.45)),
    "television": (0.08, (1.0, 1.2), (0.9, 1.2), (0.5, 0.7)),
    "door": (0.05, (0.0, 0.0), (0.8, 0.95), (2.0, 2.1)),
    "otherstructure": (0.1, (0.08, 0.12), (0.8, 1.4), (0.55, 0.7)),
    "blinds": (0.05, (0.7, 1.0), (0.9, 1.6), (1.1, 1.4)),
    "curtain": (0.1, (0.05, 0.2), (0.9, 1.6), (2.0, 2.2)),
    "window": (0.04, (0.8, 1.0), (0.9, 1.7), (1.0, 1.3)),
}


def build_patch(piece: Piece, name: str) -> None:
    """Add a flat thing on a wall; windows may get curtains or blinds."""
    thickness, *ranges = _PATCHES[name]
    bottom, width, height = (piece.uniform(*bounds) for bounds in ranges)
    piece.box(name, (0, -thickness / 2, bottom), (width, thickness, height))
    if name == "window" and piece.chance(0.5):
        for side in (-1, 1):
            at = (side * (width / 2 + 0.12), -0.06, bottom - piece.uniform(0.1, 0.7))
            top = bottom + height + 0.1
            piece.box("curtain", at, (0.35, 0.1, top - at[2]))
    elif name == "window" and piece.chance(0.5):
        drop = piece.uniform(0.25, 0.7) * height
        at = (0.0, -0.05, bottom + height - drop)
        piece.box("blinds", at, (width + 0.04, 0.03, drop))
    elif name == "door":
        piece.box(
            "door", (0, -0.04, 0), (width + 0.16, 0.04, height + 0.08), fresh=True
        )
