"""Cost rows of linear, transposed and grouped binary layers, by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmim.analysis.cost import layer_costs, totals
from cmim.convert import convert
from cmim.layers import BinaryConv2d, BinaryConvTranspose2d, BinaryLinear
from cmim.methods import get_method


class Pair(nn.Module):
    """A binarizer and a layer, as they stand in a converted one."""

    def __init__(self, method: str, channels: int, layer: nn.Module) -> None:
        super().__init__()
        self.binarize, self.layer = get_method(method).activation(channels), layer

    def forward(self, x):
        return self.layer(self.binarize(x))


def row_of(method: str, layer: nn.Module, *shape: int):
    channels = shape[1] if isinstance(layer, nn.modules.conv._ConvNd) else shape[-1]
    rows = layer_costs(Pair(method, channels, layer), torch.zeros(shape))
    return next(row for row in rows if row.name == "layer")


def test_a_linear_layer_over_tokens():
    row = row_of("bireal", BinaryLinear(6, 4, method="bireal"), 1, 7, 6)
    assert (row.bops, row.flops) == (7 * 4 * 6, 0)
    assert row.memory_bits == 4 * 6 + 4 * 32
    assert (row.weight_bits, row.activation_bits) == (1, 1)


def test_a_transposed_convolution_spreads_each_input():
    layer = BinaryConvTranspose2d(6, 4, 3, method="bireal", stride=2)
    row = row_of("bireal", layer, 1, 6, 5, 7)
    assert row.bops == (6 * 5 * 7) * (4 * 3 * 3)
    assert row.memory_bits == 6 * 4 * 9 + 4 * 32


def test_groups_multiply_within_themselves():
    layer = BinaryConv2d(8, 4, 3, method="bireal", padding=1, groups=2)
    row = row_of("bireal", layer, 1, 8, 5, 7)
    assert row.bops == (4 * 5 * 7) * (8 // 2 * 3 * 3)
    assert row.memory_bits == 4 * (8 // 2) * 9 + 4 * 32


@pytest.mark.parametrize(
    ("layer", "shape", "products", "sums"),
    [
        # Codes, and a sum of what lies under the kernel that all filters share.
        (BinaryConv2d(8, 4, 3, method="adabin", padding=1), (1, 8, 5, 7), 4 * 8, 8),
        # Two groups: a sum for each, over half of the channels.
        (
            BinaryConv2d(8, 4, 3, method="adabin", padding=1, groups=2),
            (1, 8, 5, 7),
            4 * 4,
            2 * 4,
        ),
        # Each input value times a filter of ones, once for all 4 outputs.
        (BinaryConvTranspose2d(8, 4, 3, method="adabin"), (1, 8, 5, 7), 8 * 4, 8),
    ],
)
def test_an_offset_is_one_more_filter_for_all_that_share_it(
    layer, shape, products, sums
):
    row = row_of("bireal", layer, *shape)
    assert row.bops == (products + sums) * 9 * 5 * 7


def test_a_converted_network_counts_what_placing_adds():
    network = nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in range(3)))
    binary, _ = convert(network, "bireal", example=torch.zeros(1, 4, 3, 3))
    rows = {row.name: row for row in layer_costs(binary, torch.zeros(1, 4, 3, 3))}
    assert rows["1"].memory_bits == 2 * 4 * 32  # gain and bias
    assert rows["1.binarize"].memory_bits == 2 * 4 * 32  # shift and spread
    assert rows["1.conv"].bops == 4 * 4 * 9
    assert totals(list(rows.values()))["flops"] == 2 * 4 * 4 * 9
