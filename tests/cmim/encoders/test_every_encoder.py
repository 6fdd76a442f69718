"""Every encoder with every method: one suite, the two registries are its matrix."""

from __future__ import annotations

import copy

import pytest
import torch
from matrix import SLOW, matrix
from torch import Tensor, nn

from cmim.contrast import ActivationTaps, binarizer_names
from cmim.encoders import (
    BinaryBNext,
    BinaryMixTransformer,
    BinaryMobileNet,
    BinaryMobileNetV1,
    BinaryMobileNetV2,
    BinaryQuickNet,
    BinaryResNet,
    BinaryVGGSmall,
)
from cmim.encoders.encoder import BinaryEncoder
from cmim.layers import BinaryConv2d
from cmim.methods import Scheduled, TwoLevelActivation, available_methods, get_method

# The shortest first: by default it stands for all but a few methods, see matrix.py.
# Class, options, strides of the features, binary convolutions, activation binarizers.
# Small pictures leave one or two keys with the usual reduction.
V2_OPTIONS = dict(width_multiplier=0.1, multiple=4)
MIT_OPTIONS = dict(base_channels=4, sr_ratios=(4, 2, 1, 1))
ENCODERS = {
    "vgg_small": (BinaryVGGSmall, dict(base_channels=4), (2, 4, 8), 5, 5),
    "resnet18": (BinaryResNet, dict(depth=18, base_channels=4), (4, 8, 16, 32), 16, 16),
    "resnet20": (BinaryResNet, dict(depth=20, base_channels=4), (1, 2, 4), 18, 18),
    "resnet20_plain": (
        BinaryResNet,
        dict(depth=20, base_channels=4, shortcuts="per_block"),
        (1, 2, 4),
        18,
        18,
    ),
    "resnet50": (BinaryResNet, dict(depth=50, base_channels=4), (4, 8, 16, 32), 48, 48),
    "reactnet_a": (BinaryMobileNet, dict(base_channels=4), (4, 8, 16, 32), 31, 26),
    "quicknet": (BinaryQuickNet, dict(base_channels=4), (4, 8, 16, 32), 16, 16),
    "mobilenet_v1": (BinaryMobileNetV1, dict(base_channels=4), (4, 8, 16, 32), 13, 13),
    "mobilenet_v2": (BinaryMobileNetV2, V2_OPTIONS, (4, 8, 16, 32), 34, 34),
    "bnext": (BinaryBNext, dict(base_channels=4), (4, 8, 16, 32), 31, 31),
    "mit_b0": (BinaryMixTransformer, MIT_OPTIONS, (4, 8, 16, 32), 20, 76),
}
# Enough channels for statistics, and none, by the encoder's own option.
WIDE = {"mobilenet_v2": dict(width_multiplier=0.5)}
NO_CHANNELS = "width_multiplier must be above 0 and multiple at least 1, got {} and 4"
COSTLY = ("resnet50", "quicknet", "mobilenet_v1", "mobilenet_v2", "bnext", "mit_b0")
every_encoder = pytest.mark.parametrize("name", list(ENCODERS))
PAIRS = ("method,name", available_methods(), list(ENCODERS))
every_pair = matrix(*PAIRS, costly=COSTLY)
every_pair_in_time = matrix(*PAIRS, costly=COSTLY, rest=SLOW)


def make(name: str, method: str = "bireal", seed: int = 0, **options) -> BinaryEncoder:
    torch.manual_seed(seed)
    kind, defaults = ENCODERS[name][:2]
    encoder = kind(method=method, **{**defaults, **options})
    encoder.init_weights()
    return encoder


