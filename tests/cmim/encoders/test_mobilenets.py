"""MobileNet and MobileNetV2: where shortcuts go, and what becomes binary."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from cmim.encoders import BinaryMobileNetV1, BinaryMobileNetV2
from cmim.encoders.encoder import BinaryEncoder
from cmim.encoders.inverted_residual import InvertedResidual
from cmim.encoders.mobilenet import DoublingBlock
from cmim.encoders.mobilenet_v1 import SeparableBlock
from cmim.functional.channel_bypass import fit_channels
from cmim.layers import BinaryConv2d
from cmim.methods import available_methods, get_method

BIREAL = get_method("bireal")
# Class, options, depth-wise and other binary convolutions.
NETWORKS = {
    "v1": (BinaryMobileNetV1, dict(base_channels=4), 13, 13),
    "v2": (BinaryMobileNetV2, dict(width_multiplier=0.1, multiple=4), 17, 34),
}


def make(name: str, method: str = "bireal", **options) -> BinaryEncoder:
    torch.manual_seed(0)
    kind, narrow, *_ = NETWORKS[name]
    return kind(method, **{**narrow, **options})


def silent(block: nn.Module) -> nn.Module:
    """Batch-norms that give 0: shortcuts alone remain."""
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    return block.eval()


def halved(x: torch.Tensor) -> torch.Tensor:
    return nn.functional.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


@torch.no_grad()
def test_shortcuts_of_a_separable_block_bring_the_real_values():
    x = torch.randn(1, 4, 5, 6)
    block = silent(SeparableBlock(BIREAL, 4, 8, stride=2))
    assert torch.equal(block(x), torch.cat([halved(x)] * 2, 1))
    block = silent(SeparableBlock(BIREAL, 4, 8, stride=2, shortcuts="none"))
    assert not block(x).any()


@torch.no_grad()
def test_a_doubling_pointwise_convolution_is_reactnets_pair():
    """Two 1x1 units behind one another in the channels are one of twice the filters."""
    torch.manual_seed(0)
    pair, single = DoublingBlock(BIREAL, 4, 8).eval(), SeparableBlock(BIREAL, 4, 8)
    units = (pair.unit2, pair.unit3)
    single.pointwise.conv.weight.copy_(torch.cat([u.conv.weight for u in units]))
    h = torch.randn(2, 4, 5, 6)
    codes = pair.unit2.binarize(h)
    expected = torch.cat([h + unit.convolve(codes, h) for unit in units], 1)
    ours = single.shortcut2(h) + single.pointwise.eval()(h)
    torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(("channels", "stride"), [(8, 1), (4, 2)])
@torch.no_grad()
def test_shortcuts_of_an_inverted_residual_bring_the_real_values(channels, stride):
    x = torch.randn(1, 4, 5, 6)
    block = silent(InvertedResidual(BIREAL, 4, channels, 6, stride))
    pooled = x if stride == 1 else halved(x)
    assert torch.equal(block(x), fit_channels(torch.cat([pooled] * 6, 1), channels))
    block = silent(
        InvertedResidual(BIREAL, 4, channels, 6, stride, shortcuts="per_block")
    )
    assert not block(x).any()


@pytest.mark.parametrize("shortcuts", ["per_conv", "per_block"])
@torch.no_grad()
def test_an_inverted_residual_that_keeps_its_shape_adds_its_input_once(shortcuts):
    block = silent(InvertedResidual(BIREAL, 4, 4, 6, shortcuts=shortcuts))
    x = torch.randn(1, 4, 5, 6)
    assert torch.equal(block(x), x)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("binary_depthwise", [False, True])
def test_depthwise_convolutions_are_binary_on_request(name, binary_depthwise):
    net = make(name, binary_depthwise=binary_depthwise)
    found = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
    depthwise = [m for m in found if m.groups > 1]
    assert len(depthwise) == NETWORKS[name][2]
    assert all(m.groups == m.in_channels == m.out_channels for m in depthwise)
    assert {isinstance(m, BinaryConv2d) for m in depthwise} == {binary_depthwise}
    others = [m for m in found if m.groups == 1]
    assert sum(isinstance(m, BinaryConv2d) for m in others) == NETWORKS[name][3]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=pytest.mark.slow) for m in available_methods()]
    + ["bireal", "reactnet"],
)
def test_binary_depthwise_convolutions_learn(name, method):
    net = make(name, method, binary_depthwise=True)
    net.init_weights()
    x = torch.randn(3, 3, 45, 67, generator=torch.Generator().manual_seed(1))
    features = net(x)
    generator = torch.Generator().manual_seed(2)
    sum(
        (f * torch.randn(f.shape, generator=generator)).sum() for f in features
    ).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("v1", "shortcuts 'per_layer' is unknown; choose from per_conv, none"),
        ("v2", "shortcuts 'per_layer' is unknown; choose from per_conv, per_block"),
    ],
)
def test_an_unknown_shortcut_is_one_sentence(name, said):
    with pytest.raises(ValueError, match=" ") as error:
        make(name, shortcuts="per_layer")
    assert str(error.value) == said
