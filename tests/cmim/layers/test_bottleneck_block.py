"""The bottleneck block: torchvision's in full precision, its shortcuts by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torchvision.models.resnet import Bottleneck as Published

from cmim.layers import Bottleneck
from cmim.methods import get_method


def disturbed(block: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(2)
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
    return block.eval()


@pytest.mark.parametrize(("channels", "stride"), [(16, 1), (8, 1), (8, 2)])
@torch.no_grad()
def test_per_block_in_full_precision_is_torchvisions(channels, stride):
    ours = Bottleneck(get_method("fp"), channels, 4, stride, shortcuts="per_block")
    projection = None
    if (channels, stride) != (16, 1):
        projection = nn.Sequential(
            nn.Conv2d(channels, 16, 1, stride, bias=False), nn.BatchNorm2d(16)
        )
    theirs = disturbed(Published(channels, 4, stride, projection))
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, channels, 7, 6)
    assert torch.equal(ours.eval()(x), theirs(x))


def silent(block: Bottleneck) -> Bottleneck:
    """Batch-norms that give 0: shortcuts alone remain."""
    for k in (1, 2, 3):
        nn.init.zeros_(block.get_submodule(f"bn{k}").weight)
    return block.eval()


@torch.no_grad()
def test_the_block_adds_its_input_once():
    x = torch.randn(1, 16, 6, 6)
    for shortcuts in ("per_conv", "per_block"):
        block = silent(Bottleneck(get_method("bireal"), 16, 4, shortcuts=shortcuts))
        assert torch.equal(block(x), x)


@pytest.mark.parametrize(("channels", "seen"), [(16, [False, True]), (4, [True, True])])
@torch.no_grad()
def test_a_convolution_that_keeps_its_channels_has_a_shortcut(channels, seen):
    """With silent convolutions the input of the third is what shortcuts bring."""
    block = silent(Bottleneck(get_method("bireal"), channels, 4, stride=2))
    inputs = {}
    for k in (2, 3):
        block.get_submodule(f"binarize{k}").register_forward_hook(
            lambda module, args, out, k=k: inputs.__setitem__(k, args[0])
        )
    x = torch.randn(1, channels, 6, 5)
    block(x)
    found = [block.shortcut1 is not None, block.shortcut2 is not None]
    assert found == seen
    assert torch.equal(inputs[2], x if seen[0] else torch.zeros(1, 4, 6, 5))
    mean = nn.functional.avg_pool2d(
        inputs[2], 2, ceil_mode=True, count_include_pad=False
    )
    assert torch.equal(inputs[3], mean)
    block = Bottleneck(get_method("bireal"), channels, 4, shortcuts="per_block")
    assert block.shortcut1 is block.shortcut2 is None


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"shortcuts": "none"},
            "shortcuts 'none' is unknown; choose from per_conv, per_block",
        ),
        (
            {"downsample": "pool"},
            "downsample 'pool' is unknown; choose from projection, padding",
        ),
    ],
)
def test_wrong_options_are_one_sentence(options, said):
    with pytest.raises(ValueError, match=" ") as error:
        Bottleneck(get_method("bireal"), 16, 4, **options)
    assert str(error.value) == said
