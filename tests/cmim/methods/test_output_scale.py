"""Output scales that several methods share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.methods.output_scale import ChannelScale, OutputPReLU


@pytest.mark.parametrize("slopes", [1, 3])
def test_prelu_behind_a_scale(slopes, upstream):
    torch.manual_seed(0)
    inner = ChannelScale(3)
    scale = OutputPReLU(slopes, inner).double()
    nn.init.normal_(scale.slope)
    out = upstream((2, 3, 4, 5))
    out[0, :, 0, 0] = 0.0
    x = torch.from_numpy(out).requires_grad_()
    found = scale(x, torch.zeros(2, 7, 4, 5))
    gradient = np.random.default_rng(3).normal(size=out.shape)
    found.backward(torch.from_numpy(gradient))
    factor = inner.weight.detach().numpy().reshape(-1, 1, 1)
    slope = np.broadcast_to(scale.slope.detach().numpy(), 3).reshape(-1, 1, 1)
    scaled = factor * out
    expected = np.where(scaled > 0, scaled, slope * scaled)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-12)
    expected = gradient * np.where(scaled > 0, 1, slope) * factor
    np.testing.assert_allclose(x.grad, expected, rtol=1e-12)
    expected = (gradient * np.minimum(scaled, 0)).sum((0, 2, 3))
    expected = expected if slopes == 3 else expected.sum(keepdims=True)
    np.testing.assert_allclose(scale.slope.grad, expected, rtol=1e-9)


def test_features_keep_their_type():
    scale = OutputPReLU(2)
    out = torch.randn(1, 2, 3, 3).bfloat16()
    assert scale(out, out).dtype == torch.bfloat16


def test_factors_may_start_at_the_mean_magnitude():
    conv = nn.Conv2d(2, 3, 3)
    scale = ChannelScale.of_magnitudes(conv)
    expected = conv.weight.detach().abs().flatten(1).mean(1)
    torch.testing.assert_close(scale.weight.detach(), expected)
    assert scale.weight.requires_grad
