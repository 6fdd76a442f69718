"""Rendered rooms: exact geometry, determinism, and the official file layout."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from scipy.io import loadmat

from tasks.datasets.nyu40 import NYU40_CLASSES, NYU40_PALETTE, class_id
from tasks.datasets.rooms.casting import Camera, Solid, camera_intrinsics, cast_rays
from tasks.datasets.rooms.frames import (
    FRAMES_PER_SCENE,
    RoomFrame,
    draw_label_map,
    render_room,
    write_rooms,
)
from tasks.datasets.rooms.textures import PATTERNS, Face, Material, face_colors

SIZE = (90, 120)
GRAY = Material("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
FIELDS = ("image", "depth", "labels", "normals", "instances")


@pytest.fixture(scope="module")
def frames() -> list[RoomFrame]:
    return [render_room(3, 7 * index, SIZE) for index in range(24)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rooms")
    write_rooms(path, frames=14, size=(48, 64), seed=5, progress=False)
    return path


def backproject(frame: RoomFrame) -> np.ndarray:
    """Lift pixels to camera coordinates, from the published intrinsics alone."""
    height, width = frame.depth.shape
    # 1-based pixel centres of the 640 x 480 frame that these pixels average.
    u = (np.arange(width) + 0.5) * 640 / width + 0.5
    v = (np.arange(height) + 0.5) * 480 / height + 0.5
    x = (u - 325.582244) / 518.857901
    y = (v - 253.736166) / 519.469611
    rays = np.stack(np.broadcast_arrays(x, y[:, None], 1.0), axis=-1)
    return rays * frame.depth[..., None].astype(np.float64)


def test_frames_are_a_pure_function_of_their_arguments() -> None:
    first = render_room(1, 9, SIZE)
    np.random.seed(0)  # noqa: NPY002
    others = [render_room(seed, 9, SIZE) for seed in range(2, 9)]
    again = render_room(1, 9, SIZE)
    for name in FIELDS:
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes()
        assert any(
            getattr(first, name).tobytes() != getattr(other, name).tobytes()
            for other in others
        )


def test_consecutive_frames_show_one_room_from_several_places() -> None:
    frames = [render_room(0, index, (24, 32)) for index in range(8)]
    assert len({frame.scene for frame in frames[:4]}) == 1
    assert frames[3].scene != frames[4].scene
    assert frames[4].scene.endswith("_0001")
    assert not np.array_equal(frames[0].depth, frames[1].depth)


def test_depth_and_classes_do_not_depend_on_resolution() -> None:
    coarse, fine = render_room(2, 1, (48, 64)), render_room(2, 1, (144, 192))
    # With pixel centres at integers, every third centre coincides.
    agree = np.abs(coarse.depth - fine.depth[1::3, 1::3]) < 1e-5
    assert agree.mean() > 0.999


def test_types_and_ranges(frames: list[RoomFrame]) -> None:
    for frame in frames:
        assert frame.image.shape == (*SIZE, 3)
        assert frame.image.dtype == np.uint8
        assert frame.depth.dtype == np.float32
        assert frame.labels.dtype == np.uint8
        assert frame.normals.dtype == np.float32
        assert 0.7 <= frame.depth.min() < frame.depth.max() <= 10.0
        assert frame.labels.max() <= 40
        assert (frame.labels == 0).mean() < 0.2
        assert 60 < frame.image.mean() < 170
        assert frame.image.std() > 15
        np.testing.assert_allclose(
            np.linalg.norm(frame.normals, axis=-1), 1.0, atol=1e-5
        )
    assert any((frame.labels == 0).any() for frame in frames)


@pytest.mark.parametrize("name", ["floor", "wall", "ceiling"])
def test_points_of_a_shell_face_lie_on_one_plane(
    frames: list[RoomFrame], name: str
) -> None:
    checked = 0
    for frame in frames:
        points = backproject(frame)
        mask = (frame.labels == class_id(name)) & (frame.instances == 0)
        rounded = np.round(frame.normals[mask], 4)
        for normal in np.unique(rounded, axis=0):
            cloud = points[mask][(rounded == normal).all(axis=1)]
            if len(cloud) < 20:
                continue
            centered = cloud - cloud.mean(axis=0)
            fitted = np.linalg.svd(centered, full_matrices=False)[2][2]
            assert np.abs(centered @ fitted).max() < 1e-4
            assert abs(fitted @ normal) > 1 - 1e-4
            checked += 1
    assert checked >= 3


def test_normals_are_the_cross_product_of_tangents(frames: list[RoomFrame]) -> None:
    for frame in frames:
        points = backproject(frame)
        across = points[1:-1, 2:] - points[1:-1, :-2]
        down = points[2:, 1:-1] - points[:-2, 1:-1]
        derived = np.cross(down, across)
        derived /= np.linalg.norm(derived, axis=-1, keepdims=True)
        center = frame.normals[1:-1, 1:-1]
        inside = frame.instances[1:-1, 1:-1] == 0
        for rows, columns in ((0, 1), (2, 1), (1, 0), (1, 2)):
            window = np.s_[rows : rows + SIZE[0] - 2, columns : columns + SIZE[1] - 2]
            inside &= frame.instances[window] == 0
            inside &= np.abs(frame.normals[window] - center).max(axis=-1) < 1e-6
        # Grazing planes magnify the rounding of float32 depth.
        error = np.linalg.norm(derived - center, axis=-1)[inside]
        assert np.quantile(error, 0.99) < 2e-3


def test_normals_face_the_camera(frames: list[RoomFrame]) -> None:
    for frame in frames:
        assert ((backproject(frame) * frame.normals).sum(axis=-1) < 0).all()


@pytest.mark.parametrize("shape", ["box", "cylinder", "ellipsoid"])
def test_solids_match_their_closed_form(shape: str) -> None:
    # The camera looks along +y; the solid is centred on its axis, 2 m ahead.
    axes = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    camera = Camera(np.array([2.0, 1.0, 1.2]), axes)
    solid = Solid(shape, (2.0, 3.0, 1.2), (0.5, 0.5, 0.5), 7, GRAY)  # type: ignore[arg-type]
    size = (96, 128)
    hits = cast_rays(camera, size, (4.0, 5.0, 2.5), [solid])
    fx, fy, cx, cy = camera_intrinsics(size)
    x = (np.arange(128) - cx) / fx
    y = (np.arange(96) - cy) / fy
    x, y = np.meshgrid(x, y)
    if shape == "box":
        inside = (np.abs(1.5 * x) < 0.5) & (np.abs(1.5 * y) < 0.5)
        depth = np.full(size, 1.5)
    else:
        # |t d - (0, 0, 2)| = 1/2 over the axes that curve.
        square = x**2 + 1 + (y**2 if shape == "ellipsoid" else 0)
        root = 4 - square * (4 - 0.25)
        inside = root >= 0
        depth = (2 - np.sqrt(np.maximum(root, 0))) / square
        if shape == "cylinder":
            inside &= np.abs(depth * y) < 0.5
    assert inside.sum() > 100
    assert (hits.surface[inside] == 6).all()
    np.testing.assert_allclose(hits.depth[inside], depth[inside], rtol=1e-12)
    outside = hits.surface != 6
    wall = hits.surface[outside] == 3
    np.testing.assert_allclose(hits.depth[outside][wall], 4.0, rtol=1e-12)


def test_turned_solids_keep_their_distance() -> None:
    axes = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    camera = Camera(np.array([2.0, 1.0, 1.2]), axes)
    solid = Solid("box", (0.0, 0.0, 0.0), (0.5, 0.3, 0.5), 7, GRAY)
    turned = solid.moved(2.0, 3.0, 1.2, np.pi / 2)
    hits = cast_rays(camera, (97, 129), (4.0, 5.0, 2.5), [turned])
    # After a quarter turn the half extent of 0.5 m points at the camera.
    assert hits.depth[hits.surface == 6].min() == pytest.approx(1.5)


@pytest.mark.full
def test_many_classes_occur() -> None:
    seen: set[int] = set()
    for index in range(0, 400, 4):
        seen |= set(np.unique(render_room(0, index, (30, 40)).labels).tolist())
    assert len(seen - {0}) >= 25


@pytest.mark.parametrize("pattern", sorted(PATTERNS))
def test_patterns_mix_within_the_two_colors(pattern: str) -> None:
    generator = np.random.default_rng(0)
    u, v = generator.uniform(0, 2, (2, 500)).astype(np.float32)
    material = Material(pattern, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), period=0.2)
    colors = face_colors(material, Face(u, v, 2.0, 2.0))
    assert colors.shape == (500, 3)
    assert colors.dtype == np.float32
    assert colors.min() >= 0.0
    assert colors.max() <= 1.0
    assert colors.std() > 0.0


@pytest.mark.parametrize(
    ("seed", "index", "size"), [(-1, 0, SIZE), (0, -1, SIZE), (0, 0, (8, 64))]
)
def test_bad_arguments_are_refused(seed: int, index: int, size: tuple) -> None:
    with pytest.raises(ValueError, match="out of range"):
        render_room(seed, index, size)


def test_palette_is_distinct_and_names_are_unique() -> None:
    assert len(set(NYU40_PALETTE)) == len(set(NYU40_CLASSES)) == 40
    with pytest.raises(ValueError, match="'sofas' is unknown"):
        class_id("sofas")


def test_file_has_the_official_layout(folder: Path) -> None:
    path = folder / "nyu_depth_v2_labeled.mat"
    header = path.read_bytes()[:128]
    assert header.startswith(b"MATLAB 7.3 MAT-file")
    assert header[124:] == b"\x00\x02IM"
    expected = {
        "images": ((14, 3, 64, 48), np.uint8),
        "depths": ((14, 64, 48), np.float32),
        "rawDepths": ((14, 64, 48), np.float32),
        "labels": ((14, 64, 48), np.uint16),
        "instances": ((14, 64, 48), np.uint8),
        "normals": ((14, 3, 64, 48), np.float32),
    }
    with h5py.File(path) as file:
        assert file.userblock_size == 512
        for name, (shape, dtype) in expected.items():
            assert file[name].shape == shape
            assert file[name].dtype == dtype
        assert file["names"].shape == (1, 894)
        assert file["scenes"].shape == (1, 14)
        # The idiom of every reader of the official file.
        reference = file["scenes"][0, 13]
        text = "".join(chr(unit) for unit in file[reference][:].ravel())
        assert file[reference].dtype == np.uint16
    assert text == render_room(5, 13, (48, 64)).scene


def test_file_holds_the_rendered_frames(folder: Path) -> None:
    mapping = loadmat(folder / "classMapping40.mat")["mapClass"].ravel()
    several = False
    with h5py.File(folder / "nyu_depth_v2_labeled.mat") as file:
        for index in (0, 6, 13):
            frame = render_room(5, index, (48, 64))
            assert np.array_equal(file["images"][index].transpose(2, 1, 0), frame.image)
            assert np.array_equal(file["depths"][index].T, frame.depth)
            assert np.array_equal(
                file["normals"][index].transpose(2, 1, 0), frame.normals
            )
            raw = file["labels"][index].T.astype(int)
            assert np.array_equal(np.where(raw, mapping[raw - 1], 0), frame.labels)
            several |= len(np.unique(raw)) > len(np.unique(frame.labels))
            sensed = file["rawDepths"][index].T
            assert (sensed == 0).any()
            assert np.array_equal(sensed[sensed > 0], frame.depth[sensed > 0])
    assert several


def test_label_map_covers_every_class_several_times() -> None:
    counts = np.bincount(draw_label_map(9), minlength=41)
    assert counts[0] == 0
    assert counts[1:].min() >= 1
    assert counts.sum() == 894


def test_split_keeps_scenes_together(folder: Path) -> None:
    splits = loadmat(folder / "splits.mat")
    train, test = splits["trainNdxs"], splits["testNdxs"]
    assert train.dtype == test.dtype == np.uint16
    assert train.shape[1] == test.shape[1] == 1
    assert sorted([*train.ravel(), *test.ravel()]) == list(range(1, 15))
    scene_of_train = (train.ravel() - 1) // FRAMES_PER_SCENE
    scene_of_test = (test.ravel() - 1) // FRAMES_PER_SCENE
    assert not set(scene_of_train) & set(scene_of_test)


def test_class_mapping_file_reads_like_the_official_one(folder: Path) -> None:
    mapping = loadmat(folder / "classMapping40.mat")
    assert mapping["mapClass"].shape == (1, 894)
    assert mapping["mapClass"].dtype == np.uint8
    assert mapping["className"].shape == (1, 40)
    assert tuple(str(cell[0]) for cell in mapping["className"][0]) == NYU40_CLASSES
    assert mapping["allClassName"].shape == (1, 894)


@pytest.mark.full
def test_files_are_written_byte_identically(folder: Path, tmp_path: Path) -> None:
    write_rooms(tmp_path, frames=14, size=(48, 64), seed=5, progress=False)
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_too_few_frames_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        write_rooms(tmp_path, frames=4, size=(48, 64), progress=False)
