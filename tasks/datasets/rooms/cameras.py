"""Camera poses in rendered rooms that keep every depth between 0.7 m and 10 m."""

import numpy as np

from tasks.datasets.rooms.casting import Camera, Doubles, Solid, Triple, pixel_tangents

#: No solid comes nearer than this, metres. The corner of a frame looks 38.6
#: degrees off the axis, so a distance of 0.95 m is a depth of at least 0.74 m.
CLEARANCE = 0.95
#: Least depth of the room itself at the corners of a frame, metres.
_SHELL_DEPTH = 0.75
_CANDIDATES = 256


def draw_camera(
    room: Triple, solids: tuple[Solid, ...], generator: np.random.Generator
) -> tuple[Camera, list[Solid]]:
    """Draw a pose that sees many classes and touches nothing.

    In the rare room without a clear spot, the solids in the way are left out of
    the returned list.

    Args:
        room: Extent of the room in metres.
        solids: What stands in the room.
        generator: Source of every random choice.

    Returns:
        The camera and the solids to render with it.
    """
    positions, axes = _draw_poses(room, generator)
    distance = _distance_to_solids(positions, solids)
    clear = _shell_depth(positions, axes, room) >= _SHELL_DEPTH
    if not clear.any():
        raise ValueError(f"room {room} is too small; make it at least 2 x 2 x 2 m")
    room_left = np.where(clear, distance.min(axis=1, initial=np.inf), -1.0)
    score = _rate_views(positions, axes, solids)
    score += generator.gumbel(0.0, 1.0, _CANDIDATES)
    if room_left.max() >= CLEARANCE:
        best = int(np.argmax(np.where(room_left >= CLEARANCE, score, -np.inf)))
    else:
        best = int(np.argmax(room_left))
    kept = [
        solid
        for solid, gap in zip(solids, distance[best], strict=True)
        if gap >= CLEARANCE
    ]
    return Camera(positions[best], axes[best]), kept


def _draw_poses(
    room: Triple, generator: np.random.Generator
) -> tuple[Doubles, Doubles]:
    """Draw candidate positions ``(K, 3)`` and axes ``(K, 3, 3)``."""
    low = np.array([0.4, 0.4, 1.2])
    high = np.array([room[0] - 0.4, room[1] - 0.4, 1.75])
    positions = generator.uniform(low, high, (_CANDIDATES, 3))
    yaw = generator.uniform(-np.pi, np.pi, _CANDIDATES)
    pitch = np.radians(generator.uniform(2.0, 25.0, _CANDIDATES))
    roll = np.radians(generator.normal(0.0, 1.5, _CANDIDATES))
    zero = np.zeros(_CANDIDATES)
    forward = np.stack(
        [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), -np.sin(pitch)], 1
    )
    right = np.stack([np.sin(yaw), -np.cos(yaw), zero], 1)
    down = np.cross(forward, right)
    cosine, sine = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return positions, np.stack(
        [cosine * right + sine * down, cosine * down - sine * right, forward], 1
    )


def _distance_to_solids(positions: Doubles, solids: tuple[Solid, ...]) -> Doubles:
    """Return distances ``(K, S)`` in metres to the boxes around the solids."""
    distance = np.empty((len(positions), len(solids)))
    for index, solid in enumerate(solids):
        local = (positions - np.array(solid.center)) @ solid.local_axes().T
        outside = np.maximum(np.abs(local) - np.array(solid.half), 0.0)
        distance[:, index] = np.sqrt((outside * outside).sum(axis=1))
    return distance


def _shell_depth(positions: Doubles, axes: Doubles, room: Triple) -> Doubles:
    """Return the least depth ``(K,)`` of the room in a frame, metres.

    Inverse depth of a plane is linear over the image, so the largest inverse
    depth, and hence the least depth, lies at a corner of the frame.
    """
    x, y = pixel_tangents((480, 640))
    edge = 0.5 * (x[1] - x[0])
    corners = np.array(
        [(a, b, 1.0) for a in (x[0] - edge, x[-1] + edge) for b in (y[0], y[-1])]
    )
    rays = corners @ axes
    ahead = np.where(rays > 0, np.array(room) - positions[:, None], -positions[:, None])
    return (ahead / np.where(rays == 0.0, 1e-12, rays)).min(axis=(1, 2))


def _rate_views(
    positions: Doubles, axes: Doubles, solids: tuple[Solid, ...]
) -> Doubles:
    """Rate frames by the classes in them and the room that things take, ``(K,)``."""
    if not solids:
        return np.zeros(len(positions))
    x, y = pixel_tangents((480, 640))
    centers = np.array([solid.center for solid in solids])
    seen = (centers - positions[:, None]) @ axes.transpose(0, 2, 1)
    depth = np.maximum(seen[..., 2], CLEARANCE)
    across, down = seen[..., 0] / depth, seen[..., 1] / depth
    inside = (across > x[0]) & (across < x[-1]) & (down > y[0]) & (down < y[-1])
    visible = inside & (seen[..., 2] > 0)
    labels = np.array([solid.label for solid in solids])
    of_class = (labels[:, None] == np.unique(labels)).astype(np.float64)
    classes = (visible.astype(np.float64) @ of_class > 0).sum(axis=1)
    half = np.sort(np.array([solid.half for solid in solids]), axis=1)
    # Flat things on walls are many; what has a body counts by its size.
    body = half.prod(axis=1) ** (2.0 / 3.0)
    area = (visible * np.minimum(body / (depth * depth), 0.1)).sum(axis=1)
    return classes + 25.0 * area
