"""BinaryResNet for every registered method: one inherited suite."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.contrast import ActivationTaps, binarizer_names
from cmim.encoders import BinaryResNet
from cmim.layers import BinaryConv2d
from cmim.methods import TwoLevelActivation, available_methods, get_method

every_method = pytest.mark.parametrize("method", available_methods())
every_depth = pytest.mark.parametrize("depth", [18, 34])
every_stride = pytest.mark.parametrize(
    ("output_stride", "dilated"),
    [(32, True), (16, True), (16, False), (8, True), (8, False)],
)
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


@every_method
@every_depth
@every_stride
def test_shapes_at_odd_sizes_and_a_gradient_for_every_parameter(
    method, depth, output_stride, dilated
):
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


@every_method
@pytest.mark.parametrize("shortcuts", ["per_conv", "per_block"])
@pytest.mark.parametrize("size", [(1, 1), (32, 8), (33, 65)], ids=str)
def test_tiny_and_uneven_images(method, shortcuts, size):
    encoder = make_encoder(method, shortcuts=shortcuts).eval()
    features = encoder(images(1, 3, *size))
    assert [tuple(f.shape[2:]) for f in features] == ceil_sizes(*size, STRIDES[32])


@every_stride
def test_dilation_replaces_each_removed_stride(output_stride, dilated):
    encoder = make_encoder(output_stride=output_stride, dilated=dilated)
    dilations = {32: (1, 1, 1, 1), 16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}[output_stride]
    for stage, dilation in enumerate(dilations, start=1):
        layer = encoder.get_submodule(f"layer{stage}")
        found = {m.dilation for m in layer.modules() if isinstance(m, BinaryConv2d)}
        assert found == {(dilation, dilation) if dilated else (1, 1)}


@every_method
@pytest.mark.parametrize("out_indices", [(0,), (3,), (1, 3), (0, 2), (0, 1, 2, 3)])
@torch.no_grad()
def test_out_indices_choose_from_the_same_features(method, out_indices):
    every = make_encoder(method).eval()
    some = make_encoder(method, out_indices=out_indices).eval()
    x = images(1, 3, 33, 47)
    chosen, features = some(x), every(x)
    assert len(chosen) == len(out_indices)
    for feature, index in zip(chosen, out_indices, strict=True):
        assert torch.equal(feature, features[index])


@every_method
@torch.no_grad()
def test_state_dict_round_trip(method):
    trained = make_encoder(method, output_stride=16)
    trained(images(4, 3, 33, 47))  # moves the batch-norm statistics
    loaded = make_encoder(method, seed=1, output_stride=16)
    x = images(2, 3, 33, 47)
    assert not torch.equal(loaded.eval()(x)[3], trained.eval()(x)[3])
    loaded.load_state_dict(trained.state_dict())
    for ours, theirs in zip(loaded(x), trained(x), strict=True):
        assert torch.equal(ours, theirs)


@every_method
def test_evaluation_is_deterministic_with_and_without_gradients(method):
    encoder, x = make_encoder(method).eval(), images(2, 3, 33, 47)
    with torch.no_grad():
        runs = [encoder(x), encoder(x)]
    runs.append(encoder(x))
    before = {k: v.clone() for k, v in encoder.state_dict().items()}
    for run in runs[1:]:
        for ours, theirs in zip(run, runs[0], strict=True):
            assert torch.equal(ours, theirs)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), key


@every_method
@every_depth
@pytest.mark.parametrize("training", [True, False])
@torch.no_grad()
def test_one_binarizer_in_front_of_every_convolution(method, depth, training):
    encoder = make_encoder(method, depth=depth).train(training)
    names = binarizer_names(encoder)
    convolutions = {18: 16, 34: 32}[depth]
    assert len(names) == (convolutions if get_method(method).activation else 0)
    with ActivationTaps(encoder, names).recording() as seen:
        encoder(images(2, 3, 33, 47))
    assert list(seen) == names
    for name, tap in seen.items():
        binarizer, found = encoder.get_submodule(name), tap.binary.unique().tolist()
        if isinstance(binarizer, TwoLevelActivation):
            assert set(found) <= set(binarizer.levels), name
        assert len(found) <= 2 ** len(binarizer.steps(tap.full_precision)), name
        assert tap.full_precision.abs().unique().numel() > 1, name


@every_method
def test_stem_and_shortcuts_stay_full_precision(method):
    encoder = make_encoder(method)
    binary = [n for n, m in encoder.named_modules() if isinstance(m, BinaryConv2d)]
    inside = [f"layer{i}.{j}.conv{k}" for i in "1234" for j in "01" for k in "12"]
    assert binary == (inside if get_method(method).weight else [])


@every_method
def test_bfloat16_autocast_is_finite_forward_and_backward(method):
    encoder, x = make_encoder(method), images(2, 3, 33, 47)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(x)
    sum(f.float().square().mean() for f in features).backward()
    assert all(f.isfinite().all() for f in features)
    for name, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.dtype == torch.float32, name


@every_method
def test_float64(method):
    encoder = make_encoder(method).double()
    features = encoder(images(2, 3, 33, 47).double())
    assert {f.dtype for f in features} == {torch.float64}
    sum(f.sum() for f in features).backward()
    assert {p.grad.dtype for p in encoder.parameters()} == {torch.float64}


@every_method
@every_depth
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


def test_init_weights_is_kaiming_normal_over_the_outputs():
    encoder = make_encoder(base_channels=32)
    for name, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight
            expected = (2 / (weight.shape[0] * weight[0, 0].numel())) ** 0.5
            assert weight.std().item() == pytest.approx(expected, rel=0.15), name


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
        ({"depth": 50}, "depth 50 is unknown; choose from 18, 34"),
        (
            {"output_stride": 4},
            "output_stride 4 is unknown; choose from 8, 16, 32",
        ),
        ({"out_indices": (0, 4)}, "out_indices (0, 4): choose from 0, 1, 2, 3"),
        ({"out_indices": ()}, "out_indices (): choose from 0, 1, 2, 3"),
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


def test_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method 'bi-real' is unknown; choose from"):
        make_encoder("bi-real")
