"""Strides taken out of convolutional networks, and dilations in their place."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
import torchvision
from convert_cases import pictures
from torch import nn

from cmim.convert import set_output_stride


def chain(*layers: nn.Module) -> nn.Sequential:
    """Layers behind strides that make 4."""
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1), *layers)


@pytest.mark.parametrize(
    ("output_stride", "replaced"),
    [pytest.param(16, [0, 0, 1], marks=pytest.mark.full), (8, [0, 1, 1])],
)
@pytest.mark.parametrize(
    "side", [33, *(pytest.param(side, marks=pytest.mark.full) for side in (64, 65))]
)
@torch.no_grad()
def test_resnet50_as_torchvision_dilates_it(output_stride, replaced, side):
    """torchvision, too, gives the convolution that loses its stride the old dilation.

    The second convolution of a stage's first block keeps the dilation of the stage
    before, and all behind it get twice that.
    """
    torch.manual_seed(0)
    theirs = torchvision.models.resnet50(
        replace_stride_with_dilation=[bool(flag) for flag in replaced]
    ).eval()
    ours = torchvision.models.resnet50().eval()
    ours.load_state_dict(theirs.state_dict())
    set_output_stride(ours, output_stride, torch.zeros(1, 3, side, side))
    for name, module in theirs.named_modules():
        if isinstance(module, nn.Conv2d):
            mine = ours.get_submodule(name)
            for key in ("stride", "dilation", "padding"):
                assert getattr(mine, key) == getattr(module, key), (name, key)
    x = pictures(1, 3, 40, 57)
    expected = theirs(x)
    assert (ours(x) - expected).abs().max() <= 1e-5 * expected.abs().max()


@torch.no_grad()
def test_features_are_those_of_the_strided_network_at_its_places():
    """A dilated network computes what the strided one does, at more places."""
    torch.manual_seed(0)
    strided = chain(nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 1, 1))
    dense = copy.deepcopy(strided)
    set_output_stride(dense, 2, torch.zeros(1, 3, 32, 32))
    x = pictures(1, 3, 48, 64)
    ours, theirs = dense(x), strided(x)
    assert ours.shape[2:] == (24, 32)
    torch.testing.assert_close(ours[..., ::4, ::4], theirs)


@torch.no_grad()
def test_without_dilations_kernels_stay():
    network = chain(nn.Conv2d(4, 4, 3, 1, 1))
    set_output_stride(network, 2, torch.zeros(1, 3, 32, 32), dilated=False)
    assert [m.stride[0] for m in network] == [2, 1, 1]
    assert {m.dilation for m in network} == {(1, 1)}


@torch.no_grad()
def test_the_stride_as_designed_changes_nothing():
    network = chain(nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, 1, 1))
    before = repr(network)
    set_output_stride(network, 8, torch.zeros(1, 3, 33, 47))
    assert repr(network) == before
    set_output_stride(network, 64, torch.zeros(1, 3, 33, 47))
    assert repr(network) == before


@pytest.mark.parametrize("side", [32, 33, 64, 97, 225])
@torch.no_grad()
def test_pictures_of_any_size_show_the_strides(side):
    """Also one of the deepest stride: its last features are one place."""
    network = torchvision.models.resnet18()
    set_output_stride(network, 8, torch.zeros(1, 3, side, side))
    assert network.layer3[0].conv1.stride == network.layer4[0].conv1.stride == (1, 1)
    assert network.layer3[1].conv1.dilation == (2, 2)
    assert network.layer4[1].conv1.dilation == (4, 4)
    assert network.layer2[0].conv1.stride == (2, 2)


@torch.no_grad()
def test_attention_maps_are_no_pictures():
    """An attention of 1024 places is higher than the picture."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop, self.reduce = nn.Dropout(), nn.Conv2d(4, 4, 3, 2, 1)

        def forward(self, x):
            tokens = x.flatten(2).mT
            scores = self.drop((tokens @ tokens.mT).softmax(-1)[:, None])
            return self.reduce((scores[:, 0] @ tokens).mT.reshape(x.shape))

    network = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), Attention())
    set_output_stride(network, 2, torch.zeros(1, 3, 64, 64))
    assert [network[0].stride, network[1].reduce.stride] == [(2, 2), (1, 1)]


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        (nn.Conv2d(4, 4, 3, padding="same"), (16, 20)),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), (16, 20)),
        (nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), (16, 20)),
        (nn.Conv2d(4, 4, 3, padding="valid"), (12, 16)),
        (nn.MaxPool2d(3, 1, 1), (16, 20)),
        (nn.MaxPool2d((3, 5), 1, (1, 2)), (16, 20)),
        (nn.MaxPool2d(3, 1), (12, 16)),
        (nn.AvgPool2d(3, 1, 1), (16, 20)),
    ],
)
@torch.no_grad()
def test_windows_behind_a_removed_stride_reach_as_far(layer, size):
    network = chain(copy.deepcopy(layer))
    set_output_stride(network, 2, torch.zeros(1, 3, 32, 32))
    assert network(torch.zeros(1, 3, 32, 40)).shape[2:] == size


@pytest.mark.parametrize("pooling", [nn.MaxPool2d, nn.AvgPool2d])
@torch.no_grad()
def test_a_pooling_loses_its_stride(pooling):
    network = chain(pooling(2), pooling(3, 2, 1))
    set_output_stride(network, 4, torch.zeros(1, 3, 64, 64))
    assert network(torch.zeros(1, 3, 64, 48)).shape[2:] == (16, 12)
    marked = torch.zeros(1, 4, 8, 8)
    marked[..., 4, 4] = 1
    # Nothing moves: an even window without its stride would move all by half a pixel.
    assert network[2](marked).nonzero()[0].tolist() == [0, 0, 4, 4]


@torch.no_grad()
def test_what_works_on_one_place_is_no_deeper_stage():
    squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1))
    network = chain(squeeze)
    set_output_stride(network, 2, torch.zeros(1, 3, 16, 16))
    assert network[2][1].dilation == (1, 1)
    assert network[1].stride == (1, 1)


def test_a_pooling_of_the_whole_input_is_no_stride():
    network = chain(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 2))
    set_output_stride(network, 4, torch.zeros(1, 3, 16, 16))
    assert network[2].stride == 4
    with pytest.raises(ValueError, match="does not run any more, take its classifier"):
        set_output_stride(network, 2, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (chain(nn.Conv2d(4, 4, 2, 2)), "'2' cuts the picture into patches of (2, 2)"),
        (nn.Sequential(nn.Conv2d(3, 4, 8, 8)), "'0' cuts the picture into patches of"),
        (
            chain(nn.Sequential(nn.Upsample(scale_factor=0.5), nn.Conv2d(4, 4, 1))),
            "output_stride 4 cannot be had: '2.1' works at a stride of 8",
        ),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(network, said):
    with pytest.raises(ValueError, match=" ") as error:
        set_output_stride(network, 4, torch.zeros(1, 3, 64, 64))
    assert said in str(error.value)


def test_functions_that_reduce_are_refused():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1)

        def forward(self, x):
            return self.b(F.max_pool2d(self.a(x), 4))

    with pytest.raises(ValueError, match="'b' works at a stride of 8, since what"):
        set_output_stride(Functional(), 4, torch.zeros(1, 3, 64, 64))


@pytest.mark.parametrize("output_stride", [0, -8, 3, 12])
def test_output_strides_are_powers_of_two(output_stride):
    with pytest.raises(ValueError, match=f"a power of two, got {output_stride}"):
        set_output_stride(chain(), output_stride)
