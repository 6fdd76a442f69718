"""Procedural indoor RGB-D frames with exact depth, normals and labels.

They stand in for NYU Depth v2 where the real frames are not at hand: same
camera, same 40 classes, same files. A small network learns something on them,
but no figure measured on them says anything about real rooms.
"""

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from tasks.datasets import matlab
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.datasets.rooms.cameras import draw_camera
from tasks.datasets.rooms.casting import Doubles, Size, cast_rays
from tasks.datasets.rooms.scenes import RoomScene, build_scene
from tasks.datasets.rooms.shading import (
    drop_boundary_labels,
    expose,
    light_surfaces,
    map_surfaces,
)

FRAMES_PER_SCENE = 4
RAW_LABELS = 894


@dataclass(frozen=True)
class RoomFrame:
    """One rendered frame.

    Shape:
        ``image`` (H, W, 3) uint8 RGB; ``depth`` (H, W) float32, z-depth in
        metres, 0.7..10; ``labels`` (H, W) uint8, 0 void, 1..40; ``normals``
        (H, W, 3) float32, unit, towards the camera, in camera coordinates (x
        right, y down, z forward); ``instances`` (H, W) uint8, 0 for walls,
        floor and ceiling. ``scene`` names the room, such as ``bedroom_0003``.
    """

    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    normals: NDArray[np.float32]
    instances: NDArray[np.uint8]
    scene: str


@lru_cache(maxsize=4)
def _scene(seed: int, number: int) -> RoomScene:
    return build_scene(seed, number)


def render_room(seed: int, index: int, size: Size = (480, 640)) -> RoomFrame:
    """Render one frame; a pure function of its arguments.

    Frames ``4 k`` to ``4 k + 3`` show the same room from different cameras.

    Args:
        seed: Seed of the collection, >= 0.
        index: 0-based number of the frame.
        size: (height, width) in pixels, each >= 16.

    Raises:
        ValueError: If an argument is out of range.

    Examples:
        >>> frame = render_room(seed=0, index=5, size=(24, 32))
        >>> frame.image.shape, frame.depth.dtype.name, frame.scene[-4:]
        ((24, 32, 3), 'float32', '0001')
    """
    if seed < 0 or index < 0 or min(size) < 16:
        raise ValueError(
            f"seed {seed}, index {index}, size {size} are out of range; "
            "use seed and index >= 0 and at least 16 x 16 pixels"
        )
    number = index // FRAMES_PER_SCENE
    scene = _scene(seed, number)
    generator = np.random.default_rng([seed, index, 2])
    camera, solids = draw_camera(scene.room, scene.solids, generator)
    hits = cast_rays(camera, size, scene.room, solids)
    maps = map_surfaces(scene, camera, hits, solids)
    depth = hits.depth.astype(np.float32)
    instances = maps.instances.reshape(size)
    return RoomFrame(
        image=expose(light_surfaces(scene, maps, depth), generator),
        depth=depth,
        labels=drop_boundary_labels(maps.labels.reshape(size), instances, generator),
        normals=_camera_normals(maps.normals, camera.axes, size),
        instances=instances,
        scene=f"{scene.kind}_{number:04d}",
    )


def _camera_normals(normals: Doubles, axes: Doubles, size: Size) -> NDArray[np.float32]:
    return (normals @ axes.T).reshape(*size, 3).astype(np.float32)


def draw_label_map(seed: int) -> NDArray[np.uint8]:
    """Draw which of the 40 classes each of the 894 raw labels belongs to.

    Shape:
        ``(894,)``; every class 1..40 occurs.

    Examples:
        >>> len(np.unique(draw_label_map(0)))
        40
    """
    generator = np.random.default_rng([seed, 3])
    count = len(NYU40_CLASSES)
    rest = generator.integers(1, count + 1, RAW_LABELS - count)
    return generator.permutation(np.append(np.arange(1, count + 1), rest)).astype(
        np.uint8
    )


