"""Placed binarizers: codes in units of x, gradients of the moved activation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from convert_cases import pictures

from cmim.convert.placed import PlacedTwoLevel, placed
from cmim.methods import available_methods, get_method

CHANNELS = 32
STATIC = [
    name
    for name in available_methods()
    if get_method(name).activation is not None
    and get_method(name).activation(CHANNELS).static
]


def moved(method: str, seed: int = 0):
    """A binarizer that was placed anywhere, with whatever it learned on top."""
    torch.manual_seed(seed)
    binarize = placed(get_method(method).activation(CHANNELS), CHANNELS)
    for parameter in binarize.parameters():
        # Scales stay where they are, about.
        parameter.data += 0.1 * torch.randn(parameter.shape)
    binarize.place(10 * torch.randn(CHANNELS), torch.rand(CHANNELS) + 0.1)
    return binarize


def at_thresholds(binarize) -> torch.Tensor:
    """Every threshold, the numbers beside it, and others."""
    x = 10 * pictures(2, CHANNELS, 3, 4)
    rows = []
    for step in binarize.steps(x):
        at = step.threshold.detach().float().expand(1, CHANNELS, 1, 1)
        up, down = (at.nextafter(torch.full_like(at, v)) for v in (1e9, -1e9))
        rows += [at, up, down, (at + up + down) / 3]
    beside = torch.cat(rows, dim=3).expand(2, -1, 3, -1)
    return torch.cat([x, beside], dim=3).contiguous()


@pytest.mark.parametrize("method", STATIC)
@pytest.mark.parametrize("seed", [0, 1])
def test_codes_are_the_steps_with_and_without_gradients(method, seed):
    binarize = moved(method, seed).eval()
    x = at_thresholds(binarize)
    total = torch.zeros_like(x)
    for threshold, low, high in binarize.steps(x):
        low, high = (torch.as_tensor(v).to(x) for v in (low, high))
        total += torch.where(x >= threshold, high, low)
    with torch.no_grad():
        torch.testing.assert_close(binarize(x), total, rtol=0, atol=1e-6)
        codes = binarize(x)
    torch.testing.assert_close(binarize(x), codes, rtol=0, atol=1e-6)
    if isinstance(binarize, PlacedTwoLevel):
        trained = binarize.train()(x.requires_grad_())
        assert torch.equal(trained, codes)
        assert trained.requires_grad


@pytest.mark.parametrize("method", STATIC)
def test_nan_is_seen(method):
    binarize = moved(method).eval()
    x = pictures(2, CHANNELS, 3, 4)
    x[1, 2, 0, 0] = torch.nan
    with torch.no_grad():
        out = binarize(x)
    assert out.isnan().nonzero().tolist() == [[1, 2, 0, 0]]
    assert torch.equal(binarize(x).isnan(), out.isnan())


@pytest.mark.parametrize("training", [True, False])
def test_the_gradient_is_that_of_the_moved_activation(training):
    """bireal: ``max(0, 2 - 2|u|)/sigma`` at ``u = (x - mu)/sigma``."""
    binarize = placed(get_method("bireal").activation(2), 2).train(training)
    mu, sigma = np.array([2.0, -1.0]), np.array([0.5, 4.0])
    binarize.double().place(torch.from_numpy(mu), torch.from_numpy(sigma))
    x = pictures(3, 2, 4, 5).double() + torch.tensor([2.0, -1.0]).view(1, 2, 1, 1)
    x[0, :, 0, 0] = torch.from_numpy(mu)  # at the threshold
    x[0, :, 0, 1] = torch.from_numpy(mu + sigma)  # at the end of the window
    upstream = pictures(3, 2, 4, 5, seed=2).double()
    x.requires_grad_()
    binarize(x).backward(upstream)
    shape = (1, 2, 1, 1)
    u = (x.detach().numpy() - mu.reshape(shape)) / sigma.reshape(shape)
    slope = np.maximum(0, 2 - 2 * np.abs(u)) / sigma.reshape(shape)
    np.testing.assert_allclose(x.grad.numpy(), slope * upstream.numpy(), atol=1e-12)


def test_channels_without_spread_keep_theirs():
    binarize = placed(get_method("bireal").activation(2), 2)
    binarize.place(torch.tensor([1.0, 2.0]), torch.tensor([0.5, 3.0]))
    binarize.place(torch.tensor([4.0, 5.0]), torch.tensor([0.0, 7.0]))
    assert binarize.spread.tolist() == [0.5, 7.0]
    assert binarize.threshold().tolist() == [4.0, 5.0]


def test_the_middle_threshold_lies_at_the_median():
    median, spread = torch.tensor([2.0, -3.0]), torch.tensor([0.5, 2.0])
    for method in ("dorefa", "hwgq", "abc_net"):
        binarize = placed(get_method(method).activation(2), 2)
        binarize.place(median, spread)
        steps = binarize.eval().steps(torch.zeros(1, 2, 1, 1))
        cuts = sorted(step.threshold.flatten().tolist() for step in steps)
        middle = cuts[(len(cuts) - 1) // 2]
        np.testing.assert_allclose(middle, median.numpy(), atol=1e-6)
