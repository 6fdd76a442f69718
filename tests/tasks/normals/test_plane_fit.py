"""Normals from depth: planes, a loop over windows, quantised depth, edges, holes."""

import math

import numpy as np
import pytest

from tasks.normals.plane_fit import NYU_CAMERA, Camera, normals_from_depth

SIZE = (120, 160)


def rays(size=SIZE):
    camera = NYU_CAMERA.resized(*size)
    x = (np.arange(size[1]) - camera.cx) / camera.fx
    y = (np.arange(size[0]) - camera.cy) / camera.fy
    return x[None, :], y[:, None]


def plane(tilt: float, turn: float, distance: float, size=SIZE):
    """Depth of a plane tilted by degrees, and its normal towards the camera."""
    tilt, turn = math.radians(tilt), math.radians(turn)
    normal = -np.array(
        [
            math.sin(tilt) * math.cos(turn),
            math.sin(tilt) * math.sin(turn),
            math.cos(tilt),
        ]
    )
    x, y = rays(size)
    inverse = (normal[0] * x + normal[1] * y + normal[2]) / (normal[2] * distance)
    return 1 / inverse, normal


def sphere(distance: float, radius: float, size=SIZE):
    """Depth (0 beside it) and normals of a sphere on the optical axis."""
    x, y = rays(size)
    a = x**2 + y**2 + 1
    root = distance**2 - a * (distance**2 - radius**2)
    depth = np.where(root > 0, (distance - np.sqrt(np.maximum(root, 0))) / a, 0)
    points = np.stack([depth * x, depth * y, depth], axis=-1)
    normals = (points - np.array([0, 0, distance])) / radius
    return depth, np.where(depth[..., None] > 0, normals, 0)


