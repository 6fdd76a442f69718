"""One geometry for image, labels and depth."""

import numpy as np
import pytest

from tasks.transforms import AugmentFrame, ResizeImage

SIZE = (48, 64)


def frame(seed: int = 0) -> dict:
    """A frame whose three maps carry the same pattern."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 40, (12, 16), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    image = np.stack([labels * 6] * 3, axis=-1)
    depth = labels.astype(np.float32) + 1
    return dict(img=image, gt_seg_map=labels, gt_depth_map=depth, seed=[seed, 1, 2])


def augment(scale=(0.8, 1.6), **options) -> AugmentFrame:
    return AugmentFrame(SIZE, (32, 48), scale=scale, **options)


@pytest.mark.parametrize("seed", range(8))
def test_maps_stay_aligned_and_depth_is_divided_by_the_zoom(seed):
    out = augment(colour=0)(frame(seed))
    assert out["img"].shape == (32, 48, 3)
    labels = out["gt_seg_map"].astype(np.float32)
    ratio = (labels + 1) / out["gt_depth_map"]
    # One zoom for the whole frame, within the range.
    assert np.allclose(ratio, ratio.flat[0], rtol=1e-5)
    assert 0.79 <= ratio.flat[0] <= 1.61
    # Away from edges, where bilinear images mix, the image shows the same labels: more
    # of them than a pixel off.
    shown = out["img"][..., 0].astype(int)
    same, below, beside = (
        (np.abs(np.roll(shown, shift, axis=(0, 1)) - labels * 6) <= 3).mean()
        for shift in ((0, 0), (1, 0), (0, 1))
    )
    assert same > max(0.5, below, beside)


def test_depth_follows_the_size_that_was_loaded():
    """Loading at half size changes the pixels, not the metres."""
    out = AugmentFrame((24, 32), (24, 32), scale=(1.0, 1.0), colour=0, flip=0)(frame())
    assert set(np.unique(out["gt_depth_map"])) <= set(
        np.unique(frame()["gt_depth_map"])
    )


def test_zoom_of_two_halves_depth():
    out = augment(scale=(2.0, 2.0), colour=0)(frame())
    halves = frame()["gt_depth_map"] / 2
    assert set(np.unique(out["gt_depth_map"])) <= set(np.unique(halves))


def test_padding_is_void_unknown_and_black():
    out = AugmentFrame(SIZE, (96, 128), scale=(1.0, 1.0), flip=0, colour=0)(frame())
    assert (out["gt_seg_map"][48:] == 255).all()
    assert (out["gt_depth_map"][:, 64:] == 0).all()
    assert (out["img"][48:] == 0).all()
    assert (out["gt_seg_map"][:48, :64] != 255).all()


def test_flip_mirrors_everything():
    options = dict(scale=(1.0, 1.0), colour=0)
    plain = AugmentFrame(SIZE, SIZE, flip=0.0, **options)(frame())
    mirrored = AugmentFrame(SIZE, SIZE, flip=1.0, **options)(frame())
    for key in ("img", "gt_seg_map", "gt_depth_map"):
        assert np.array_equal(mirrored[key], plain[key][:, ::-1])


def test_void_survives():
    data = frame()
    data["gt_seg_map"][:] = 255
    assert (augment()(data)["gt_seg_map"] == 255).all()


def test_a_frame_is_a_function_of_its_seed():
    transform = augment()
    first = transform(frame(5))
    other = transform(frame(6))
    again = transform(frame(5))
    assert np.array_equal(first["img"], again["img"])
    assert np.array_equal(first["gt_depth_map"], again["gt_depth_map"])
    assert not np.array_equal(first["img"], other["img"])


def test_seeds_cover_the_range():
    transform = augment(colour=0)
    ratios = []
    for seed in range(60):
        out = transform(frame(seed))
        ratios.append((out["gt_seg_map"][0, 0] + 1.0) / out["gt_depth_map"][0, 0])
    assert min(ratios) < 0.9
    assert max(ratios) > 1.5


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(scale=(0.0, 1.0)), "0 < low <= high"),
        (dict(scale=(2.0, 1.0)), "0 < low <= high"),
    ],
)
def test_wrong_ranges_are_said(options, said):
    with pytest.raises(ValueError, match=said):
        augment(**options)


def test_another_aspect_is_refused():
    with pytest.raises(ValueError, match="another aspect"):
        AugmentFrame((48, 48), (32, 32))(frame())


def test_resize_leaves_the_truth_alone():
    data = frame()
    out = ResizeImage((24, 32))(dict(data, ori_shape=SIZE))
    assert out["img"].shape == (24, 32, 3)
    assert out["ori_shape"] == SIZE
    assert np.array_equal(out["gt_seg_map"], data["gt_seg_map"])
