"""BinarizedEncoder: features of every layout, placing, strides, stages, refusals."""

from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cmim.contrast import binarizer_names
from cmim.convert import unplaced
from cmim.encoders import BinarizedEncoder
from cmim.stages import stages_of


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Pyramid(nn.Module):
    """Three stages, with a batch-norm each, and a classifier."""

    def __init__(self, width: int = 8, bands: int = 3) -> None:
        super().__init__()
        sizes = [bands, width, 2 * width, 4 * width]
        self.stages = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 3, 2, 1),
                nn.BatchNorm2d(b),
                nn.ReLU(inplace=True),
                nn.Conv2d(b, b, 3, 1, 1),
            )
            for a, b in pairwise(sizes)
        )
        self.fc = nn.Linear(sizes[-1], 10)

    def forward(self, x):
        for stage in self.stages:
            x = stage(x)
        return self.fc(x.mean((2, 3)))


class Mixed(nn.Module):
    """A stage of maps, one of tokens and one with the channels last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.tokens, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x):
        x = self.stem(x)
        y = self.tokens(x.flatten(2).mT)
        y = y.unflatten(1, x.shape[2:])
        return self.last(y)


def make(network=Pyramid, method="reactnet", seed: int = 0, **options):
    torch.manual_seed(seed)
    return BinarizedEncoder(network, method, **options)


def test_the_full_precision_twin_is_the_network():
    torch.manual_seed(0)
    network = Pyramid().eval()
    twin = make(method="fp").eval()
    twin.network.load_state_dict(network.state_dict(), strict=False)
    x = images(2, 3, 40, 56)
    for stage, feature in zip(network.stages, twin(x), strict=True):
        x = stage(x)
        assert torch.equal(feature, x)


@torch.no_grad()
def test_tokens_and_channels_last_become_maps():
    encoder = make(Mixed, "fp", stages=["stem", "tokens", "last"]).eval()
    assert [s.layout for s in encoder.stages] == ["maps", "tokens", "channels_last"]
    x = images(2, 3, 32, 48)
    stem, tokens, last = encoder(x)
    assert {f.shape for f in (stem, tokens, last)} == {(2, 8, 8, 12)}
    network = encoder.network
    expected = network.tokens(stem.permute(0, 2, 3, 1))
    torch.testing.assert_close(tokens, expected.permute(0, 3, 1, 2))
    torch.testing.assert_close(last, network.last(expected).permute(0, 3, 1, 2))


@pytest.mark.parametrize("method", ["reactnet", "bireal", "dorefa", "fp"])
def test_stages_rows_and_a_step(method):
    encoder = make(method=method)
    found = [(s.name, s.channels, s.stride) for s in encoder.stages]
    assert found == [(f"network.stages.{k}", 8 << k, 2 << k) for k in range(3)]
    assert stages_of(nn.ModuleDict({"backbone": encoder}))[2].stride == 8
    features = encoder(images(2, 3, 33, 47))
    assert [tuple(f.shape[1:]) for f in features] == [
        (8, 17, 24),
        (16, 9, 12),
        (32, 5, 6),
    ]
    sum(f.square().mean() for f in features).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    binary = [row.name for row in encoder.rows if row.became]
    assert len(binary) == (0 if method == "fp" else 5)
    assert len(binarizer_names(encoder)) == len(binary)


def test_the_first_batch_of_the_training_places_and_a_resumed_run_does_not():
    encoder = make()
    encoder.eval()(images(2, 3, 32, 32))
    assert len(unplaced(encoder)) == 5
    encoder.train()(images(2, 3, 32, 32))
    assert not unplaced(encoder)
    resumed = make(seed=1)
    resumed.load_state_dict(encoder.state_dict())
    resumed.train()(5 + images(2, 3, 32, 32))
    for name, value in encoder.state_dict().items():
        if name.endswith(("gain", "shift", "spread", "placed")):
            assert torch.equal(resumed.state_dict()[name], value), name


def test_placing_leaves_statistics_random_numbers_and_modes():
    """The statistics move once, by the training's own pass over the batch."""
    encoder, x = make(), images(2, 3, 32, 32)
    placed = copy.deepcopy(encoder)
    random = torch.get_rng_state()
    placed.train()(x)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(module.training for module in placed.modules())
    for name, module in encoder.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert placed.get_submodule(name).num_batches_tracked == 1
    # The first one is in front of every binary layer.
    first = encoder.network.stages[0]
    expected = first[1].train()
    expected(first[0](x))
    norm = placed.network.stages[0][1]
    torch.testing.assert_close(norm.running_mean, expected.running_mean)


def test_autocast_places_in_full_precision():
    plain, under, x = make(), make(), images(2, 3, 32, 32)
    plain.train()(x)
    with torch.autocast("cpu", torch.bfloat16):
        under.train()(x)
    for name, value in plain.state_dict().items():
        if name.endswith(("gain", "shift", "spread")):
            assert torch.equal(under.state_dict()[name], value), name


@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 2)])
@torch.no_grad()
def test_out_indices_choose_and_cut_what_lies_behind(chosen):
    every = make().eval()
    some = make(out_indices=chosen).eval()
    x = images(1, 3, 32, 40)
    features = every(x)
    for index, feature in zip(chosen, some(x), strict=True):
        assert torch.equal(feature, features[index])
    deepest = max(chosen)
    for k, stage in enumerate(some.network.stages):
        assert isinstance(stage, nn.Identity) == (k > deepest)
    assert isinstance(some.network.fc, nn.Identity)


