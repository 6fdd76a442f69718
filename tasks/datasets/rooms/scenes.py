"""Random furnished rooms and camera poses inside them."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tasks.datasets.rooms import fixtures
from tasks.datasets.rooms.casting import Solid, Triple
from tasks.datasets.rooms.furniture import Builder, Piece
from tasks.datasets.rooms.kinds import ROOM_KINDS, RoomKind
from tasks.datasets.rooms.materials import draw_material
from tasks.datasets.rooms.textures import Material

Rectangle = tuple[float, float, float, float]


_NAMES = tuple(ROOM_KINDS)


@dataclass(frozen=True)
class RoomScene:
    """One furnished room; shell materials follow the order of shell faces."""

    kind: str
    room: Triple
    shell: tuple[Material, ...]
    solids: tuple[Solid, ...]
    light: Triple
    light_color: Triple


def build_scene(seed: int, number: int) -> RoomScene:
    """Build the room with a number; equal arguments give equal rooms.

    Args:
        seed: Seed of the whole collection, >= 0.
        number: 0-based number of the room.

    Examples:
        >>> build_scene(0, 3).kind == build_scene(0, 3).kind
        True
    """
    generator = np.random.default_rng([seed, number, 1])
    name = _NAMES[generator.integers(len(_NAMES))]
    kind = ROOM_KINDS[name]
    width, depth = generator.uniform(3.6, 6.5, 2).tolist()
    # The largest diagonal, 9.7 m, bounds every depth below 10 m.
    room = (width, depth, float(generator.uniform(2.4, 2.9)))
    pieces = _furnish(kind, room, generator) + _hang_patches(kind, room, generator)
    warmth = generator.uniform(-0.08, 0.12)
    spread = generator.uniform(0.3, 0.7, 2)
    return RoomScene(
        kind=name,
        room=room,
        shell=_shell_materials(generator),
        solids=tuple(_number_instances(pieces)),
        light=(width * spread[0], depth * spread[1], room[2] - 0.25),
        light_color=(1.0 + warmth, 1.0, 1.0 - 1.3 * warmth),
    )


def _shell_materials(generator: np.random.Generator) -> tuple[Material, ...]:
    wall = draw_material("wall", generator)
    accent = draw_material("wall", generator)
    walls = [wall] * 4
    if generator.random() < 0.4:
        walls[generator.integers(4)] = accent
    floor = draw_material("floor", generator)
    return (*walls, floor, draw_material("ceiling", generator))


def _furnish(
    kind: RoomKind, room: Triple, generator: np.random.Generator
) -> list[list[Solid]]:
    taken: list[Rectangle] = []
    placed = []
    count = int(generator.integers(3, 7))
    extra = [
        kind.optional[i] for i in generator.integers(len(kind.optional), size=count)
    ]
    for build in (*kind.against_wall, *extra):
        solids = _finish(build, kind, generator)
        placed.append(_place(solids, room, taken, generator, _wall_pose))
    for _ in range(int(generator.integers(2, 5))):
        build = kind.central[generator.integers(len(kind.central))]
        solids = _finish(build, kind, generator)
        placed.append(_place(solids, room, taken, generator, _free_pose))
    if generator.random() < 0.5:
        mat = _finish(fixtures.build_mat, kind, generator)
        placed.append(_place(mat, room, [], generator, _free_pose))
    return [solids for solids in placed if solids]


def _finish(
    build: Builder, kind: RoomKind, generator: np.random.Generator
) -> list[Solid]:
    piece = Piece(generator)
    build(piece)
    for surface in piece.surfaces:
        fixtures.add_clutter(piece, surface, kind.clutter)
    return piece.solids


def _wall_pose(
    bounds: Rectangle, room: Triple, generator: np.random.Generator
) -> tuple[float, float, float]:
    """Draw (x, y, yaw) with the back of a piece on one of the four walls."""
    wall = int(generator.integers(4))
    along = room[1] if wall < 2 else room[0]
    gap = float(generator.uniform(0.01, 0.06)) + bounds[3]
    share = float(generator.random())
    offset = -bounds[0] + share * max(along - bounds[2] + bounds[0], 0.0)
    return wall_frame(wall, offset, gap, room)


def wall_frame(
    wall: int, along: float, gap: float, room: Triple
) -> tuple[float, float, float]:
    """Return (x, y, yaw) of a piece that faces the room from a wall.

    Args:
        wall: 0..3 for x low, x high, y low, y high.
        along: Metres from the left end of the wall, seen from inside.
        gap: Metres from the wall to the origin of the piece.
        room: Extent of the room in metres.

    Examples:
        >>> wall_frame(3, 1.0, 0.5, (4.0, 5.0, 2.5))
        (1.0, 4.5, 0.0)
    """
    if wall == 0:
        return gap, along, np.pi / 2
    if wall == 1:
        return room[0] - gap, room[1] - along, -np.pi / 2
    if wall == 2:
        return room[0] - along, gap, np.pi
    return along, room[1] - gap, 0.0


def _free_pose(
    bounds: Rectangle, room: Triple, generator: np.random.Generator
) -> tuple[float, float, float]:
    reach = max(abs(value) for value in bounds)
    x = float(generator.uniform(reach, max(room[0] - reach, reach)))
    y = float(generator.uniform(reach, max(room[1] - reach, reach)))
    turn = float(generator.integers(4)) * np.pi / 2 + generator.normal(0.0, 0.25)
    return x, y, float(turn)


def _place(
    solids: list[Solid],
    room: Triple,
    taken: list[Rectangle],
    generator: np.random.Generator,
    draw_pose: Callable[..., tuple[float, float, float]],
) -> list[Solid]:
    """Try some poses; return the solids at the first free one, else nothing."""
    bounds = footprint(solids)
    for _ in range(12):
        x, y, yaw = draw_pose(bounds, room, generator)
        moved = [solid.moved(x, y, 0.0, yaw) for solid in solids]
        left, low, right, high = footprint(moved)
        inside = left > 0 and low > 0 and right < room[0] and high < room[1]
        free = all(
            right < other[0] or left > other[2] or high < other[1] or low > other[3]
            for other in taken
        )
        if inside and free:
            taken.append((left, low, right, high))
            return moved
    return []


def footprint(solids: list[Solid]) -> Rectangle:
    """Return the rectangle (x low, y low, x high, y high) under solids, metres."""
    cosine = np.abs(np.cos([solid.yaw for solid in solids]))
    sine = np.abs(np.sin([solid.yaw for solid in solids]))
    half = np.array([solid.half for solid in solids])
    center = np.array([solid.center for solid in solids])
    reach_x = cosine * half[:, 0] + sine * half[:, 1]
    reach_y = sine * half[:, 0] + cosine * half[:, 1]
    return (
        float((center[:, 0] - reach_x).min()),
        float((center[:, 1] - reach_y).min()),
        float((center[:, 0] + reach_x).max()),
        float((center[:, 1] + reach_y).max()),
    )


def _hang_patches(
    kind: RoomKind, room: Triple, generator: np.random.Generator
) -> list[list[Solid]]:
    """Fill every wall from left to right with patches and random gaps."""
    hung = []
    for wall in range(4):
        length = room[1] if wall < 2 else room[0]
        along = float(generator.uniform(0.2, 0.8))
        while True:
            piece = Piece(generator)
            names = kind.patches
            fixtures.build_patch(piece, names[generator.integers(len(names))])
            left, _, right, _ = footprint(piece.solids)
            if along + right - left > length - 0.1:
                break
            x, y, yaw = wall_frame(wall, along - left, 0.0, room)
            hung.append([solid.moved(x, y, 0.0, yaw) for solid in piece.solids])
            along += right - left + float(generator.uniform(0.3, 1.2))
    return hung


def _number_instances(pieces: list[list[Solid]]) -> list[Solid]:
    """Give every class within every piece its own object id, at most 255."""
    numbers: dict[tuple[int, int], int] = {}
    numbered = []
    for index, solids in enumerate(pieces):
        for solid in solids:
            number = numbers.setdefault((index, solid.label), len(numbers) + 1)
            numbered.append(replace(solid, instance=min(number, 255)))
    return numbered
