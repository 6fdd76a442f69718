"""The information bottleneck: divergence by loop, code, start, precision."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from tasks.multitask import InformationBottleneck
from tasks.multitask.bottleneck import gaussian_information


def parameters(dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    shape = (2, 3, 4, 5)
    draw = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in "ab"]
    return [x.to(dtype) for x in draw]


def test_divergence_is_that_of_torch_summed_over_channels():
    mean, log_variance = parameters()
    normal = Normal(mean, (log_variance / 2).exp())
    expected = kl_divergence(normal, Normal(0.0, 1.0)).sum(dim=1).mean()
    assert gaussian_information(mean, log_variance).item() == pytest.approx(
        expected.item()
    )


def test_divergence_by_loop():
    mean, log_variance = parameters()
    total = 0.0
    for m, v in zip(mean.ravel().tolist(), log_variance.ravel().tolist(), strict=True):
        total += 0.5 * (m * m + math.exp(v) - v - 1)
    assert gaussian_information(mean, log_variance).item() == pytest.approx(
        total / (2 * 4 * 5)
    )


def test_the_standard_gaussian_says_nothing_and_places_do_not_matter():
    zero = torch.zeros(1, 2, 3, 3)
    assert gaussian_information(zero, zero).item() == 0
    mean, log_variance = parameters()
    assert gaussian_information(
        mean.flip(3).roll(1, 0), log_variance.flip(3).roll(1, 0)
    ).item() == pytest.approx(gaussian_information(mean, log_variance).item())
    low = gaussian_information(*parameters(torch.bfloat16))
    assert low.item() == pytest.approx(
        gaussian_information(mean, log_variance).item(), rel=0.02
    )


def test_training_adds_noise_of_the_learned_size():
    torch.manual_seed(0)
    layer = InformationBottleneck(4, beta=0.5)
    x = torch.ones(8, 4, 20, 20)
    (other, code), loss = layer((torch.zeros(1), x))
    assert other.shape == (1,)
    assert code.mean().item() == pytest.approx(1, abs=0.01)
    assert code.std().item() == pytest.approx(math.exp(-2.3), rel=0.02)
    variance = math.exp(-4.6)
    expected = 0.5 * 4 * 0.5 * (1 + variance + 4.6 - 1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_everything_learns_and_evaluation_is_the_mean():
    layer = InformationBottleneck(4)
    x = torch.randn(2, 4, 5, 5)
    (code,), loss = layer((x,))
    (code.square().mean() + loss).backward()
    assert all(p.grad is not None and p.grad.any() for p in layer.parameters())
    (first,), nothing = layer.eval()((x,))
    (again,), _ = layer((x,))
    assert nothing is None
    assert torch.equal(first, again)
    assert torch.allclose(first, x)


def test_autocast_computes_the_loss_in_float32():
    layer = InformationBottleneck(4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (code,), loss = layer((torch.randn(2, 4, 5, 5).bfloat16(),))
    assert code.dtype == loss.dtype == torch.float32


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        InformationBottleneck(4, beta=-1)
