"""BasicBlock in both shortcut modes, against torchvision's and a spelled-out twin."""

from __future__ import annotations

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock as TorchvisionBlock

from cmim.layers.block import BasicBlock, Downsample
from cmim.methods import available_methods, get_method

BOTH = ["per_conv", "per_block"]
every_method = pytest.mark.parametrize("name", available_methods())
both_shortcuts = pytest.mark.parametrize("shortcuts", BOTH)


def randomize(module: nn.Module) -> nn.Module:
    """Weights and batch-norm statistics away from their start."""
    torch.manual_seed(0)
    for key, value in module.state_dict().items():
        if key.endswith("progress"):
            value.uniform_(0, 0.8)  # from its end on a schedule may freeze weights
        elif not value.is_floating_point():
            continue
        elif "running_var" in key:
            value.uniform_(0.5, 1.5)
        elif "binarize" in key or "nonlinearity" in key:
            value.normal_(std=0.3)  # a threshold far out would pass no gradient
        else:
            value.normal_()
    return module


def make_block(name: str = "bireal", *args, **kwargs) -> BasicBlock:
    return randomize(BasicBlock(get_method(name), *args, **kwargs))


def features(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def torchvision_block(channels: int, out_channels: int, stride: int) -> nn.Module:
    downsample = None
    if stride != 1 or channels != out_channels:
        downsample = nn.Sequential(
            nn.Conv2d(channels, out_channels, 1, stride, bias=False),
            nn.BatchNorm2d(out_channels),
        )
    return randomize(TorchvisionBlock(channels, out_channels, stride, downsample))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(8, 8), (9, 7)], ids=str)
@pytest.mark.parametrize("widths", [(4, 4, 1), (4, 6, 1), (4, 4, 2), (4, 8, 2)])
def test_full_precision_per_block_is_torchvisions(widths, size, training):
    theirs = torchvision_block(*widths).train(training)
    ours = BasicBlock(get_method("fp"), *widths, shortcuts="per_block").train(training)
    ours.load_state_dict(theirs.state_dict())
    x = features(2, 4, *size).requires_grad_()
    twin = x.detach().clone().requires_grad_()
    y, expected = ours(x), theirs(twin)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    upstream = features(*y.shape)
    y.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(x.grad, twin.grad, rtol=1e-5, atol=1e-5)
    for (key, ours_p), theirs_p in zip(
        ours.named_parameters(), theirs.parameters(), strict=True
    ):
        torch.testing.assert_close(ours_p.grad, theirs_p.grad, msg=key)


def formula(block: BasicBlock, x: Tensor) -> Tensor:
    """The docstring's formula, with S written out as pooling, projection and norm."""
    pooling = block.shortcuts == "per_conv"
    stride = block.conv1.stride[0]
    shortcut = x
    if not isinstance(block.downsample, nn.Identity):
        if pooling and stride > 1:
            pad = [0, -x.shape[3] % 2, 0, -x.shape[2] % 2]
            total = 4 * F.avg_pool2d(F.pad(x, pad), 2)
            shortcut = total / (4 * F.avg_pool2d(F.pad(torch.ones_like(x), pad), 2))
        projection, norm = block.downsample[0], block.downsample[1]
        step = 1 if pooling else stride
        shortcut = norm(F.conv2d(shortcut, projection.weight, stride=step))
    h = block.bn1(block.scale1(block.conv1(block.binarize1(x)), x))
    h = block.nonlinearity1(shortcut + h if pooling else h)
    out = block.bn2(block.scale2(block.conv2(block.binarize2(h)), h))
    return block.nonlinearity2((h if pooling else shortcut) + out)


SIZES = [(1, 1), (2, 3), (7, 8), (8, 8), (9, 5), (9, 7)]