def raw_labels(
    frame: RoomFrame, label_map: NDArray[np.uint8], generator: np.random.Generator
) -> NDArray[np.uint16]:
    """Replace the class of every object by one of its raw labels; void stays 0.

    Shape:
        ``(H, W)`` uint16, 0..894.
    """
    keys = frame.labels.astype(np.int64) * 256 + frame.instances
    found, inverse = np.unique(keys, return_inverse=True)
    raw = np.zeros(len(found), dtype=np.uint16)
    for position, key in enumerate(found):
        if key >= 256:
            raw[position] = generator.choice(
                np.flatnonzero(label_map == key // 256) + 1
            )
    return raw[inverse.reshape(frame.labels.shape)]


def write_rooms(
    folder: Path,
    frames: int,
    size: Size = (480, 640),
    seed: int = 0,
    test_fraction: float = 0.25,
    progress: bool = True,
) -> None:
    """Write rendered rooms in the layout of the official NYU Depth v2 files.

    The labelled file also gets ``normals`` (N, 3, W, H), a frame at a time.

    Args:
        folder: Where the three files go; created if absent.
        frames: Number of frames N, more than ``FRAMES_PER_SCENE``.
        size: (height, width) in pixels.
        seed: Seed of the collection, >= 0.
        test_fraction: Share of the scenes in the test split, in (0, 1).
        progress: Whether to show a bar.

    Raises:
        ValueError: If there are too few frames for two splits, or the folder holds
            a labelled file that was not generated.
    """
    _check_split(frames, test_fraction)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "nyu_depth_v2_labeled.mat"
    _keep_official(target)
    matlab.save_mat5(folder / "splits.mat", _split_scenes(frames, test_fraction, seed))
    label_map = draw_label_map(seed)
    _write_mapping(folder / "classMapping40.mat", label_map)
    path = target.with_name(f"{target.name}.part")
    with h5py.File(path, "w", userblock_size=matlab.USER_BLOCK_BYTES) as file:
        arrays = _create_arrays(file, frames, size)
        scenes = []
        for index in tqdm(range(frames), disable=not progress, unit="frame"):
            frame = render_room(seed, index, size)
            _store_frame(arrays, index, frame, label_map, seed)
            scenes.append(frame.scene)
        matlab.create_cells(file, "names", _raw_names(label_map))
        matlab.create_cells(file, "scenes", scenes)
        types = [scene.rsplit("_", 1)[0] for scene in scenes]
        matlab.create_cells(file, "sceneTypes", types)
    matlab.write_user_block(path)
    os.replace(path, target)


def _keep_official(target: Path) -> None:
    """Refuse to replace a labelled file without normals: it was not generated."""
    if not target.exists():
        return
    try:
        with h5py.File(target) as file:
            generated = "normals" in file
    except OSError:
        generated = False
    if not generated:
        raise ValueError(
            f"'{target}' exists and was not generated here; choose another folder"
        )


def _check_split(frames: int, test_fraction: float) -> None:
    if frames <= FRAMES_PER_SCENE or not 0.0 < test_fraction < 1.0:
        raise ValueError(
            f"{frames} frames with test_fraction {test_fraction} cannot be split; use "
            f"more than {FRAMES_PER_SCENE} frames and a fraction between 0 and 1"
        )


def _write_mapping(path: Path, label_map: NDArray[np.uint8]) -> None:
    variables = {
        "mapClass": label_map[None],
        "className": matlab.cell_row(NYU40_CLASSES),
        "allClassName": matlab.cell_row(_raw_names(label_map)),
    }
    matlab.save_mat5(path, variables)


def _raw_names(label_map: NDArray[np.uint8]) -> list[str]:
    """Name raw labels after their class and number, such as ``chair 17``."""
    return [
        f"{NYU40_CLASSES[label - 1]} {raw}" for raw, label in enumerate(label_map, 1)
    ]


def _split_scenes(
    frames: int, test_fraction: float, seed: int
) -> dict[str, NDArray[np.uint16]]:
    """Split whole scenes; both sides get at least one."""
    scenes = -(-frames // FRAMES_PER_SCENE)
    order = np.random.default_rng([seed, 4]).permutation(scenes)
    tests = int(np.clip(round(test_fraction * scenes), 1, scenes - 1))
    is_test = np.isin(np.arange(frames) // FRAMES_PER_SCENE, order[:tests])
    return {
        "trainNdxs": (np.flatnonzero(~is_test) + 1).astype(np.uint16)[:, None],
        "testNdxs": (np.flatnonzero(is_test) + 1).astype(np.uint16)[:, None],
    }


def _create_arrays(file: h5py.File, frames: int, size: Size) -> dict[str, h5py.Dataset]:
    height, width = size
    plane, volume = (frames, width, height), (frames, 3, width, height)
    return {
        "images": matlab.create_array(file, "images", volume, np.uint8, "uint8"),
        "depths": matlab.create_array(file, "depths", plane, np.float32, "single"),
        "rawDepths": matlab.create_array(
            file, "rawDepths", plane, np.float32, "single"
        ),
        "labels": matlab.create_array(file, "labels", plane, np.uint16, "uint16"),
        "instances": matlab.create_array(file, "instances", plane, np.uint8, "uint8"),
        "normals": matlab.create_array(file, "normals", volume, np.float32, "single"),
    }


def _store_frame(
    arrays: dict[str, h5py.Dataset],
    index: int,
    frame: RoomFrame,
    label_map: NDArray[np.uint8],
    seed: int,
) -> None:
    generator = np.random.default_rng([seed, index, 5])
    # MATLAB is column-major, so h5py shows the axes in reverse order.
    arrays["images"][index] = frame.image.transpose(2, 1, 0)
    arrays["normals"][index] = frame.normals.transpose(2, 1, 0)
    arrays["depths"][index] = frame.depth.T
    arrays["rawDepths"][index] = _punch_holes(frame, generator).T
    arrays["labels"][index] = raw_labels(frame, label_map, generator).T
    arrays["instances"][index] = frame.instances.T


def _punch_holes(
    frame: RoomFrame, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return depth with 0 where a structured-light sensor sees nothing.

    Grazing and far surfaces, and single pixels at random, give no echo.
    """
    grazing = np.abs(frame.normals[..., 2]) < 0.12
    lost = generator.random(frame.depth.shape) < 0.02 + 0.08 * (frame.depth > 6.0)
    return np.where(grazing | lost, np.float32(0.0), frame.depth)