@torch.no_grad()
def test_keep_and_binarize_are_names_in_the_network():
    encoder = make(keep=["stages.1.*"], binarize=["stages.0.0"])
    became = {row.name: row.became or row.why for row in encoder.rows}
    assert became["stages.0.0"] == "BinaryConv2d"
    assert became["stages.1.0"] == became["stages.1.3"] == "keep"


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("mobilenet_v2", {16: (4, 6), 8: (8, 12)}),
        ("squeezenet1_1", {16: (3, 5)}),
        pytest.param("googlenet", {16: (4, 6)}, marks=pytest.mark.full),
        pytest.param("densenet121", {8: (8, 12)}, marks=pytest.mark.full),
        pytest.param("shufflenet_v2_x0_5", {8: (8, 12)}, marks=pytest.mark.full),
    ],
)
@torch.no_grad()
def test_output_strides_of_torchvisions(name, sizes):
    for output_stride, size in sizes.items():
        encoder = make(f"torchvision/{name}", output_stride=output_stride).eval()
        assert encoder(images(1, 3, 64, 96))[-1].shape[2:] == size


@torch.no_grad()
def test_an_output_stride_without_dilations():
    encoder = make("torchvision/mobilenet_v2", "fp", output_stride=8, dilated=False)
    kinds = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    assert {m.dilation for m in kinds} == {(1, 1)}
    assert encoder.eval()(images(1, 3, 64, 64))[-1].shape[2:] == (8, 8)


def test_other_bands_and_network_options():
    encoder = make("torchvision/resnet18", in_channels=4, network_options={})
    assert encoder.network.conv1.in_channels == 4
    assert encoder.eval()(images(1, 4, 32, 32))[0].shape[1] == 64
    wide = make(in_channels=5, network_options=dict(bands=5, width=4))
    assert wide.eval()(images(1, 5, 32, 32))[-1].shape[1] == 16


@pytest.mark.parametrize(
    ("network", "options", "said"),
    [
        ("resnet18", {}, "network 'resnet18' is unknown: give 'LIBRARY/NAME' with one"),
        ("nobody/resnet18", {}, "network 'nobody/resnet18' is unknown"),
        ("torchvision/resnet19", {}, "torchvision has no network 'resnet19'; it has"),
        ("mmseg/NoNet", {}, "mmseg has no backbone 'NoNet'; it has"),
        (
            "torchvision/resnet18",
            dict(network_options=dict(weights="DEFAULT")),
            "weights of torchvision are not downloaded: save them",
        ),
        (
            "mmseg/MobileNetV2",
            dict(network_options=dict(init_cfg=dict(type="Pretrained"))),
            "name the file of weights with the encoder's pretrained=",
        ),
        (Pyramid, dict(network_options=dict(depth=3)), "the network 'Pyramid' cannot"),
        (Pyramid, dict(method="bi-real"), "method 'bi-real' is unknown; choose from"),
        (Pyramid, dict(out_indices=(0, 5)), "out_indices (0, 5): choose from 0, 1, 2"),
        (Pyramid, dict(out_indices=()), "out_indices (): choose from 0, 1, 2"),
        (Pyramid, dict(stages=["stages.7"]), "stage 'stages.7' is no module that runs"),
        (Pyramid, dict(keep=["stem"]), "pattern 'stem' matches no convolution or"),
        (Pyramid, dict(output_stride=6), "output_stride must be a power of two, got 6"),
        (
            Mixed,
            dict(output_stride=2),
            "'stem' cuts the picture into patches of (4, 4)",
        ),
        (
            "torchvision/convnext_tiny",
            dict(output_stride=16),
            "'features.6.1' cuts the picture into patches of (2, 2)",
        ),
        (
            Pyramid,
            dict(pretrained="a.pth", init_from="b.pth"),
            "pretrained and init_from both name weights: give one",
        ),
    ],
)
def test_refusals_say_what_to_do(network, options, said):
    with pytest.raises(ValueError, match=" ") as error:
        make(network, **options)
    assert str(error.value).startswith(said)


def test_the_names_are_those_of_the_library():
    encoder = make("torchvision/resnet18", "fp")
    theirs = torchvision.models.resnet18().state_dict()
    own = {name.removeprefix("network.") for name in encoder.state_dict()}
    assert own == {name for name in theirs if not name.startswith("fc.")}


class Shared(nn.Module):
    """A backbone that returns levels, each behind the same non-linearity."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, width, 3, 2, 1)
        self.first = nn.Conv2d(width, width, 3, 1, 1)
        self.second = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.relu = nn.ReLU()

    def forward(self, x):
        x = self.stem(x)
        return self.relu(self.first(x)), self.relu(self.second(x))


def test_levels_behind_one_shared_module_are_all_returned(monkeypatch):
    """The module is the last level's alone, so that the others would be left out."""
    from mmseg.registry import MODELS

    monkeypatch.setitem(MODELS.module_dict, "SharedLevels", Shared)
    encoder = make("mmseg/SharedLevels", "bireal")
    assert [(s.name, s.channels, s.stride) for s in encoder.stages] == [
        ("levels.0", 4, 2),
        ("levels.1", 8, 4),
    ]
    for stage in encoder.stages:
        assert isinstance(encoder.get_submodule(stage.name), nn.Identity)
    x = images(1, 3, 32, 40)
    assert [f.shape[1:] for f in encoder(x)] == [(4, 16, 20), (8, 8, 10)]
    deeper = make("mmseg/SharedLevels", "bireal", out_indices=(1,))
    assert [f.shape[1] for f in deeper(x)] == [8]
    state = encoder.state_dict()
    assert all(name.startswith("network.") for name in state)
