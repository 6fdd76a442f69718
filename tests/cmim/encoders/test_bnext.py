"""BNext's unit against its formula in NumPy, and where its products are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cmim.encoders import BinaryBNext
from cmim.encoders.bnext import BNextBlock
from cmim.encoders.gated_unit import GatedUnit
from cmim.methods import get_method

BNN = get_method("bnn")


def drawn(unit: GatedUnit) -> GatedUnit:
    """Every parameter and statistic away from its start, in float64."""
    generator = torch.Generator().manual_seed(0)
    for parameter in unit.double().parameters():
        parameter.data.normal_(std=0.5, generator=generator)
    # Some beyond 0 and 1, where they are clipped.
    unit.mix.data.normal_(0.5, 0.5, generator=generator)
    for norm in (unit.unit.bn, unit.bn):
        norm.running_mean.normal_(generator=generator)
        norm.running_var.uniform_(0.5, 2, generator=generator)
    return unit.eval()


def array(x: torch.Tensor) -> np.ndarray:
    return x.detach().numpy()


def normalised(x: np.ndarray, norm: nn.BatchNorm2d) -> np.ndarray:
    mean, variance, scale, shift = (
        array(v)[:, None, None]
        for v in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(variance + norm.eps) * scale + shift


def rectified(x: np.ndarray, prelu: nn.PReLU) -> np.ndarray:
    return np.where(x > 0, x, x * array(prelu.weight)[:, None, None])


def halved(x: np.ndarray) -> np.ndarray:
    """Means of 2x2 pixels, of those that there are at odd sizes."""
    rows, columns = (-(-size // 2) for size in x.shape[2:])
    return np.stack(
        [
            np.stack(
                [
                    x[:, :, 2 * r : 2 * r + 2, 2 * c : 2 * c + 2].mean((2, 3))
                    for c in range(columns)
                ],
                -1,
            )
            for r in range(rows)
        ],
        -2,
    )


def by_hand(unit: GatedUnit, x: np.ndarray) -> np.ndarray:
    conv = unit.unit.conv
    signs = torch.from_numpy(np.where(x >= 0, 1.0, -1.0))
    weight = torch.where(conv.weight >= 0, 1.0, -1.0).double()
    sums = nn.functional.conv2d(signs, weight, None, conv.stride, conv.padding)
    u = rectified(normalised(array(sums), unit.unit.bn), unit.prelu1)
    pool = halved if conv.stride == (2, 2) else np.asarray
    share = np.clip(array(unit.mix), 0, 1)
    z = (share * pool(x) + (1 - share) * u).mean((2, 3))
    first, _, second, _ = unit.gate
    hidden = np.maximum(0, z @ array(first.weight).T + array(first.bias))
    gate = 1 / (1 + np.exp(-(hidden @ array(second.weight).T + array(second.bias))))
    u = u * gate[:, :, None, None]
    if unit.prelu2 is None:
        return normalised(u, unit.bn) + pool(x)
    shortcut = pool(rectified(x, unit.prelu2))
    return normalised(u * shortcut, unit.bn) + shortcut


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize(("size", "stride"), [(1, 1), (3, 1), (3, 2)])
@torch.no_grad()
def test_a_unit_is_its_formula(size, stride, products):
    unit = drawn(GatedUnit(BNN, 8, size, stride, products=products))
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    x[0, :, 0] = 0.0
    np.testing.assert_allclose(unit(x), by_hand(unit, x.numpy()), atol=1e-12)


def test_a_mixing_weight_beyond_its_range_is_clipped_and_comes_back():
    unit = drawn(GatedUnit(BNN, 8, 1))
    x = torch.randn(2, 8, 5, 6, dtype=torch.float64)
    gradients = []
    for value in (1.0, 1.75):
        nn.init.constant_(unit.mix, value)
        unit.zero_grad()
        out = unit(x)
        out.square().sum().backward()
        gradients.append((out.detach(), unit.mix.grad.clone()))
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))
    assert gradients[0][1].any()


def test_hidden_values_are_an_eighth_of_the_channels_and_a_few_at_least():
    hidden = [GatedUnit(BNN, c, 1).gate[0].out_features for c in (2, 8, 32, 64)]
    assert hidden == [2, 4, 4, 8]


def test_every_second_block_multiplies_from_the_first_stride_on():
    net = BinaryBNext("bnn", base_channels=4)
    blocks = [m for m in net.modules() if isinstance(m, BNextBlock)]
    products = [block.spatial.prelu2 is not None for block in blocks]
    assert products == [False] + [True, False] * 6
    doubling = [len(block.pointwise) == 2 for block in blocks]
    assert [k for k, twice in enumerate(doubling) if twice] == [0, 1, 3, 5, 11]
    assert not any(
        unit.prelu2 is not None for block in blocks for unit in block.pointwise
    )


@pytest.mark.parametrize("blocks", [(2, 2, 6), (2, 2, 0, 2)])
def test_wrong_numbers_of_blocks_are_one_sentence(blocks):
    with pytest.raises(ValueError, match=" ") as error:
        BinaryBNext(blocks=blocks)
    said = f"blocks must be four numbers of at least 1, got {blocks}"
    assert str(error.value) == said


def test_deeper_networks_have_more_blocks():
    net = BinaryBNext(base_channels=2, blocks=(4, 4, 8, 4))
    assert sum(isinstance(m, BNextBlock) for m in net.modules()) == 21
