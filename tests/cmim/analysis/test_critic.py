"""The fitted critic: a bound, never above the truth or the ceiling."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch

from cmim.analysis.critic import critic_bound, split_images

IMAGES = torch.arange(1024) // 16


def correlated(
    rho: float, channels: int = 2
) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Gaussian pairs and their mutual information in bits."""
    generator = torch.Generator().manual_seed(1)
    x, noise = torch.randn(2, 1024, channels, generator=generator)
    truth = -channels / 2 * math.log2(1 - rho**2)
    return x, rho * x + math.sqrt(1 - rho**2) * noise, truth


@pytest.mark.full
def test_it_rises_with_dependence_and_stays_below_the_truth():
    found = []
    for rho in (0.0, 0.6, 0.9, 0.99):
        x, y, truth = correlated(rho)
        bits, ceiling = critic_bound(x, y, IMAGES)
        assert bits <= truth + 0.15
        assert ceiling == 8
        found.append(bits)
    assert found[0] < 0.1
    assert all(b > a + 0.3 for a, b in pairwise(found))


def test_it_reaches_the_ceiling_and_no_more():
    x = correlated(0.5, channels=64)[0]
    bits, ceiling = critic_bound(x, x, IMAGES, candidates=64)
    assert ceiling == 6
    assert 5.8 < bits <= 6
    bits, ceiling = critic_bound(x, x, IMAGES, candidates=16)
    assert 3.9 < bits <= ceiling == 4


def test_what_holds_on_the_fitted_images_alone_is_not_counted():
    """Noise of more channels than rows can be fitted exactly, and means nothing."""
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(2, 256, 300, generator=generator)
    assert critic_bound(x, y, torch.arange(256) // 8).bits < 0.1


@pytest.mark.full
def test_scale_shift_and_dead_channels_change_nothing():
    x, y, _ = correlated(0.8)
    plain = critic_bound(x, y, IMAGES).bits
    dead = torch.full((len(x), 1), 7.0)
    moved = critic_bound(x * 1e3 + 50, torch.cat([y, dead], dim=1), IMAGES).bits
    assert moved == pytest.approx(plain, abs=0.3)
    assert critic_bound(x, dead, IMAGES).bits < 1e-5


def test_images_that_are_measured_do_not_set_the_scale():
    """One huge value there spoils its own row alone."""
    x, y, _ = correlated(0.9)
    plain = critic_bound(x, y, IMAGES, steps=60, candidates=64).bits
    x[48] = 1e6
    assert split_images(IMAGES)[2][48]
    found = critic_bound(x, y, IMAGES, steps=60, candidates=64).bits
    assert found == pytest.approx(plain, abs=0.2)


def test_steps_after_the_best_one_are_undone():
    """64 rows of 60 channels, 20 of which mean something: soon learned by heart."""
    generator = torch.Generator().manual_seed(3)
    x, y = torch.randn(2, 128, 60, generator=generator)
    y[:, :20] += x[:, :20]
    images = torch.arange(128) // 4
    soon, late = (critic_bound(x, y, images, steps=n).bits for n in (100, 300))
    assert soon == late > 0.3


def test_same_call_same_bits_and_the_generator_is_left_alone():
    x, y, _ = correlated(0.7)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = critic_bound(x, y, IMAGES, steps=40)
    assert torch.equal(torch.rand(3), expected)
    assert first == critic_bound(x, y, IMAGES, steps=40)
    assert first != critic_bound(x, y, IMAGES, steps=40, seed=1)


@pytest.mark.full
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_precision_of_the_features(dtype):
    x, y, _ = correlated(0.8)
    expected = critic_bound(x, y, IMAGES).bits
    assert critic_bound(x.to(dtype), y.to(dtype), IMAGES).bits == pytest.approx(
        expected, abs=0.1
    )


def test_features_of_inference_mode():
    x, y, _ = correlated(0.8)
    with torch.inference_mode():
        inside = critic_bound(x + 0, y + 0, IMAGES, steps=40)
    assert inside == critic_bound(x, y, IMAGES, steps=40)


def test_no_image_is_in_two_parts():
    images = (
        torch.randint(0, 12, (200,), generator=torch.Generator().manual_seed(0)) * 5
    )
    parts = split_images(images)
    assert torch.stack(parts).sum(0).eq(1).all()
    for i, part in enumerate(parts):
        inside = set(images[part].tolist())
        assert len(inside) == (6, 3, 3)[i]
        assert not inside & set(images[~part].tolist())


def test_too_few_images():
    with pytest.raises(ValueError, match="3 images are too few"):
        critic_bound(torch.zeros(6, 1), torch.zeros(6, 1), torch.arange(6) % 3)
