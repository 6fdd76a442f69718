"""Which layers become binary: defaults, patterns, refusals, layers of other classes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from convert_cases import Chain, Small, outcome, pictures
from mmcv.cnn.bricks.wrappers import Conv2d as MmcvConv2d
from torch import nn

from cmim.convert import convert, format_rows

X = pictures(2, 3, 32, 32)


def becomes(network: nn.Module, *, example=X, **options) -> dict[str, str]:
    return outcome(convert(network, "bireal", example=example, **options)[1])


def between(*layers: nn.Module) -> nn.Sequential:
    """Layers of 8 channels behind a first one and in front of a last one."""
    return nn.Sequential(nn.Conv2d(3, 8, 1), *layers, nn.Conv2d(8, 2, 1))


def test_defaults_in_the_order_of_use():
    assert becomes(Small()) == {
        "stem": "first layer",
        "conv": "BinaryConv2d",
        "downsample": "1x1 shortcut",
        "grouped": "BinaryConv2d",
        "hidden": "BinaryLinear",
        "head": "last layer",
    }


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), "depth-wise"),
        (nn.Conv2d(8, 16, 3, padding=1, groups=8), "depth-wise"),
        (nn.ConvTranspose2d(8, 8, 2, 2, groups=8), "transposed with groups"),
        (nn.Conv2d(8, 8, 1, 2), "1x1 shortcut"),
        (nn.Conv2d(8, 8, 1), "BinaryConv2d"),
        (nn.Conv2d(8, 8, 4, 4), "patch embedding"),
        (nn.Conv2d(8, 8, 3, 2, 1), "BinaryConv2d"),
        (nn.Conv2d(8, 8, 3, padding="same"), "padding 'same'"),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="circular"), "padding circular"),
        (nn.Conv2d(8, 8, 3, padding=1, groups=2), "BinaryConv2d"),
        (nn.ConvTranspose2d(8, 8, 3, 2), "BinaryConvTranspose2d"),
    ],
)
def test_one_layer_of_each_kind(layer, said):
    after = nn.Conv2d(layer.out_channels, 8, 1)
    assert becomes(between(layer, after))["1"] == said


def test_layers_on_one_place_and_shortcuts_by_name():
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.main = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, padding=1)
            self.fc1, self.fc2 = nn.Conv2d(8, 4, 1), nn.Conv2d(4, 8, 1)
            self.shortcut, self.head = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            x = self.stem(x)
            y = self.main(x)
            gate = self.fc2(self.fc1(y.mean((2, 3), keepdim=True)).relu()).sigmoid()
            return self.head(y * gate + self.shortcut(x))

    found = becomes(Squeezed())
    assert (found["fc1"], found["fc2"]) == ("works on one place", "works on one place")
    assert found["shortcut"] == "1x1 shortcut"
    assert becomes(Squeezed(), binarize=["fc1"])["fc1"] == "BinaryConv2d"


def test_the_last_layer_of_outputs_in_other_shapes():
    class Segmenter(nn.Module):
        def __init__(self, kind) -> None:
            super().__init__()
            self.parts, self.kind = between(nn.Conv2d(8, 8, 3)), kind

        def forward(self, x):
            return self.kind(self.parts(x))

    for kind in (
        lambda y: y,
        lambda y: {"out": y},
        lambda y: (y, None),
        lambda y: {"out": F.interpolate(y, scale_factor=2.0)},
    ):
        assert becomes(Segmenter(kind))["parts.2"] == "last layer"
    # An encoder goes on: its last convolution is one of many.
    encoder = nn.Sequential(Chain(3), nn.BatchNorm2d(8), nn.ReLU())
    assert becomes(encoder)["0.4"] == "BinaryConv2d"


def test_keep_and_binarize_take_patterns_and_whole_parts():
    network = nn.Sequential(Chain(3), Chain(1, width=3), Chain(3))
    network[1][0] = nn.Conv2d(8, 3, 1)
    assert set(becomes(network, keep="0").values()) >= {"keep"}
    found = becomes(network, keep=["0.[24]"], binarize=["0.0", "2.4"])
    assert found["0.0"] == found["2.4"] == "BinaryConv2d"
    assert found["0.2"] == found["0.4"] == "keep"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(keep=["layer9.*"]), "'layer9.*' matches no convolution or linear layer"),
        (dict(binarize="nothing"), "'nothing' matches no convolution or linear layer"),
        (dict(keep=["2"], binarize=["*"]), "keep and binarize both match 2"),
        (dict(keep=["*"]), "no layer of this Chain becomes binary (0: keep"),
        (dict(relu="no"), "relu 'no' is unknown; choose from keep, drop"),
        (dict(example=torch.zeros(1, 5, 8, 8)), "give example=, an input that it"),
    ],
)
def test_refusals_say_what_to_do(options, said):
    with pytest.raises(ValueError, match=" ") as error:
        becomes(Chain(), **options)
    assert said in str(error.value)


def test_an_unknown_method_and_a_network_without_layers():
    with pytest.raises(ValueError, match="method 'bi-real' is unknown; choose from"):
        convert(Chain(), "bi-real")
    with pytest.raises(ValueError, match=r"becomes binary \(it has none\)"):
        convert(nn.Sequential(nn.ReLU()), "bireal", example=X)


class Standardized(nn.Conv2d):
    """Computes more than a convolution."""

    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


@pytest.mark.parametrize("inplace", [False, True])
def test_a_subclass_that_is_equal_is_converted_and_one_that_is_more_is_kept(inplace):
    """What works in place writes over the output before anyone compares it."""
    found = becomes(
        between(
            MmcvConv2d(8, 8, 3),
            nn.ReLU(inplace),
            Standardized(8, 8, 3),
            nn.ReLU(inplace),
            MmcvConv2d(8, 8, 3, 2),
        )
    )
    assert found["1"] == found["5"] == "BinaryConv2d"
    assert found["3"] == "a Standardized is more than a plain layer"


def test_a_layer_whose_hook_changes_its_output_is_more():
    network = between(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3))
    network[1].register_forward_hook(lambda module, args, out: 2 * out)
    found = becomes(network)
    assert found["1"] == "a Conv2d is more than a plain layer"
    assert found["2"] == "BinaryConv2d"


@pytest.mark.parametrize(
    "call",
    [
        lambda layer, x: layer(input=x),
        lambda layer, x: layer(x, output_size=(33, 33)),
    ],
)
def test_a_layer_that_is_called_with_more_is_kept(call):
    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.more = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
            self.up, self.head = nn.ConvTranspose2d(8, 8, 2), nn.Conv2d(8, 2, 1)

        def forward(self, x):
            return self.head(call(self.up, self.more(self.stem(x))))

    network = Called()
    binary, rows = convert(network, "bireal", pictures=X)
    assert outcome(rows)["up"] == "called with more than its input"
    assert binary(X).shape == network(X).shape


def test_binary_layers_are_not_converted_again():
    once, _ = convert(Chain(), "bireal", pictures=X)
    twice = becomes(once, binarize=["0"])
    assert twice["2.conv"] == "a BinaryConv2d is more than a plain layer"
    assert twice["0"] == "BinaryConv2d"


def test_the_table_counts_the_weights():
    rows = convert(Small(), "bireal", example=X)[1]
    # 8x16x9 + 16x8x9 + 16x12 of 8x27 + 8x16 + 12x5 more
    binary, all_of_them = 1152 + 1152 + 192, 1152 + 1152 + 192 + 216 + 128 + 60
    share = f"{100 * binary / all_of_them:.1f} %"
    assert format_rows(rows).splitlines()[-1] == (
        f"3 of 6 layers are binary, {binary:,} of {all_of_them:,} weights ({share})"
    )
