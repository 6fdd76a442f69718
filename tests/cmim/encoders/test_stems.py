"""Stems of a ResNet that cost less than the 7x7 one."""

from __future__ import annotations

import pytest
import torch

from cmim.analysis.cost import layer_costs
from cmim.checkpoint import CheckpointError
from cmim.encoders import BinaryQuickNet, BinaryResNet
from cmim.encoders.pretrained import load_latent_weights
from cmim.layers import BinaryConv2d

# By hand at 64x64 with 16 channels: outputs times what each reads.
MULTIPLICATIONS = {
    "imagenet": 32**2 * 16 * 3 * 49,
    "pair": 32**2 * 8 * 3 * 9 + 16**2 * 16 * 8 * 9,
    "grouped": 32**2 * 4 * 3 * 9 + 16**2 * 4 * 9 + 16**2 * 16 * 4,
}


@pytest.mark.parametrize("stem", MULTIPLICATIONS)
def test_multiplications(stem):
    net = BinaryResNet(stem=stem, base_channels=16)
    rows = layer_costs(net, torch.zeros(1, 3, 64, 64))
    spent = sum(row.flops for row in rows if row.name.startswith("conv1"))
    assert spent == MULTIPLICATIONS[stem]
    assert [stage.stride for stage in net.stages] == [4, 8, 16, 32]


@pytest.mark.parametrize("stem", ["pair", "grouped"])
@torch.no_grad()
def test_every_size_gives_what_the_contract_says(stem):
    net = BinaryResNet(stem=stem, base_channels=4, output_stride=16, in_channels=5)
    for height, width in ((1, 1), (33, 46), (45, 67)):
        sizes = [f.shape[2:] for f in net.eval()(torch.zeros(1, 5, height, width))]
        assert sizes == [(-(-height // s), -(-width // s)) for s in (4, 8, 16, 16)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(stem="grouped", base_channels=6), "base_channels 6 is not a multiple of"),
        (dict(stem="pair", base_channels=1), "base_channels 1 is too narrow for stem="),
        (dict(stem="7x7"), "stem '7x7' is unknown; choose from imagenet, cifar, pair"),
    ],
)
def test_wrong_options_are_one_sentence(options, said):
    with pytest.raises(ValueError, match=" ") as error:
        BinaryResNet(**options)
    assert str(error.value).startswith(said)


def test_weights_of_another_stem_are_refused_with_what_differs(tmp_path):
    net = BinaryResNet(stem="pair", base_channels=4)
    torch.save(BinaryResNet(base_channels=4).state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"missing \(first 'conv1\.0\.weight'\)"):
        load_latent_weights(net, tmp_path / "other.pth")
    twin = BinaryResNet(stem="pair", base_channels=4, method="fp")
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    load_latent_weights(net, tmp_path / "twin.pth")
    for key, value in twin.state_dict().items():
        assert torch.equal(net.state_dict()[key], value), key


@pytest.mark.parametrize("kind", [BinaryResNet, BinaryQuickNet])
def test_real_stages_have_no_binary_layer_and_the_others_have(kind):
    whole = [m for m in kind(base_channels=4).modules() if isinstance(m, BinaryConv2d)]
    net = kind(base_channels=4, real_stages=(0, 3))
    for i, stage in enumerate((net.layer1, net.layer2, net.layer3, net.layer4)):
        found = [m for m in stage.modules() if isinstance(m, BinaryConv2d)]
        assert len(found) == (0 if i in (0, 3) else len(whole) // 4)
    with pytest.raises(ValueError, match=r"real_stages \(4,\): choose from 0, 1, 2, 3"):
        kind(real_stages=(4,))
