"""Colours, normals and labels of cast rays, and the camera's imperfections."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.datasets.nyu40 import class_id
from tasks.datasets.rooms.casting import (
    SHELL_FACES,
    Camera,
    Doubles,
    Hits,
    Solid,
    pixel_tangents,
)
from tasks.datasets.rooms.scenes import RoomScene
from tasks.datasets.rooms.textures import Face, Floats, Material, face_colors

_SHELL_LABELS = (*["wall"] * 4, "floor", "ceiling")
_AXES_OF_FACE = ((1, 2), (0, 2), (0, 1))


@dataclass
class SurfaceMaps:
    """Per-pixel surface properties.

    Shape:
        All with H * W rows: ``points`` (., 3) metres and ``normals`` (., 3) in
        world coordinates, ``colors`` (., 3) linear RGB, ``glow``, ``labels``
        and ``instances`` flat.
    """

    points: Doubles
    normals: Doubles
    colors: Floats
    glow: Floats
    labels: NDArray[np.uint8]
    instances: NDArray[np.uint8]


def map_surfaces(
    scene: RoomScene, camera: Camera, hits: Hits, solids: list[Solid]
) -> SurfaceMaps:
    """Evaluate materials, normals and labels of every pixel, face by face."""
    x, y = pixel_tangents(hits.depth.shape)
    rays = np.stack(np.broadcast_arrays(x, y[:, None], 1.0), axis=-1).reshape(-1, 3)
    count = len(rays)
    points = camera.position + hits.depth.reshape(-1, 1) * (rays @ camera.axes)
    maps = SurfaceMaps(
        points,
        np.empty((count, 3)),
        np.empty((count, 3), dtype=np.float32),
        np.empty(count, dtype=np.float32),
        np.empty(count, dtype=np.uint8),
        np.zeros(count, dtype=np.uint8),
    )
    # Sorting makes the pixels of one face contiguous; 16-bit keys sort in
    # linear time.
    keys = (hits.surface * 3 + hits.axis).ravel()
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    stops = np.append(starts[1:], count)
    for key, start, stop in zip(found.tolist(), starts, stops, strict=True):
        pixels = order[start:stop]
        surface, axis = divmod(key, 3)
        if surface < SHELL_FACES:
            _fill_shell(maps, pixels, scene, surface)
        else:
            _fill_solid(maps, pixels, solids[surface - SHELL_FACES], axis)
    return maps


def _fill_shell(
    maps: SurfaceMaps, pixels: NDArray, scene: RoomScene, face: int
) -> None:
    axis, high = divmod(face, 2)
    normal = np.zeros(3)
    normal[axis] = -1.0 if high else 1.0
    across, up = _AXES_OF_FACE[axis]
    points = maps.points[pixels].astype(np.float32)
    extent = (scene.room[across], scene.room[up])
    maps.normals[pixels] = normal
    maps.labels[pixels] = class_id(_SHELL_LABELS[face])
    _paint(maps, pixels, scene.shell[face], points[:, across], points[:, up], extent)


def _fill_solid(maps: SurfaceMaps, pixels: NDArray, solid: Solid, axis: int) -> None:
    axes = solid.local_axes()
    half = np.array(solid.half)
    local = (maps.points[pixels] - np.array(solid.center)) @ axes.T
    maps.normals[pixels] = _local_normals(solid, axis, local) @ axes
    maps.labels[pixels] = solid.label
    maps.instances[pixels] = solid.instance
    across, up = _AXES_OF_FACE[axis]
    flat = solid.shape == "box" or axis == 2
    if flat:
        u, width = local[:, across] + half[across], 2 * half[across]
    else:
        turn = np.arctan2(local[:, 1], local[:, 0]) + np.pi
        u, width = turn * half[0], 2 * np.pi * half[0]
    v = local[:, up] + half[up]
    extent = (float(width), float(2 * half[up]))
    _paint(
        maps,
        pixels,
        solid.material,
        u.astype(np.float32),
        v.astype(np.float32),
        extent,
    )


def _local_normals(solid: Solid, axis: int, local: Doubles) -> Doubles:
    half = np.array(solid.half)
    if solid.shape == "box" or (solid.shape == "cylinder" and axis == 2):
        normals = np.zeros_like(local)
        normals[:, axis] = np.sign(local[:, axis])
        return normals
    normals = local / (half * half)
    if solid.shape == "cylinder":
        normals[:, 2] = 0.0
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _paint(
    maps: SurfaceMaps,
    pixels: NDArray,
    material: Material,
    u: Floats,
    v: Floats,
    extent: tuple[float, float],
) -> None:
    maps.colors[pixels] = face_colors(material, Face(u, v, *extent))
    maps.glow[pixels] = material.glow


def light_surfaces(scene: RoomScene, maps: SurfaceMaps, depth: Floats) -> Floats:
    """Return linear radiance ``(H, W, 3)`` under one lamp and ambient light.

    Lambert's law with a soft inverse-square falloff; a depth-buffer term
    darkens what lies close behind an edge, in place of shadows.

    References:
        Luft, Colditz, Deussen, Image Enhancement by Unsharp Masking the Depth
        Buffer, SIGGRAPH 2006.
    """
    towards = np.array(scene.light) - maps.points
    square = (towards * towards).sum(axis=1)
    cosine = (towards * maps.normals).sum(axis=1) / np.sqrt(square)
    direct = np.maximum(cosine, 0.0) / (1.0 + square / 6.0)
    upward = 0.5 + 0.5 * maps.normals[:, 2]
    light = (0.26 + 0.1 * upward + 1.1 * direct).astype(np.float32)
    light *= 1.0 - _crevices(depth).ravel()
    light = light * (1.0 - maps.glow) + 1.3 * maps.glow
    tint = np.array(scene.light_color, dtype=np.float32)
    radiance = maps.colors * light[:, None] * tint
    return radiance.reshape(*depth.shape, 3)


def _crevices(depth: Floats) -> Floats:
    """Return darkening in [0, 0.45] near the foot of occluding edges, (H, W)."""
    reach = max(3, depth.shape[1] // 20) | 1
    behind = depth - cv2.blur(depth, (reach, reach))
    return np.clip(0.8 * behind / depth * 4.0, 0.0, 0.45).astype(np.float32)


def expose(radiance: Floats, generator: np.random.Generator) -> NDArray[np.uint8]:
    """Turn linear radiance into an 8-bit sRGB frame as a camera would.

    Automatic exposure, vignetting, shot and read noise, gamma 2.2.

    Shape:
        ``(H, W, 3)`` float32 to ``(H, W, 3)`` uint8.
    """
    height, width, _ = radiance.shape
    target = generator.uniform(0.17, 0.34)
    gain = np.float32(target / max(float(radiance.mean()), 1e-3))
    x = np.linspace(-1.0, 1.0, width, dtype=np.float32)
    y = np.linspace(-1.0, 1.0, height, dtype=np.float32)[:, None]
    vignette = 1.0 - 0.13 * (x * x + y * y)
    frame = radiance * (gain * vignette)[..., None]
    noise = generator.standard_normal(frame.shape, dtype=np.float32)
    frame += noise * np.sqrt(0.00025 * frame + 0.000004)
    # A soft shoulder keeps lamps and windows from clipping flatly.
    frame = np.maximum(frame, 0.0)
    frame = frame * (1.0 + 0.4 * frame) / (1.0 + frame * 0.9)
    frame = np.power(frame, np.float32(1.0 / 2.2), out=frame)
    return np.clip(255.0 * frame + 0.5, 0.0, 255.0).astype(np.uint8)


def drop_boundary_labels(
    labels: NDArray[np.uint8],
    instances: NDArray[np.uint8],
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return labels with patches of object boundaries set to void (0).

    People label real frames along polygons and leave such gaps.

    Shape:
        ``(H, W)``.
    """
    height, width = labels.shape
    mixed = labels.astype(np.int16) * 256 + instances
    edge = np.zeros(labels.shape, dtype=np.uint8)
    edge[:, 1:] |= (mixed[:, 1:] != mixed[:, :-1]).astype(np.uint8)
    edge[1:] |= (mixed[1:] != mixed[:-1]).astype(np.uint8)
    side = 2 * max(1, round(width / 320)) + 1
    wide = cv2.dilate(edge, np.ones((side, side), dtype=np.uint8))
    coarse = generator.random((12, 16), dtype=np.float32)
    patches = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.where((wide > 0) & (patches > 0.68), 0, labels).astype(np.uint8)
