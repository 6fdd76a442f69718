"""BinaryResNet for every registered method: one inherited suite."""

from __future__ import annotations

import pytest
import torch
from matrix import matrix
from mmseg.registry import MODELS
from torch import Tensor

from cmim.encoders import BinaryResNet
from cmim.layers import BinaryConv2d
from cmim.methods import available_methods, get_method

every_method = pytest.mark.parametrize("method", available_methods())
DEPTHS = [18, 34]
# Output stride, and whether dilation replaces the strides that are missing.
OUTPUT_STRIDES = [(32, True), (16, True), (16, False), (8, True), (8, False)]
STRIDES = {32: (4, 8, 16, 32), 16: (4, 8, 16, 16), 8: (4, 8, 8, 8)}


def make_encoder(method: str = "bireal", seed: int = 0, **options) -> BinaryResNet:
    torch.manual_seed(seed)
    options = {"base_channels": 4, **options}
    encoder = BinaryResNet(method=method, **options)
    encoder.init_weights()
    return encoder


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def ceil_sizes(height: int, width: int, strides: tuple[int, ...]) -> list[tuple]:
    return [(-(-height // s), -(-width // s)) for s in strides]


@matrix("method,depth,stride", available_methods(), DEPTHS, OUTPUT_STRIDES)
def test_shapes_at_odd_sizes_and_a_gradient_for_every_parameter(method, depth, stride):
    output_stride, dilated = stride
    encoder = make_encoder(
        method, depth=depth, output_stride=output_stride, dilated=dilated
    )
    features = encoder(images(2, 3, 45, 67))
    expected = ceil_sizes(45, 67, STRIDES[output_stride])
    assert [tuple(f.shape[2:]) for f in features] == expected
    assert [tuple(f.shape[:2]) for f in features] == [(2, 4), (2, 8), (2, 16), (2, 32)]
    sum((f * images(*f.shape)).sum() for f in features).backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@matrix("method,shortcuts", available_methods(), ["per_conv", "per_block"])
def test_tiny_and_uneven_images(method, shortcuts):
    encoder = make_encoder(method, shortcuts=shortcuts).eval()
    for size in [(1, 1), (32, 8), (33, 65)]:
        features = encoder(images(1, 3, *size))
        assert [tuple(f.shape[2:]) for f in features] == ceil_sizes(*size, STRIDES[32])


@pytest.mark.parametrize(("output_stride", "dilated"), OUTPUT_STRIDES)
def test_dilation_replaces_each_removed_stride(output_stride, dilated):
    encoder = make_encoder(output_stride=output_stride, dilated=dilated)
    dilations = {32: (1, 1, 1, 1), 16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}[output_stride]
    for stage, dilation in enumerate(dilations, start=1):
        layer = encoder.get_submodule(f"layer{stage}")
        found = {m.dilation for m in layer.modules() if isinstance(m, BinaryConv2d)}
        assert found == {(dilation, dilation) if dilated else (1, 1)}


@every_method
def test_stem_and_shortcuts_stay_full_precision(method):
    encoder = make_encoder(method)
    binary = [n for n, m in encoder.named_modules() if isinstance(m, BinaryConv2d)]
    inside = [f"layer{i}.{j}.conv{k}" for i in "1234" for j in "01" for k in "12"]
    assert binary == (inside if get_method(method).weight else [])


@matrix("method,depth", available_methods(), DEPTHS)
def test_twin_has_the_same_names_but_for_what_the_method_adds(method, depth):
    twin = make_encoder("fp", depth=depth).state_dict()
    binary = make_encoder(method, depth=depth).state_dict()
    assert [key for key in binary if key in twin] == list(twin)
    assert {k: v.shape for k, v in twin.items()} == {k: binary[k].shape for k in twin}
    added = [key for key in binary if key not in twin]
    parts = ("binarize", "nonlinearity", "weight_binarizer", ".scale")
    assert all(any(part in key for part in parts) for key in added)


def test_bireal_adds_no_parameter_to_its_twin():
    assert list(make_encoder("fp").state_dict()) == list(make_encoder().state_dict())


def test_init_cfg_overrides_the_initialisation():
    encoder = make_encoder(init_cfg=dict(type="Constant", val=0.25, layer="Conv2d"))
    assert (encoder.conv1.weight == 0.25).all()


def test_same_seed_gives_the_same_encoder():
    first, second = make_encoder(seed=3), make_encoder(seed=3)
    assert all(map(torch.equal, first.parameters(), second.parameters()))


def test_is_built_by_name_with_the_options_of_its_method():
    method = dict(name="bireal", magnitude_aware=True)
    config = dict(type="BinaryResNet", depth=18, base_channels=4, method=method)
    encoder = MODELS.build(config)
    binarizer = encoder.get_submodule("layer1.0.conv1.weight_binarizer")
    assert binarizer.magnitude_aware


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"depth": 51},
            "depth 51 is unknown; choose from 18, 20, 34, 50, 101, 152",
        ),
        (
            {"output_stride": 2},
            "output_stride 2 is unknown; choose from 4, 8, 16, 32",
        ),
        (
            {"stem": "cifar", "output_stride": 16},
            "output_stride 16 is unknown; choose from 1, 2, 4, 8",
        ),
        (
            {"stem": "mnist"},
            "stem 'mnist' is unknown; choose from imagenet, cifar, pair, grouped",
        ),
        (
            {"downsample": "pool"},
            "downsample 'pool' is unknown; choose from projection, padding",
        ),
        (
            {"shortcuts": "none"},
            "shortcuts 'none' is unknown; choose from per_conv, per_block",
        ),
    ],
)
def test_wrong_options_are_one_sentence(options, message):
    with pytest.raises(ValueError, match=" ") as error:
        make_encoder(**options)
    assert str(error.value) == message


def test_cifar_stem_keeps_the_resolution():
    encoder = make_encoder(stem="cifar")
    features = encoder(images(1, 3, 32, 30))
    assert [tuple(f.shape[1:]) for f in features] == [
        (4, 32, 30),
        (8, 16, 15),
        (16, 8, 8),
        (32, 4, 4),
    ]


def test_resnet20_has_the_parameters_of_the_paper():
    """0.27 million with the classifier of ten classes (He et al., Table 6)."""
    encoder = BinaryResNet(depth=20, method="fp", shortcuts="per_block")
    classifier = 64 * 10 + 10
    assert sum(p.numel() for p in encoder.parameters()) + classifier == 269_722


def test_resnet20_projects_on_request():
    parameters = [
        sum(p.numel() for p in BinaryResNet(depth=20, downsample=kind).parameters())
        for kind in ("padding", "projection")
    ]
    assert parameters[1] - parameters[0] == (16 * 32 + 2 * 32) + (32 * 64 + 2 * 64)
