"""Normals under zoom, crop and flip are those of the augmented depth; packing."""

import numpy as np
import pytest

from tasks.normals import AddNormals
from tasks.normals.plane_fit import Camera, normals_from_depth
from tasks.transforms import AugmentFrame, PackFrame

SIZE = (48, 64)
CAMERA = Camera(60.0, 60.0, 31.5, 23.5, *SIZE)


def slope(size=SIZE, camera=CAMERA, normal=(-0.3, 0.2, -0.9)) -> np.ndarray:
    """Depth of a plane at 2 m on the axis."""
    x = (np.arange(size[1]) - camera.cx)[None] / camera.fx
    y = (np.arange(size[0]) - camera.cy)[:, None] / camera.fy
    n = np.array(normal)
    return 2 * n[2] / (n[0] * x + n[1] * y + n[2])


def frame(seed: int = 0) -> dict:
    depth = slope().astype(np.float32)
    normals = normals_from_depth(depth, camera=CAMERA, window=9, noise=0.001)
    assert np.linalg.norm(normals, axis=-1).min() > 0.5
    image = np.zeros((*SIZE, 3), np.uint8)
    return dict(img=image, gt_depth_map=depth, gt_normal_map=normals, seed=[seed])


@pytest.mark.parametrize("zoom", [0.5, 2.0])
def test_zoomed_normals_are_those_of_the_zoomed_depth(zoom):
    """The camera stays; the principal point moves with the pixels."""
    size = tuple(int(zoom * s) for s in SIZE)
    options = dict(scale=(zoom, zoom), flip=0.0, colour=0)
    out = AugmentFrame(SIZE, size, **options)(frame())
    moved = [(c + 0.5) * zoom - 0.5 for c in (CAMERA.cx, CAMERA.cy)]
    camera = Camera(CAMERA.fx, CAMERA.fy, *moved, *size)
    again = normals_from_depth(out["gt_depth_map"], camera=camera, window=9, noise=0.01)
    inner = (slice(4, -4), slice(4, -4))
    # Nearest neighbour leaves half a pixel of doubt.
    assert np.abs(out["gt_normal_map"][inner] - again[inner]).max() < 0.03
    assert not np.allclose(out["gt_normal_map"][0, 0], frame()["gt_normal_map"][0, 0])


def test_normals_of_another_camera():
    data = dict(gt_depth_map=slope().astype(np.float32))
    found = AddNormals(window=9, noise=0.001, camera=CAMERA)(data)["gt_normal_map"]
    expected = np.array([-0.3, 0.2, -0.9]) / np.linalg.norm([-0.3, 0.2, -0.9])
    assert np.abs(found[8:-8, 8:-8] - expected).max() < 1e-3
    square = dict(gt_depth_map=np.full((48, 48), 2.0, np.float32))
    with pytest.raises(ValueError, match=r"48x48 .* takes 480x640; name yours"):
        AddNormals()(square)


def test_flip_mirrors_the_map_and_turns_its_first_component():
    options = dict(scale=(1.0, 1.0), colour=0)
    plain = AugmentFrame(SIZE, SIZE, flip=0.0, **options)(frame())["gt_normal_map"]
    out = AugmentFrame(SIZE, SIZE, flip=1.0, **options)(frame())["gt_normal_map"]
    assert np.allclose(out, plain[:, ::-1] * [-1, 1, 1], atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_vectors_stay_unit_or_zero_and_padding_is_unknown(seed):
    data = frame(seed)
    data["gt_normal_map"][:10] = 0
    out = AugmentFrame(SIZE, (60, 80), scale=(0.8, 1.6))(data)["gt_normal_map"]
    length = np.linalg.norm(out, axis=-1)
    assert np.all((np.abs(length - 1) < 1e-5) | (length == 0))
    assert out.dtype == np.float32


def test_normals_change_nothing_else():
    alone = {k: v for k, v in frame(3).items() if k != "gt_normal_map"}
    transform = AugmentFrame(SIZE, (32, 48))
    first, other = transform(alone), transform(frame(3))
    for key in ("img", "gt_depth_map"):
        assert np.array_equal(first[key], other[key])


def test_a_pipeline_packs_everything():
    data = dict(
        img=np.zeros((*SIZE, 3), np.uint8),
        gt_depth_map=slope().astype(np.float32),
        gt_edge_map=np.zeros(SIZE, np.uint8),
        gt_label=4,
        img_path="a.png",
        seed=[0],
    )
    sample = PackFrame()(AddNormals(noise=0.1)(data))["data_samples"]
    assert sample.gt_normal_map.data.shape == (3, *SIZE)
    assert sample.gt_edge_map.data.shape == (1, *SIZE)
    assert sample.gt_depth_map.data.shape == (1, *SIZE)
    assert sample.gt_label == 4
    assert sample.img_path == "a.png"
    assert "gt_sem_seg" not in sample