def angles(normals: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Degrees at the pixels that have a normal."""
    valid = np.linalg.norm(normals, axis=-1) > 0.5
    truth = np.broadcast_to(truth, normals.shape)[valid]
    normals = normals[valid].astype(np.float64)
    cross = np.linalg.norm(np.cross(normals, truth), axis=-1)
    return np.degrees(np.arctan2(cross, (normals * truth).sum(axis=-1)))


@pytest.mark.parametrize("turn", [0, 70, 200])
@pytest.mark.parametrize("tilt", [0, 20, 45])
def test_a_plane_has_its_normal_everywhere(tilt, turn):
    depth, normal = plane(tilt, turn, 2.0)
    found = normals_from_depth(depth)
    assert np.allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)
    assert angles(found, normal).max() < 1e-2


def test_windows_are_least_squares_in_inverse_depth():
    """Against a loop that fits each window with NumPy."""
    rng = np.random.default_rng(0)
    depth = plane(30, 40, 2.0, (24, 32))[0] * (1 + 0.001 * rng.normal(size=(24, 32)))
    depth[5:9, 10:12] = 0
    # So much noise is allowed that every pixel takes its own window.
    found = normals_from_depth(depth, window=100, noise=1.0)
    x, y = rays((24, 32))
    for row, column in [(12, 16), (0, 0), (7, 13), (23, 5)]:
        part = (slice(max(0, row - 2), row + 3), slice(max(0, column - 2), column + 3))
        known = depth[part] > 0
        grid = [np.broadcast_to(v, depth.shape)[part][known] for v in (x, y)]
        system = np.stack([*grid, np.ones(known.sum())], axis=1)
        solved = np.linalg.lstsq(system, 1 / depth[part][known], rcond=None)[0]
        assert np.allclose(found[row, column], -solved / np.linalg.norm(solved), 1e-4)


def test_errors_with_steps_of_39_mm_are_those_that_the_page_states():
    """At half the page's resolution, where the windows have half the pixels."""

    def error(scene) -> float:
        depth, truth = scene
        steps = np.where(depth > 0, np.maximum(np.round(depth / 0.039), 1) * 0.039, 0)
        found = angles(normals_from_depth(steps), truth)
        assert len(found) > 0.9 * (depth > 0).sum()
        return found.mean()

    size = (240, 320)
    planes = [
        error(plane(tilt, 40, distance, size))
        for tilt in (0, 5, 15, 30, 45, 60)
        for distance in (1.5, 2.5, 4)
    ]
    assert 1.2 < np.mean(planes) < 3.2
    assert max(planes) < 12
    assert error(sphere(2.0, 0.5, size)) < 6


def test_two_walls_keep_their_normals_up_to_the_corner():
    left, normal = plane(50, 0, 2.0)
    right, other = plane(50, 180, 2.0)
    depth = np.minimum(left, right)
    found = normals_from_depth(depth, noise=0.002)
    truth = np.where((left < right)[..., None], normal, other)
    assert (np.linalg.norm(found, axis=-1) > 0.5).mean() > 0.97
    assert np.percentile(angles(found, truth), 95) < 1


def test_a_jump_in_depth_is_no_slope():
    depth = np.full(SIZE, 1.5)
    depth[:, 80:] = 3.0
    found = normals_from_depth(depth)
    assert angles(found, np.array([0, 0, -1])).max() < 1
    assert (np.linalg.norm(found, axis=-1) > 0.5).mean() > 0.97


@pytest.mark.parametrize("hole", [0.0, math.nan, math.inf])
def test_unknown_depth_has_no_normal_and_spoils_none(hole):
    depth, normal = plane(30, 0, 2.0)
    depth[40:60, 50:90] = hole
    found = normals_from_depth(depth)
    assert not found[40:60, 50:90].any()
    known = np.linalg.norm(found, axis=-1) > 0.5
    assert known.sum() == known.size - 20 * 40
    assert angles(found, normal).max() < 1e-2


def test_no_depth_at_all_gives_no_normals():
    assert not normals_from_depth(np.zeros((16, 16))).any()


def test_noise_is_no_surface():
    depth = np.random.default_rng(0).uniform(1, 5, SIZE)
    valid = np.linalg.norm(normals_from_depth(depth), axis=-1) > 0.5
    assert valid.mean() < 0.05


def test_scale_of_the_scene_does_not_matter():
    depth, _ = sphere(2.0, 0.6)
    near = normals_from_depth(depth, noise=0.002, growth=0.0)
    far = normals_from_depth(3 * depth, noise=0.006, growth=0.0)
    assert np.allclose(near, far, atol=1e-5)


def test_dtype_of_the_depth_does_not_matter():
    depth, _ = plane(30, 0, 2.0)
    double = normals_from_depth(depth)
    assert double.dtype == np.float32
    assert angles(normals_from_depth(depth.astype(np.float32)), double).max() < 0.05


def test_rendered_rooms_have_the_normals_they_were_rendered_with():
    from tasks.datasets.rooms.frames import render_room

    frame = render_room(0, 1, (120, 160))
    found = normals_from_depth(frame.depth, window=17, noise=0.003)
    assert (np.linalg.norm(found, axis=-1) > 0.5).mean() > 0.8
    assert np.median(angles(found, frame.normals)) < 2


@pytest.mark.parametrize(
    ("options", "said"),
    [(dict(window=0), "must be positive"), (dict(noise=0.0), "must be positive")],
)
def test_wrong_options_are_named(options, said):
    with pytest.raises(ValueError, match=said):
        normals_from_depth(np.ones((8, 8)), **options)
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        normals_from_depth(np.ones((8, 8, 1)))


def test_resized_camera_sees_the_same_rays():
    half = Camera(500, 400, 319.5, 200.0, 480, 640).resized(240, 320)
    # The centre of pixel (0, 0) of the half frame lies between the first two of the
    # whole one.
    assert (0 - half.cx) / half.fx == pytest.approx((0.5 - 319.5) / 500)
    assert (0 - half.cy) / half.fy == pytest.approx((0.5 - 200.0) / 400)
