"""Placing: medians, spreads and gains against NumPy, once, in any mode and type."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from convert_cases import Chain, Small, pictures
from torch import nn

from cmim.convert import convert, place_converted, unplaced
from cmim.convert.moments import balanced_threshold, moments_of
from cmim.methods import get_method

X = pictures(3, 3, 12, 14)


def unplaced_small(method: str = "bireal") -> nn.Module:
    torch.manual_seed(0)
    return convert(Small(), method, example=X)[0]


def values_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(network.state_dict())


def balanced(row: np.ndarray) -> float:
    """Of all values the one from which on most nearly half lie, by trying each."""
    distances = {v: abs((row >= v).mean() - 0.5) for v in sorted(set(row))}
    best = min(distances.values())
    return next(v for v, d in distances.items() if d <= best + 1e-6)


@pytest.mark.parametrize("count", [1, 2, 3, 8, 9, 50, 51])
def test_balanced_threshold_tries_each_value(count):
    random = np.random.default_rng(count)
    rows = [
        random.normal(size=count),
        random.integers(0, 3, size=count),  # ties
        np.maximum(random.normal(size=count), 0),  # behind a ReLU
        np.minimum(random.integers(0, 9, size=count), 3),  # ties at the top
        np.full(count, 2.0),
        -np.sign(random.integers(-1, 2, size=count)),
    ]
    rows = np.stack(rows).astype(np.float32)
    ours = balanced_threshold(torch.from_numpy(rows)).numpy()
    assert ours.tolist() == [balanced(row) for row in rows]


def test_moments_of_maps_and_of_tokens():
    x, out = pictures(2, 3, 5, 4), pictures(2, 6, 5, 4)
    found = moments_of(x, out, tokens=False)
    given = x.numpy().transpose(1, 0, 2, 3).reshape(3, -1)
    made = out.numpy().transpose(1, 0, 2, 3).reshape(6, -1)
    median = np.array([balanced(row) for row in given])
    np.testing.assert_array_equal(found.median.numpy(), median.astype(np.float32))
    spread = np.abs(given - median[:, None]).mean(1)
    np.testing.assert_allclose(found.spread.numpy(), spread, rtol=1e-5)
    np.testing.assert_allclose(found.mean.numpy(), made.mean(1), atol=1e-6)
    np.testing.assert_allclose(found.deviation.numpy(), made.std(1), rtol=1e-5)
    again = moments_of(x.movedim(1, -1), out.movedim(1, -1), tokens=True)
    for name in ("median", "spread", "mean", "deviation"):
        torch.testing.assert_close(getattr(again, name), getattr(found, name))


@pytest.mark.parametrize("method", ["bireal", "reactnet", "xnor_net", "abc_net"])
@torch.no_grad()
def test_means_and_deviations_are_those_of_the_full_precision_layers(method):
    torch.manual_seed(0)
    network = Small().eval()
    keep = ["grouped"] if method == "xnor_net" else []
    binary, _ = convert(network, method, keep=keep, pictures=X)
    seen, expected = {}, {}
    names = ["conv", "hidden", *(["grouped"] if not keep else [])]
    for name in names:
        for model, into in ((binary, seen), (network, expected)):
            model.get_submodule(name).register_forward_hook(
                lambda module, args, out, name=name, into=into: into.update({name: out})
            )
    binary.eval()(X), network(X)
    for name in names:
        axes = (0,) if seen[name].dim() == 2 else (0, 2, 3)
        ours, theirs = seen[name].numpy(), expected[name].numpy()
        np.testing.assert_allclose(ours.mean(axes), theirs.mean(axes), atol=2e-5)
        moving = ours.std(axes) > 0
        assert moving.any()
        np.testing.assert_allclose(
            ours.std(axes)[moving], theirs.std(axes)[moving], rtol=1e-3
        )


def test_layers_are_placed_once():
    binary = unplaced_small()
    assert place_converted(binary, lambda: binary(X)) == ["conv", "grouped", "hidden"]
    before = values_of(binary)
    assert place_converted(binary, lambda: binary(5 + X)) == []
    binary.train()(5 + X)
    changed = [k for k, v in binary.state_dict().items() if not v.equal(before[k])]
    # A batch-norm learns from every batch.
    assert all(key.startswith("norm.") for key in changed)


def test_a_resumed_run_does_not_place_again():
    binary = unplaced_small()
    binary.train()(X)
    assert not unplaced(binary)
    resumed = unplaced_small()
    resumed.load_state_dict(binary.state_dict())
    before = values_of(resumed)
    assert place_converted(resumed, lambda: resumed(5 + X)) == []
    resumed.train()(5 + X)
    for key in ("gain", "bias", "binarize.shift", "binarize.spread"):
        assert torch.equal(resumed.state_dict()[f"conv.{key}"], before[f"conv.{key}"])


@pytest.mark.parametrize("method", ["bireal", "hwgq", "rbnn"])
def test_a_first_batch_in_training_places(method):
    layer = nn.Conv2d(3, 4, 3)
    binary, _ = convert(layer, method, binarize="*", example=X)
    by_hand = copy.deepcopy(binary)
    place_converted(by_hand, lambda: by_hand(X))
    binary.eval()(X)
    assert unplaced(binary)
    binary.train()(X)
    for key in ("gain", "bias"):
        assert torch.equal(getattr(binary, key), getattr(by_hand, key))
    assert binary.training


def test_layers_that_do_not_run_stay_unplaced():
    binary = unplaced_small()
    names = place_converted(binary, lambda: binary.conv(binary.stem(X)))
    assert names == ["conv"]
    assert set(unplaced(binary)) == {"grouped", "hidden"}


def test_of_several_calls_the_first_counts():
    """The second sees another range: thresholds and gain must not be of two calls."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
            self.conv = nn.Conv2d(6, 6, 3, padding=1)

        def forward(self, x, calls: int = 2):
            x = self.conv(self.stem(x))
            return self.head(self.conv(100 * x) if calls == 2 else x)

    torch.manual_seed(0)
    binary, _ = convert(Twice(), "bireal", example=X)
    once = copy.deepcopy(binary)
    place_converted(binary, lambda: binary(X))
    place_converted(once, lambda: once(X, calls=1))
    for key, value in once.state_dict().items():
        assert torch.equal(binary.state_dict()[key], value), key


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_pictures_with_nan_or_infinity_are_refused_by_the_layers_name(value):
    binary = unplaced_small()
    before, wrong = values_of(binary), X.clone()
    wrong[1, 0, 3, 3] = value
    with pytest.raises(
        ValueError, match=r"'conv' cannot be placed: the layer sees NaN"
    ):
        place_converted(binary, lambda: binary(wrong))
    for key, now in binary.state_dict().items():
        assert torch.equal(now, before[key]), key
    assert binary.training
    place_converted(binary, lambda: binary(X))