def images(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


def measure_statistics(encoder: BinaryEncoder) -> BinaryEncoder:
    """Those of a batch: unscaled sums of many layers would overflow without."""
    for module in encoder.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        encoder.train()(images(4, 3, 33, 40))
    return encoder


def sizes(height: int, width: int, name: str) -> list[tuple[int, int]]:
    return [(-(-height // s), -(-width // s)) for s in ENCODERS[name][2]]


@every_pair
def test_odd_sizes_forward_and_a_gradient_for_every_parameter(name, method):
    encoder = make(name, method)
    features = encoder(images(3, 3, 45, 67))
    assert [tuple(f.shape[2:]) for f in features] == sizes(45, 67, name)
    assert all(f.isfinite().all() for f in features)
    sum((f * images(*f.shape)).sum() for f in features).backward()
    for key, parameter in encoder.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        # The few hidden values of a narrow gate may be 0 for all pictures.
        if not (name == "bnext" and (".gate." in key or key.endswith(".mix"))):
            assert parameter.grad.abs().sum() > 0, key


@every_pair
@torch.no_grad()
def test_any_resolution(name, method):
    encoder = make(name, method).eval()
    for size in [(1, 1), (9, 33)]:
        features = encoder(images(1, 3, *size))
        assert [tuple(f.shape[2:]) for f in features] == sizes(*size, name)


@every_pair
@torch.no_grad()
def test_every_output_stride_with_and_without_dilation(name, method):
    strides = ENCODERS[name][2]
    for dilated in (True, False):
        options = dict(output_stride=strides[-2], dilated=dilated)
        features = make(name, method, **options).eval()(images(1, 3, 33, 40))
        assert features[-1].shape[2:] == features[-2].shape[2:]
        assert [tuple(f.shape[2:]) for f in features[:-1]] == sizes(33, 40, name)[:-1]


@every_pair
@torch.no_grad()
def test_evaluation_is_deterministic_and_survives_state_dict_and_deep_copy(
    name, method
):
    trained = make(name, method)
    trained(images(4, 3, 33, 40))  # moves the batch-norm statistics
    trained.eval()
    loaded = make(name, method, seed=1).eval()
    x = images(2, 3, 33, 40)
    expected = trained(x)[-1]
    assert not torch.equal(loaded(x)[-1], expected)
    loaded.load_state_dict(trained.state_dict())
    for twin in (trained, loaded, copy.deepcopy(trained)):
        assert torch.equal(twin(x)[-1], expected)
    with torch.enable_grad():
        assert torch.equal(trained(x)[-1], expected)


@every_pair
@torch.no_grad()
def test_codes_are_the_stated_levels(name, method):
    """What the convolutions see and hold, in a trained-looking network."""
    encoder = make(name, method)
    encoder(images(4, 3, 33, 40))
    encoder.eval()
    names = binarizer_names(encoder)
    convolutions = [m for m in encoder.modules() if isinstance(m, BinaryConv2d)]
    chosen = get_method(method)
    assert len(names) == (ENCODERS[name][4] if chosen.activation else 0)
    assert len(convolutions) == (ENCODERS[name][3] if chosen.weight else 0)
    with ActivationTaps(encoder, names).recording() as seen:
        encoder(images(2, 3, 33, 40))
    for key, tap in seen.items():
        binarizer = encoder.get_submodule(key)
        if isinstance(binarizer, TwoLevelActivation):
            assert set(tap.binary.unique().tolist()) <= set(binarizer.levels), key
        total = torch.zeros_like(tap.binary)
        for threshold, low, high in binarizer.steps(tap.full_precision):
            low = torch.as_tensor(low)
            total += torch.where(tap.full_precision >= threshold, high, low)
        torch.testing.assert_close(tap.binary, total, msg=key)
    for conv in convolutions:
        terms = conv.weight_binarizer.terms(conv.weight)
        assert all(codes.abs().eq(1).all() for _, codes in terms)
        total = sum(scale * codes for scale, codes in terms)
        torch.testing.assert_close(conv.binary_weight(), total)


@every_pair
@torch.no_grad()
def test_zeros_of_both_signs_are_one_number(name, method):
    encoder = make(name, method)
    for parameter in encoder.parameters():
        parameter[torch.rand(parameter.shape) < 0.3] = 0.0
    measure_statistics(encoder)
    negative = copy.deepcopy(encoder)
    for parameter in negative.parameters():
        parameter[parameter == 0] = -0.0
    x = images(2, 3, 17, 17)
    x[0] = 0.0
    expected = encoder.eval()(x)[-1]
    assert expected.isfinite().all()
    x[0] = -0.0
    assert torch.equal(negative.eval()(x)[-1], expected)


@every_pair
@torch.no_grad()
def test_nan_is_seen_at_the_end_and_stays_in_its_image(name, method):
    encoder = measure_statistics(make(name, method)).eval()
    x = images(2, 3, 33, 33)
    x[1, 0, 16, 16] = torch.nan
    feature = encoder(x)[-1]
    assert feature[0].isfinite().all()
    assert feature[1].isnan().any()


@every_pair
def test_float64_and_bfloat16_autocast(name, method):
    encoder, x = make(name, method), images(2, 3, 33, 40)
    with torch.autocast("cpu", torch.bfloat16):
        features = encoder(x)
    sum(f.float().square().mean() for f in features).backward()
    assert all(f.isfinite().all() for f in features)
    for key, parameter in encoder.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.dtype == torch.float32, key
    encoder.zero_grad()
    features = encoder.double()(x.double())
    assert {f.dtype for f in features} == {torch.float64}
    sum(f.sum() for f in features).backward()
    assert {p.grad.dtype for p in encoder.parameters()} == {torch.float64}


def train(encoder: BinaryEncoder, optimizer: torch.optim.Optimizer, steps: range):
    """A few steps as the hooks of a run do them: progress first, clipping last."""
    encoder.train()
    for step in steps:
        torch.manual_seed(step)
        for module in encoder.modules():
            if isinstance(module, Scheduled):
                module.set_progress(step / 4)
        encoder(torch.randn(4, 3, 17, 17))[-1].square().mean().backward()
        # One pixel in four pictures has little spread: gradients may be huge.
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()


@every_pair_in_time
def test_a_resumed_schedule_ends_in_the_same_bits(name, method):
    through = make(name, method)
    optimizer = torch.optim.SGD(through.parameters(), lr=0.01, momentum=0.9)
    train(through, optimizer, range(2))
    saved = copy.deepcopy((through.state_dict(), optimizer.state_dict()))
    train(through, optimizer, range(2, 4))
    resumed = make(name, method, seed=1)
    optimizer = torch.optim.SGD(resumed.parameters(), lr=0.01, momentum=0.9)
    resumed.load_state_dict(saved[0])
    optimizer.load_state_dict(saved[1])
    train(resumed, optimizer, range(2, 4))
    for key, value in through.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


@every_pair_in_time
def test_the_twins_weights_load_into_the_latent_weights(name, method, tmp_path):
    twin = make(name, "fp", seed=5)
    torch.save(twin.state_dict(), tmp_path / "twin.pth")
    binary = make(name, method, init_from=str(tmp_path / "twin.pth"))
    state = binary.state_dict()
    assert [key for key in state if key in twin.state_dict()] == list(twin.state_dict())
    assert all(torch.equal(state[k], value) for k, value in twin.state_dict().items())
    parts = ("binarize", "nonlinearity", "weight_binarizer", ".scale", "normalize")
    added = [key for key in state if key not in twin.state_dict()]
    assert all(any(part in key for part in parts) for key in added), added


@every_encoder
@torch.no_grad()
def test_out_indices_choose_from_the_same_features(name):
    features = make(name).eval()(images(1, 3, 33, 47))
    for chosen in [(0,), (2,), (0, 2)]:
        some = make(name, out_indices=chosen).eval()(images(1, 3, 33, 47))
        assert len(some) == len(chosen)
        for feature, index in zip(some, chosen, strict=True):
            assert torch.equal(feature, features[index])


@every_encoder
def test_kaiming_normal_over_the_outputs(name):
    encoder = make(name, **WIDE.get(name, dict(base_channels=32)))
    for key, module in encoder.named_modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight
            reached = weight.shape[0] // module.groups * weight[0, 0].numel()
            expected = (2 / reached) ** 0.5
            assert weight.std().item() == pytest.approx(expected, rel=0.2), key


@every_encoder
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"output_stride": 3}, "output_stride 3 is unknown; choose from "),
        ({"out_indices": (0, 7)}, "out_indices (0, 7): choose from 0, 1, 2"),
        ({"base_channels": 0}, "base_channels must be at least 1, got 0"),
        ({"base_channels": -4}, "base_channels must be at least 1, got -4"),
        ({"out_indices": ()}, "out_indices (): choose from 0, 1, 2"),
        ({"method": "bi-real"}, "method 'bi-real' is unknown; choose from "),
    ],
)
def test_wrong_options_are_one_sentence(name, options, said):
    if name == "mobilenet_v2" and (channels := options.get("base_channels", 1)) < 1:
        options, said = {"width_multiplier": channels}, NO_CHANNELS.format(channels)
    with pytest.raises(ValueError, match=" ") as error:
        make(name, **options)
    assert str(error.value).startswith(said)
