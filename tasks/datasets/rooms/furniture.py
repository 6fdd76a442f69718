"""Large furniture of rendered rooms, each piece a handful of solids.

Object coordinates: x along the width, the back of the piece towards +y, z up
from the floor, origin in the middle of the footprint; metres.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from tasks.datasets.nyu40 import class_id
from tasks.datasets.rooms.casting import Shape, Solid, Triple
from tasks.datasets.rooms.materials import draw_material
from tasks.datasets.rooms.textures import Material


@dataclass(frozen=True)
class Surface:
    """A flat top where small things may stand: centre, height, half extents."""

    x: float
    y: float
    z: float
    half_width: float
    half_depth: float


@dataclass
class Piece:
    """Solids of one object under construction, with shared randomness.

    Args:
        generator: Source of every random choice.
        solids: Finished solids in object coordinates.
        surfaces: Tops that may carry small things.
    """

    generator: np.random.Generator
    solids: list[Solid] = field(default_factory=list)
    surfaces: list[Surface] = field(default_factory=list)
    _materials: dict[str, Material] = field(default_factory=dict)

    def uniform(self, low: float, high: float) -> float:
        """Draw a length in metres (or any number) between two bounds."""
        return float(self.generator.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """Draw whether something happens."""
        return bool(self.generator.random() < probability)

    def material(self, name: str) -> Material:
        """Return the material that the parts of a class share in this piece."""
        if name not in self._materials:
            self._materials[name] = draw_material(name, self.generator)
        return self._materials[name]

    def box(
        self,
        name: str,
        at: Triple,
        size: Triple,
        yaw: float = 0.0,
        fresh: bool = False,
    ) -> None:
        """Add a box: middle of its bottom face, (width, depth, height)."""
        self._add("box", name, at, size, yaw, fresh)

    def cylinder(
        self,
        name: str,
        at: Triple,
        size: Triple,
        fresh: bool = False,
    ) -> None:
        """Add a vertical cylinder inscribed in the box of ``size``."""
        self._add("cylinder", name, at, size, 0.0, fresh)

    def ellipsoid(
        self,
        name: str,
        at: Triple,
        size: Triple,
        yaw: float = 0.0,
        fresh: bool = False,
    ) -> None:
        """Add an ellipsoid inscribed in the box of ``size``."""
        self._add("ellipsoid", name, at, size, yaw, fresh)

    def surface(self, x: float, y: float, z: float, width: float, depth: float) -> None:
        """Offer a top of the given full width and depth to small things."""
        self.surfaces.append(Surface(x, y, z, width / 2, depth / 2))

    def attach(self, other: "Piece", x: float, y: float, z: float, yaw: float) -> None:
        """Add the solids of another piece, turned and shifted; not its surfaces."""
        self.solids.extend(solid.moved(x, y, z, yaw) for solid in other.solids)

    def _add(
        self, shape: Shape, name: str, at: Triple, size: Triple, yaw: float, fresh: bool
    ) -> None:
        look = draw_material(name, self.generator) if fresh else self.material(name)
        center = (at[0], at[1], at[2] + size[2] / 2)
        half = (size[0] / 2, size[1] / 2, size[2] / 2)
        self.solids.append(Solid(shape, center, half, class_id(name), look, yaw))

    def legs(self, name: str, width: float, depth: float, height: float) -> None:
        """Add four legs at the corners of a footprint."""
        for x in (-1, 1):
            for y in (-1, 1):
                at = (x * (width / 2 - 0.04), y * (depth / 2 - 0.04), 0.0)
                self.box(name, at, (0.05, 0.05, height))


def build_bed(piece: Piece) -> None:
    """Mattress on a frame with a head board, pillows and sometimes clothes."""
    width, depth, height = piece.uniform(1.0, 1.8), 2.0, piece.uniform(0.4, 0.6)
    piece.box("bed", (0, 0, 0), (width, depth, height - 0.2), fresh=True)
    piece.box("bed", (0, -0.02, height - 0.2), (width - 0.04, depth - 0.06, 0.2))
    piece.box("bed", (0, depth / 2, 0), (width, 0.06, height + 0.4), fresh=True)
    pillows = 2 if width > 1.3 else 1
    for number in range(pillows):
        x = (number - (pillows - 1) / 2) * width / 2
        at = (x, depth / 2 - 0.3, height - 0.05)
        piece.ellipsoid("pillow", at, (0.6, 0.42, 0.22), fresh=piece.chance(0.5))
    piece.surface(0, -0.35, height, width - 0.2, depth - 1.0)


def build_sofa(piece: Piece) -> None:
    """Seat, back and two arms, with cushions."""
    width, depth = piece.uniform(1.4, 2.3), piece.uniform(0.8, 0.95)
    piece.box("sofa", (0, 0, 0), (width, depth, 0.42))
    piece.box("sofa", (0, depth / 2 - 0.1, 0.42), (width, 0.2, 0.4))
    for side in (-1, 1):
        piece.box("sofa", (side * (width / 2 - 0.09), 0, 0.42), (0.18, depth, 0.2))
    for number in range(int(piece.generator.integers(0, 4))):
        x = (number - 1) * width / 3.6
        yaw = piece.uniform(-0.3, 0.3)
        at = (x, depth / 2 - 0.3, 0.4)
        piece.ellipsoid("pillow", at, (0.42, 0.24, 0.4), yaw, fresh=True)


def build_table(piece: Piece) -> None:
    """Top on four legs, or a round top on a pillar."""
    width, depth = piece.uniform(0.8, 1.6), piece.uniform(0.7, 0.95)
    height = piece.uniform(0.68, 0.78)
    if piece.chance(0.3):
        piece.cylinder("table", (0, 0, height - 0.04), (width, width, 0.04))
        piece.cylinder("table", (0, 0, 0), (0.12, 0.12, height - 0.04))
        piece.surface(0, 0, height, 0.65 * width, 0.65 * width)
        return
    piece.box("table", (0, 0, height - 0.04), (width, depth, 0.04))
    piece.legs("table", width, depth, height - 0.04)
    piece.surface(0, 0, height, width, depth)


def build_coffee_table(piece: Piece) -> None:
    """Low table with a shelf under its top."""
    width, depth, height = piece.uniform(0.8, 1.2), 0.6, piece.uniform(0.38, 0.48)
    piece.box("table", (0, 0, height - 0.05), (width, depth, 0.05))
    piece.box("table", (0, 0, 0.12), (width - 0.1, depth - 0.1, 0.02))
    piece.legs("table", width, depth, height - 0.05)
    piece.surface(0, 0, height, width, depth)


def build_chair(piece: Piece) -> None:
    """Seat and back on four legs, or an upholstered armchair."""
    if piece.chance(0.25):
        piece.box("chair", (0, 0, 0), (0.7, 0.7, 0.42))
        piece.box("chair", (0, 0.28, 0.42), (0.7, 0.15, 0.45))
        for side in (-1, 1):
            piece.box("chair", (side * 0.29, -0.05, 0.42), (0.12, 0.6, 0.18))
        return
    width = piece.uniform(0.4, 0.5)
    piece.box("chair", (0, 0, 0.43), (width, width, 0.05))
    piece.legs("chair", width, width, 0.43)
    piece.box("chair", (0, width / 2, 0.48), (width, 0.04, piece.uniform(0.35, 0.5)))


def build_dining_set(piece: Piece) -> None:
    """A table with chairs on its long sides."""
    build_table(piece)
    surface = piece.surfaces[0]
    seat = Piece(piece.generator)
    build_chair(seat)
    for side in (-1, 1):
        for x in (-0.4, 0.4):
            if piece.chance(0.75):
                reach = side * (surface.half_depth + 0.3 + piece.uniform(0.0, 0.15))
                turn = (np.pi if side < 0 else 0.0) + piece.uniform(-0.25, 0.25)
                piece.attach(seat, x * 2 * surface.half_width * 0.55, reach, 0, turn)


def build_cabinet(piece: Piece) -> None:
    """A closed box with doors or drawers."""
    width, depth = piece.uniform(0.7, 1.4), piece.uniform(0.4, 0.55)
    height = piece.uniform(0.8, 1.9)
    piece.box("cabinet", (0, 0, 0), (width, depth, height))
    if height < 1.4:
        piece.surface(0, 0, height, width, depth)


def build_desk(piece: Piece) -> None:
    """Top, side panels, a drawer block and a monitor, with a chair before it."""
    width, depth, height = piece.uniform(1.1, 1.6), 0.7, piece.uniform(0.7, 0.76)
    piece.box("desk", (0, 0, height - 0.04), (width, depth, 0.04))
    for side in (-1, 1):
        x = side * (width / 2 - 0.02)
        piece.box("desk", (x, 0, 0), (0.04, depth - 0.05, height - 0.04))
    piece.box("desk", (width / 2 - 0.25, 0.05, 0.1), (0.4, depth - 0.15, height - 0.2))
    piece.box("otherprop", (-0.15, 0.2, height), (0.2, 0.15, 0.08))
    piece.box("otherprop", (-0.15, 0.2, height + 0.08), (0.5, 0.05, 0.32))
    piece.surface(0.2, -0.1, height, width - 0.4, depth - 0.25)
    seat = Piece(piece.generator)
    build_chair(seat)
    piece.attach(seat, piece.uniform(-0.3, 0.1), -0.6, 0, np.pi + piece.uniform(-1, 1))


def _build_rack(piece: Piece, name: str, fill: tuple[str, ...], share: float) -> None:
    width, depth = piece.uniform(0.7, 1.2), piece.uniform(0.28, 0.38)
    levels = int(piece.generator.integers(3, 6))
    step = piece.uniform(0.33, 0.4)
    height = levels * step
    piece.box(name, (0, depth / 2 - 0.01, 0), (width, 0.02, height))
    for side in (-1, 1):
        piece.box(name, (side * (width / 2 - 0.015), 0, 0), (0.03, depth, height))
    for level in range(levels + 1):
        piece.box(name, (0, 0, level * step - 0.01), (width, depth, 0.025))
        if level < levels and piece.chance(share):
            content = fill[piece.generator.integers(len(fill))]
            length = piece.uniform(0.4, 0.9) * width
            x = piece.uniform(-1, 1) * (width - length) / 2.2
            size = (length, depth - 0.1, piece.uniform(0.5, 0.8) * step)
            piece.box(content, (x, 0.02, level * step + 0.015), size, fresh=True)


def build_bookshelf(piece: Piece) -> None:
    """A rack full of books."""
    _build_rack(piece, "bookshelf", ("books", "books", "books", "otherprop"), 0.9)


def build_shelves(piece: Piece) -> None:
    """An open rack with boxes and things."""
    _build_rack(piece, "shelves", ("box", "otherprop", "books", "clothes"), 0.6)


def build_dresser(piece: Piece) -> None:
    """A chest of drawers, often under a mirror."""
    width, depth, height = piece.uniform(0.9, 1.5), 0.48, piece.uniform(0.75, 1.1)
    piece.box("dresser", (0, 0, 0), (width, depth, height))
    if piece.chance(0.4):
        at = (0, depth / 2 - 0.02, height + 0.02)
        piece.box("mirror", at, (width * 0.7, 0.04, 0.8))
    piece.surface(0, -0.05, height, width, depth - 0.1)


def build_night_stand(piece: Piece) -> None:
    """A small chest with a lamp."""
    height = piece.uniform(0.45, 0.6)
    piece.box("night stand", (0, 0, 0), (0.48, 0.42, height))
    if piece.chance(0.7):
        piece.cylinder("lamp", (0, 0.02, height), (0.07, 0.07, 0.22), fresh=True)
        piece.cylinder("lamp", (0, 0.02, height + 0.22), (0.28, 0.28, 0.22))
    else:
        piece.surface(0, 0, height, 0.45, 0.4)


def build_television(piece: Piece) -> None:
    """A flat screen on a low stand."""
    width = piece.uniform(0.9, 1.3)
    name = "cabinet" if piece.chance(0.5) else "otherfurniture"
    piece.box(name, (0, 0, 0), (width + 0.3, 0.45, 0.5))
    piece.box("television", (0, 0.05, 0.5), (0.3, 0.2, 0.06))
    piece.box("television", (0, 0.05, 0.56), (width, 0.07, width * 0.58))


Builder = Callable[[Piece], None]