def test_channels_that_never_vary_get_finite_values():
    network = Chain(3)
    network[0].weight.data[0] = 0  # constant, also behind the ReLU
    network[2].weight.data[1] = 0
    binary, _ = convert(network, "bireal", pictures=X)
    layer = binary[2]
    assert layer.gain[1] == 1
    torch.testing.assert_close(layer.bias[1], network[2].bias[1])
    assert all(v.isfinite().all() for v in binary.state_dict().values())


def test_autocast_around_it_changes_nothing():
    plain, under = unplaced_small(), unplaced_small()
    place_converted(plain, lambda: plain(X))
    with torch.autocast("cpu", torch.bfloat16):
        place_converted(under, lambda: under(X))
    for key, value in plain.state_dict().items():
        assert torch.equal(under.state_dict()[key], value), key


def test_many_values_are_looked_at_in_part():
    values = torch.arange(250_001.0)[None]
    found = balanced_threshold(values).item()
    assert abs(found - 125_000) <= 3


def test_a_binarizer_that_centres_its_input_is_left_as_it_is():
    binary, _ = convert(Chain(3), "rbnn", pictures=X)
    activation = binary[2].binarize
    assert not get_method("rbnn").activation(8).static
    assert torch.equal(activation.shift, torch.zeros(8))
    assert torch.equal(activation.spread, torch.ones(8))


def test_untrained_batch_norms_normalise_while_thresholds_are_placed():
    """With their first statistics all gradients behind the first layer were 0."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 8, 3, padding=1)]
    for _ in range(4):
        layers += [nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, padding=1)]
    network, _ = convert(nn.Sequential(*layers), "reactnet", binarize=["12"])
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data.mul_(0.01)
    network.train()
    assert len(place_converted(network, lambda: network(X))) == 4
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        assert norm.training
        assert norm.momentum == 0.1
        assert norm.num_batches_tracked == 0
        assert norm.running_mean.abs().max() == 0
        assert torch.equal(norm.running_var, torch.ones(8))
    network(X).square().mean().backward()
    for place in (3, 6, 9, 12):
        shift = network[place].binarize.inner.shift.grad
        assert (shift != 0).all(), place
