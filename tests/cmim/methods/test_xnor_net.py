"""XNOR-Net against NumPy: weights, and the map K in every geometry."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.layers import BasicBlock
from cmim.methods import get_method

GEOMETRIES = [(1, 0, 1), (1, 1, 1), (2, 1, 1), (1, 2, 2), (2, 4, 4)]


def test_weights_and_the_gradient_of_the_paper(weights, upstream):
    weight = torch.from_numpy(weights).requires_grad_()
    binary = get_method("xnor_net").weight((4, 2, 3, 3))(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    alpha = np.abs(weights).reshape(4, -1).mean(1).reshape(4, 1, 1, 1)
    window = (weights >= -1) & (weights <= 1)
    expected = np.where(weights >= 0, alpha, -alpha)
    np.testing.assert_allclose(binary.detach(), expected, rtol=1e-14)
    expected = gradient * (1 / 18 + alpha * window)
    np.testing.assert_allclose(weight.grad, expected, rtol=1e-13)


def numpy_scale_map(
    a: np.ndarray, side: int, stride: int, padding: int, dilation: int
) -> np.ndarray:
    """Sum of |a| under the kernel, pixel by pixel, over channels times kernel area."""
    edge = (padding, padding)
    padded = np.pad(np.abs(a), ((0, 0), (0, 0), edge, edge))
    reach = dilation * (side - 1) + 1
    rows = (padded.shape[2] - reach) // stride + 1
    columns = (padded.shape[3] - reach) // stride + 1
    result = np.empty((a.shape[0], 1, rows, columns))
    for n, _, i, j in np.ndindex(result.shape):
        window = padded[n, :, i * stride :, j * stride :]
        window = window[:, :reach:dilation, :reach:dilation]
        result[n, 0, i, j] = window.mean()
    return result


@pytest.mark.parametrize(("stride", "padding", "dilation"), GEOMETRIES, ids=str)
def test_output_times_the_map(stride, padding, dilation):
    conv = nn.Conv2d(3, 5, 3, stride, padding, dilation)
    a = np.random.default_rng(0).normal(size=(2, 3, 11, 10))
    expected = numpy_scale_map(a, 3, stride, padding, dilation)
    out = np.random.default_rng(1).normal(size=(2, 5, *expected.shape[2:]))
    scale = get_method("xnor_net").output_scale(conv)
    scaled = scale(torch.from_numpy(out), torch.from_numpy(a))
    np.testing.assert_allclose(scaled, out * expected, rtol=1e-12)


def test_the_map_is_a_constant_of_the_step_and_no_state():
    scale = get_method("xnor_net").output_scale(nn.Conv2d(3, 5, 3, padding=1))
    a = torch.randn(1, 3, 4, 4, requires_grad=True)
    out = torch.randn(1, 5, 4, 4, requires_grad=True)
    scale(out, a).sum().backward()
    assert a.grad is None
    assert out.grad.isfinite().all()
    assert not scale.state_dict()


def test_block_reads_the_real_activation():
    """Doubling |a| leaves the codes alone and doubles what batch-norm sees."""
    block = BasicBlock(get_method("xnor_net"), 4, 4)
    seen = []
    block.bn1.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    x = torch.randn(1, 4, 5, 5)
    block(x)
    block(2 * x)
    torch.testing.assert_close(seen[1], 2 * seen[0])


def test_without_the_map():
    method = get_method({"name": "xnor_net", "scale_map": False})
    assert method.output_scale is None
    block = BasicBlock(method, 4, 4)
    assert list(block.state_dict()) == list(
        BasicBlock(get_method("bireal"), 4, 4).state_dict()
    )
