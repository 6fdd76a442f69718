r"""Ray casting of boxes, cylinders and ellipsoids inside a box-shaped room.

World axes: x and y span the floor, z points up, metres. Camera axes: x right,
y down, z forward. Rays are :math:`o + t\,(x\,r + y\,d + f)` with tangents
(x, y) of a pixel and camera axes r, d, f, so the ray parameter t *is* the
z-depth and needs no conversion.

References:
    Kay, Kajiya, Ray Tracing Complex Scenes, SIGGRAPH 1986 (slab test).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tasks.datasets.rooms.textures import Material

Doubles = NDArray[np.float64]
Size = tuple[int, int]
Triple = tuple[float, float, float]
Shape = Literal["box", "cylinder", "ellipsoid"]

#: Number of faces of the room itself: x low, x high, y low, y high, floor, ceiling.
SHELL_FACES = 6
_NEAR = 0.05
_TINY = 1e-12


@dataclass(frozen=True)
class Solid:
    """One primitive, turned about the vertical axis.

    Args:
        shape: ``box``; ``cylinder`` (vertical, elliptic); or ``ellipsoid``.
        center: World (or object) coordinates in metres.
        half: Half extents in metres along the turned axes, > 0.
        label: Class id 1..40.
        material: Look of the surface.
        yaw: Turn about the vertical axis in radians.
        instance: Object id 1..255 within a scene; 0 while unplaced.
    """

    shape: Shape
    center: Triple
    half: Triple
    label: int
    material: Material
    yaw: float = 0.0
    instance: int = 0

    def moved(self, x: float, y: float, z: float, yaw: float) -> "Solid":
        """Return the solid turned about the origin, then shifted."""
        cosine, sine = float(np.cos(yaw)), float(np.sin(yaw))
        px, py, pz = self.center
        center = (cosine * px - sine * py + x, sine * px + cosine * py + y, pz + z)
        return replace(self, center=center, yaw=self.yaw + yaw)

    def local_axes(self) -> Doubles:
        """Return the turned axes as rows of a ``(3, 3)`` matrix."""
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        return np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])


@dataclass(frozen=True)
class Camera:
    """A camera pose.

    Shape:
        ``position`` is ``(3,)`` in metres; ``axes`` is ``(3, 3)``, its rows are
        the right, down and forward directions in world coordinates.
    """

    position: Doubles
    axes: Doubles


@dataclass
class Hits:
    """What the ray of every pixel meets first.

    Shape:
        All ``(H, W)``. ``depth`` is z-depth in metres; ``surface`` is a shell face
        0..5 or ``SHELL_FACES`` + index of a solid; ``axis`` is the local axis of
        the face that was hit (0 for curved sides).
    """

    depth: Doubles
    surface: NDArray[np.int16]
    axis: NDArray[np.int16]


def camera_intrinsics(size: Size) -> tuple[float, float, float, float]:
    """Return (fx, fy, cx, cy) in pixels of the NYU camera at a frame size.

    The published values count pixels of 640 x 480 frames from 1; these count
    from 0, with pixel centres at integers.

    Args:
        size: (height, width) in pixels.

    References:
        Silberman et al., Indoor Segmentation and Support Inference from RGBD
        Images, ECCV 2012, ``camera_params.m`` of the toolbox.

    Examples:
        >>> [round(value, 4) for value in camera_intrinsics((480, 640))]
        [518.8579, 519.4696, 324.5822, 252.7362]
    """
    height, width = size
    across, down = width / 640.0, height / 480.0
    return (
        518.857901 * across,
        519.469611 * down,
        (325.582244 - 0.5) * across - 0.5,
        (253.736166 - 0.5) * down - 0.5,
    )


def pixel_tangents(size: Size) -> tuple[Doubles, Doubles]:
    """Return the ray tangents x of every column and y of every row.

    Shape:
        ``(W,)`` and ``(H,)``; a pixel at depth z lies at (x z, y z, z).
    """
    fx, fy, cx, cy = camera_intrinsics(size)
    height, width = size
    columns, rows = np.arange(width, dtype=float), np.arange(height, dtype=float)
    return (columns - cx) / fx, (rows - cy) / fy


def cast_rays(camera: Camera, size: Size, room: Triple, solids: list[Solid]) -> Hits:
    """Find the first surface along the ray of every pixel.

    Args:
        camera: Pose inside the room and outside every solid.
        size: (height, width) in pixels.
        room: Extent of the room in metres; one corner is the origin.
        solids: What stands in the room.
    """
    x, y = pixel_tangents(size)
    hits = _cast_shell(camera, x, y[:, None], room)
    for index, solid in enumerate(solids):
        window = _screen_window(camera, solid, x, y)
        if window is None:
            continue
        axes = solid.local_axes()
        origin = axes @ (camera.position - np.array(solid.center))
        turned = axes @ camera.axes.T
        rays = _ray_directions(turned, x[window[1]], y[window[0], None])
        near, axis = _INTERSECT[solid.shape](origin, rays, solid.half)
        closer = near < hits.depth[window]
        hits.depth[window][closer] = near[closer]
        hits.surface[window][closer] = SHELL_FACES + index
        hits.axis[window][closer] = axis[closer]
    return hits


def _ray_directions(matrix: Doubles, x: Doubles, y: Doubles) -> list[Doubles]:
    """Return ray components along the rows of a matrix; exact zeros are nudged."""
    rays = [row[0] * x + (row[1] * y + row[2]) for row in matrix]
    for ray in rays:
        ray[ray == 0.0] = _TINY
    return rays


def _cast_shell(camera: Camera, x: Doubles, y: Doubles, room: Triple) -> Hits:
    rays = _ray_directions(np.ascontiguousarray(camera.axes.T), x, y)
    depth = np.full(rays[0].shape, np.inf)
    surface = np.zeros(depth.shape, dtype=np.int16)
    for axis, ray in enumerate(rays):
        position = camera.position[axis]
        outward = ray > 0
        distance = np.where(outward, room[axis] - position, -position) / ray
        closer = distance < depth
        depth[closer] = distance[closer]
        surface[closer] = 2 * axis + outward[closer]
    return Hits(depth, surface, (surface // 2).astype(np.int16))


def _screen_window(
    camera: Camera, solid: Solid, x: Doubles, y: Doubles
) -> tuple[slice, slice] | None:
    """Return the pixel rectangle around a solid, or None if it is out of view."""
    signs = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    corners = (signs * solid.half) @ solid.local_axes() + solid.center
    seen = (corners - camera.position) @ camera.axes.T
    if np.all(seen[:, 2] < _NEAR):
        return None
    if np.any(seen[:, 2] < _NEAR):
        return slice(0, len(y)), slice(0, len(x))
    tangents = seen[:, :2] / seen[:, 2:]
    (left, top), (right, bottom) = tangents.min(axis=0), tangents.max(axis=0)
    columns = slice(*np.searchsorted(x, [left, right]))
    rows = slice(*np.searchsorted(y, [top, bottom]))
    if columns.start == columns.stop or rows.start == rows.stop:
        return None
    return rows, columns


def _intersect_box(
    origin: Doubles, rays: list[Doubles], half: Triple
) -> tuple[Doubles, NDArray[np.int16]]:
    near = np.full(rays[0].shape, -np.inf)
    far = np.full(rays[0].shape, np.inf)
    axis = np.zeros(near.shape, dtype=np.int16)
    for index, ray in enumerate(rays):
        middle = -origin[index] / ray
        reach = half[index] / np.abs(ray)
        entry = middle - reach
        axis[entry > near] = index
        np.maximum(near, entry, out=near)
        np.minimum(far, middle + reach, out=far)
    near[(near > far) | (near <= 0.0)] = np.inf
    return near, axis


def _intersect_quadric(
    origin: Doubles, rays: list[Doubles], half: Triple, axes: tuple[int, ...]
) -> tuple[Doubles, Doubles]:
    """Return entry and exit depth of the unit ball over the given axes."""
    scaled = [rays[index] / half[index] for index in axes]
    start = [origin[index] / half[index] for index in axes]
    square = sum(ray * ray for ray in scaled)
    linear = sum(point * ray for point, ray in zip(start, scaled, strict=True))
    constant = sum(point * point for point in start) - 1.0
    inside = linear * linear - square * constant
    root = np.sqrt(np.maximum(inside, 0.0))
    missed = inside < 0.0
    entry = np.where(missed, np.inf, (-linear - root) / square)
    leave = np.where(missed, -np.inf, (-linear + root) / square)
    return entry, leave


def _intersect_ellipsoid(
    origin: Doubles, rays: list[Doubles], half: Triple
) -> tuple[Doubles, NDArray[np.int16]]:
    near, _ = _intersect_quadric(origin, rays, half, (0, 1, 2))
    near[near <= 0.0] = np.inf
    return near, np.zeros(near.shape, dtype=np.int16)


def _intersect_cylinder(
    origin: Doubles, rays: list[Doubles], half: Triple
) -> tuple[Doubles, NDArray[np.int16]]:
    entry, leave = _intersect_quadric(origin, rays, half, (0, 1))
    middle = -origin[2] / rays[2]
    reach = half[2] / np.abs(rays[2])
    axis = np.where(middle - reach > entry, 2, 0).astype(np.int16)
    near = np.maximum(entry, middle - reach)
    near[(near > np.minimum(leave, middle + reach)) | (near <= 0.0)] = np.inf
    return near, axis


_INTERSECT: dict[
    Shape,
    Callable[[Doubles, list[Doubles], Triple], tuple[Doubles, NDArray[np.int16]]],
] = {
    "box": _intersect_box,
    "cylinder": _intersect_cylinder,
    "ellipsoid": _intersect_ellipsoid,
}
