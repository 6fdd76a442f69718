"""QuickNet beside the published one, and its parts against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.analysis.cost import layer_costs
from cmim.encoders import BinaryQuickNet
from cmim.encoders.quicknet import QuickBlock
from cmim.layers import BinaryConv2d
from cmim.layers.blur_transition import BlurTransition
from cmim.methods import get_method

SMALL = dict(base_channels=32, multiples=(1, 2, 8, 16))
LARGE = dict(blocks=(6, 8, 12, 6))


def published_parameters(net: BinaryQuickNet) -> int:
    """As published: batch-norm as two numbers a channel, with the fixed blur."""
    counted = [p.numel() for p in net.parameters() if p.dim() == 4]
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            counted.append(2 * module.num_features)
        elif isinstance(module, BlurTransition):
            counted.append(module.kernel.numel())
    return sum(counted) + 1000 * net.stages[-1].channels + 1000


@pytest.mark.parametrize(
    ("options", "parameters"),
    # The tables of larq_zoo/sota/quicknet.py.
    [({}, 13_234_088), (SMALL, 12_655_688), (LARGE, 23_342_248)],
    ids=["quicknet", "small", "large"],
)
def test_published_parameters(options, parameters):
    assert published_parameters(BinaryQuickNet(**options)) == parameters


@pytest.mark.parametrize(
    ("options", "megabytes"),
    [({}, 4.17), (SMALL, 4.00), (LARGE, 5.40)],
    ids=["quicknet", "small", "large"],
)
def test_published_memory(options, megabytes):
    """In 2^20 bytes, to the two digits that are published."""
    net = BinaryQuickNet(**options)
    bits = sum(m.weight.numel() for m in net.modules() if isinstance(m, BinaryConv2d))
    memory = (published_parameters(net) - bits) * 4 + bits / 8
    assert memory / 2**20 == pytest.approx(megabytes, abs=0.005)


def test_shapes_and_multiplications_of_the_published_network():
    net = BinaryQuickNet()
    rows = layer_costs(net, torch.zeros(1, 3, 224, 224))
    shapes = {row.name: row.shape for row in rows}
    assert shapes["conv1.0"] == (16, 112, 112)
    assert shapes["conv1.3"] == (16, 56, 56)
    assert shapes["conv1.5"] == (64, 56, 56)
    for i, (channels, side) in enumerate(((64, 56), (128, 28), (256, 14), (512, 7))):
        at = f"layer{i + 1}"
        assert shapes[f"{at}.3.conv" if i == 0 else f"{at}.4.conv"] == (
            channels,
            side,
            side,
        )
        if i > 0:
            assert shapes[f"{at}.0.conv"] == (channels, side, side)
    # Each of the 16 convolutions has 56^2 64^2 9 by hand: what is halved is squared.
    assert sum(row.bops for row in rows) == 16 * 56**2 * 64**2 * 9
    stem = 112**2 * 16 * 27 + 56**2 * 16 * 9 + 56**2 * 16 * 64
    transitions = sum(
        side**2 * wide * wide // 2 for side, wide in ((28, 128), (14, 256), (7, 512))
    )
    assert sum(row.flops for row in rows) == stem + transitions


def filtered(x: np.ndarray) -> np.ndarray:
    """ReLU, 2x2 pooling without borders, a blur of stride 2 padded as in TensorFlow."""
    x = np.maximum(x, 0)
    pooled = np.max(
        [x[..., i : x.shape[-2] - 1 + i, j : x.shape[-1] - 1 + j]
         for i in (0, 1) for j in (0, 1)], axis=0
    )  # fmt: skip
    rows, columns = ((size + 1) // 2 for size in pooled.shape[-2:])
    padded = np.pad(pooled, ((0, 0), (0, 0), (1, 1), (1, 1)))
    kernel = np.outer([1, 2, 1], [1, 2, 1]) / 16
    out = np.zeros((*x.shape[:2], rows, columns))
    for r in range(rows):
        for c in range(columns):
            window = padded[..., 2 * r : 2 * r + 3, 2 * c : 2 * c + 3]
            out[..., r, c] = (window * kernel).sum((2, 3))
    return out


@pytest.mark.parametrize("size", [(8, 6), (2, 2), (4, 10)])
def test_a_transition_sees_what_the_published_one_sees(size):
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    x[0, :, 0] = 0.0
    found = BlurTransition(3, 5).double().smaller(x)
    np.testing.assert_allclose(found, filtered(x.numpy()), atol=1e-12)


def test_an_odd_picture_is_one_whose_next_row_and_column_are_black():
    x = torch.randn(2, 3, 7, 5)
    transition = BlurTransition(3, 5)
    wider = nn.functional.pad(x, (0, 1, 0, 1))
    assert torch.equal(transition.smaller(x), transition.smaller(wider))
    assert transition.smaller(x).shape[2:] == (4, 3)


@torch.no_grad()
def test_a_dilated_transition_gives_the_strided_ones_pixels_among_others():
    """Within the picture: two strides taken away, and every fourth pixel is left."""
    x = torch.randn(1, 2, 64, 64, dtype=torch.float64)
    first, second = BlurTransition(2, 2).double(), BlurTransition(2, 2).double()
    expected = second.smaller(first.smaller(x))
    first.stride = second.stride = 1
    second.dilation = 2
    found = second.smaller(first.smaller(x))
    assert found.shape == x.shape
    inside = (..., slice(2, -2), slice(2, -2))
    torch.testing.assert_close(found[..., ::4, ::4][inside], expected[inside])


@torch.no_grad()
def test_a_block_is_its_formula():
    block = QuickBlock(get_method("reactnet"), 6, dilation=2).double().eval()
    for parameter in block.parameters():
        parameter.normal_(0, 0.5)
    block.bn.running_mean.normal_()
    block.bn.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 6, 7, 6, dtype=torch.float64)
    out = np.maximum(block.conv(block.binarize(x)).numpy(), 0)
    mean, variance, scale, shift = (
        v.numpy()[:, None, None]
        for v in (
            block.bn.running_mean,
            block.bn.running_var,
            block.bn.weight,
            block.bn.bias,
        )
    )
    total = x.numpy() + (out - mean) / np.sqrt(variance + 1e-5) * scale + shift
    expected = block.nonlinearity(torch.from_numpy(total))
    torch.testing.assert_close(block(x), expected)


@torch.no_grad()
def test_dilation_keeps_the_output_strides_features():
    """Every second pixel of output stride 16 is output stride 32, far from borders."""
    torch.manual_seed(0)
    strided = BinaryQuickNet(base_channels=4, blocks=(1, 1, 1, 1)).double().eval()
    dilated = BinaryQuickNet(base_channels=4, blocks=(1, 1, 1, 1), output_stride=16)
    dilated.load_state_dict(strided.state_dict())
    x = torch.randn(1, 3, 256, 256, dtype=torch.float64)
    expected, found = strided(x)[-1], dilated.double().eval()(x)[-1]
    inside = (..., slice(3, -3), slice(3, -3))
    torch.testing.assert_close(found[..., ::2, ::2][inside], expected[inside])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"blocks": (4, 4, 4)}, "blocks must be four numbers of at least 1, got "),
        ({"multiples": (1, 2, 0, 8)}, "multiples must be four numbers of at least 1, "),
        ({"base_channels": 6}, "base_channels 6 is not a multiple of 4: "),
    ],
)
def test_wrong_options_are_one_sentence(options, said):
    with pytest.raises(ValueError, match=" ") as error:
        BinaryQuickNet(**options)
    assert str(error.value).startswith(said)
