"""Colour noise: the formula pixel by pixel, its statistics, the released form."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.transforms import Lighting
from tasks.transforms.lighting import AXES, DEVIATIONS


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)


def test_each_pixel_gets_the_same_colour_clipped_and_rounded_down(picture):
    for seed in range(8):
        out = Lighting(deviation=1.0)(dict(img=picture, seed=[3, seed]))["img"]
        words = np.random.SeedSequence([3, seed], spawn_key=(1,))
        alpha = np.random.default_rng(words).standard_normal(3)
        for y in range(5):
            for x in range(7):
                for c in range(3):
                    added = sum(AXES[c, i] * alpha[i] * DEVIATIONS[i] for i in range(3))
                    value = min(max(picture[y, x, c] + 255 * added, 0), 255)
                    assert out[y, x, c] == int(value)
        assert out.dtype == np.uint8


def test_colours_vary_along_the_components():
    grey = dict(img=np.full((1, 1, 3), 128, np.uint8))
    transform = Lighting(deviation=0.5)
    colours = np.array([
        transform(dict(grey, seed=[k]))["img"][0, 0].astype(float) for k in range(4000)
    ])  # fmt: skip
    # 255 x 0.5 x 0.2175 along the first axis, which is grey.
    along = (colours - colours.mean(0)) @ AXES
    assert along.std(0)[0] == pytest.approx(255 * 0.5 * DEVIATIONS[0], rel=0.05)
    assert along.std(0)[1] == pytest.approx(255 * 0.5 * DEVIATIONS[1], rel=0.15)
    # Rounded down: half a level below.
    assert colours.mean(0) == pytest.approx([127.5] * 3, abs=1.5)


def test_as_released_a_channel_stays_or_loses_one_level(picture):
    lost = set()
    for seed in range(40):
        out = Lighting(unit=1)(dict(img=picture, seed=[seed]))["img"]
        change = picture.astype(int) - out
        for c in range(3):
            inner = change[..., c][picture[..., c] > 0]
            assert len(set(inner.tolist())) == 1
            lost.add(int(inner[0]))
        assert (change[picture == 0] == 0).all()
    assert lost == {0, 1}


def test_it_depends_on_the_seed_alone_and_zero_is_nothing(picture):
    transform = Lighting(1.0)

    def run(*seed: int) -> np.ndarray:
        return transform(dict(img=picture, seed=list(seed)))["img"]

    first = run(0, 3, 5)
    assert not (run(0, 4, 5) == first).all()
    assert (run(0, 3, 5) == first).all()
    assert (Lighting(0.0)(dict(img=picture, seed=[1]))["img"] == picture).all()
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        Lighting(-1)