@every_method
@both_shortcuts
@torch.no_grad()
def test_block_is_its_formula_at_any_size(name, shortcuts):
    for widths, dilation in product([(4, 4, 1), (4, 6, 1), (4, 6, 2)], [1, 2, 4]):
        block = make_block(name, *widths, dilation, shortcuts).eval()
        for size in SIZES:
            x, case = features(2, 4, *size), f"{widths=}, {dilation=}, {size=}"
            found = block(x)
            expected = [-(-n // widths[2]) for n in size]
            assert found.shape == (2, widths[1], *expected), case
            torch.testing.assert_close(
                found, formula(block, x), rtol=1e-5, atol=1e-5, msg=case
            )


@both_shortcuts
def test_the_two_modes_differ(shortcuts):
    block = make_block("bireal", 4, 4, shortcuts=shortcuts).eval()
    other = make_block("bireal", 4, 4, shortcuts=BOTH[shortcuts == "per_conv"]).eval()
    other.load_state_dict(block.state_dict())
    x = features(1, 4, 6, 6)
    assert not torch.allclose(block(x), other(x))


def test_dilation_reaches_both_convolutions_and_stride_the_first():
    block = make_block("bireal", 4, 4, stride=2, dilation=3)
    assert block.conv1.dilation == block.conv2.dilation == (3, 3)
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))


@pytest.mark.parametrize("widths", [(4, 4, 1), (4, 4, 2), (4, 6, 1)], ids=str)
@both_shortcuts
def test_shortcut_is_the_identity_unless_size_or_channels_change(widths, shortcuts):
    block = make_block("bireal", *widths, shortcuts=shortcuts)
    assert isinstance(block.downsample, nn.Identity) == (widths == (4, 4, 1))


@every_method
@both_shortcuts
def test_every_parameter_gets_a_gradient(name, shortcuts):
    block = make_block(name, 4, 6, 2, shortcuts=shortcuts)
    x = features(2, 4, 9, 7).requires_grad_()
    y = block(x)
    y.backward(features(*y.shape))
    for key, tensor in [("input", x), *block.named_parameters()]:
        assert tensor.grad is not None, key
        assert tensor.grad.isfinite().all(), key
        assert tensor.grad.abs().sum() > 0, key


def test_binary_convolutions_see_codes_only():
    block = make_block("bireal", 4, 6, 2)
    seen: list[Tensor] = []
    for conv in (block.conv1, block.conv2):
        conv.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    block(features(2, 4, 9, 7))
    assert len(seen) == 2
    assert all((x.abs() == 1).all() for x in seen)


def test_downsample_averages_partial_windows_over_their_own_pixels():
    layer = Downsample(1, 1, stride=2, average=True).eval()
    nn.init.ones_(layer[0].weight)
    layer[1].eps = 0.0
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert layer(x).flatten().tolist() == [2.0, 3.5, 6.5, 8.0]


def test_strided_downsample_picks_every_second_pixel():
    layer = Downsample(1, 1, stride=2, average=False).eval()
    nn.init.ones_(layer[0].weight)
    layer[1].eps = 0.0
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert layer(x).flatten().tolist() == [0.0, 2.0, 6.0, 8.0]


def test_unknown_shortcuts_are_refused():
    with pytest.raises(ValueError, match="shortcuts") as error:
        make_block("bireal", 4, 4, shortcuts="per_layer")
    assert str(error.value) == (
        "shortcuts 'per_layer' is unknown; choose from per_conv, per_block"
    )


@pytest.mark.parametrize("name", [n for n in available_methods() if n != "fp"])
@both_shortcuts
@pytest.mark.parametrize("amp", [False, True])
def test_keeping_bits_changes_no_number(name, shortcuts, amp):
    """Against the same block whose convolutions keep their input whole."""
    block = make_block(name, 4, 6, 2, shortcuts=shortcuts)
    whole = make_block(name, 4, 6, 2, shortcuts=shortcuts)
    for conv in (whole.conv1, whole.conv2):
        conv.levels = None
    found = []
    for module in (block, whole):
        x = features(2, 4, 9, 7).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            y = module(x)
        y.backward(features(*y.shape).to(y.dtype))
        found.append([y, x.grad, *(p.grad for p in module.parameters())])
    for ours, expected in zip(*found, strict=True):
        assert torch.equal(ours, expected)


def test_two_level_activations_are_kept_as_bits_and_real_input_whole():
    assert make_block("irnet", 4, 6).conv2.levels == (-1, 1)
    assert make_block("dorefa", 4, 6).conv1.levels == (0, 1)
    assert make_block("binary_connect", 4, 6).conv1.levels is None
