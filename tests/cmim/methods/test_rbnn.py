"""RBNN against NumPy: rotation, surrogates, and turns that a resumed run repeats."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmim.functional.rotation import align_rotation, balanced_factors
from cmim.layers import BasicBlock
from cmim.methods import get_method
from cmim.methods.output_scale import ChannelScale
from cmim.methods.rbnn import RbnnWeight

every_progress = pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
SHAPE = (4, 2, 3, 3)


def numpy_slope(x: np.ndarray, t: float, k: float) -> np.ndarray:
    return np.maximum(0, k * (math.sqrt(2) * t - t**2 * np.abs(x)))


def numpy_standardized(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    flat = x.reshape(len(x), -1)
    deviation = flat.std(1, ddof=1, keepdims=True)
    return (flat - flat.mean(1, keepdims=True)) / deviation, deviation


def through_standardization(
    gradient: np.ndarray, standardized: np.ndarray, deviation: np.ndarray
) -> np.ndarray:
    """Jacobian written out, one row at a time."""
    count = standardized.shape[1]
    centring = np.eye(count) - 1 / count
    rows = [
        g @ (centring - np.outer(x, x) / (count - 1)) / s
        for g, x, s in zip(gradient, standardized, deviation, strict=True)
    ]
    return np.stack(rows)


def make_weight(**options) -> RbnnWeight:
    torch.manual_seed(0)
    method = get_method({"name": "rbnn", **options})
    binarize = method.weight(SHAPE).double()
    binarize.beta.data = torch.tensor([0.0, 0.7, -2.0, math.pi / 2]).view(4, 1, 1, 1)
    binarize.beta.data = binarize.beta.data.double()
    return binarize


@every_progress
@pytest.mark.parametrize("rotation_gradient", [False, True])
def test_weights_and_every_gradient(weights, upstream, progress, rotation_gradient):
    binarize = make_weight(rotation_gradient=rotation_gradient)
    binarize.progress.fill_(progress)
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))

    full = np.kron(binarize.left.numpy(), binarize.right.numpy())
    standardized, deviation = numpy_standardized(weights)
    beta = binarize.beta.detach().numpy().reshape(4, 1)
    share, moved = np.abs(np.sin(beta)), standardized @ full - standardized
    adjusted = standardized + share * moved
    np.testing.assert_array_equal(
        binary.detach().reshape(4, -1), np.where(adjusted >= 0, 1.0, -1.0)
    )
    t = 0.01 * 1000**progress
    inner = gradient.reshape(4, -1) * numpy_slope(adjusted, t, max(1 / t, 1))
    expected = (inner * moved).sum(1) * (np.cos(beta) * np.sign(np.sin(beta)))[:, 0]
    np.testing.assert_allclose(binarize.beta.grad.flatten(), expected, rtol=1e-5)
    inner = (1 - share) * inner + rotation_gradient * share * (inner @ full.T)
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(
        weight.grad.reshape(4, -1), expected, rtol=1e-5, atol=1e-10
    )


def test_released_gradient_leaves_weights_alone_at_the_start(weights):
    method = get_method({"name": "rbnn", "rotation_gradient": False})
    weight = torch.from_numpy(weights).float().requires_grad_()
    binarize = method.weight(SHAPE)
    binarize(weight).sum().backward()
    assert not weight.grad.any()
    assert binarize.beta.grad.abs().max() < 1e-3


@every_progress
def test_activations_and_the_gradient_of_mean_and_deviation(
    activations, upstream, progress
):
    binarize = get_method("rbnn").activation(4).double()
    binarize.progress.fill_(progress)
    x = torch.from_numpy(activations).requires_grad_()
    codes = binarize(x)
    gradient = upstream(activations.shape)
    codes.backward(torch.from_numpy(gradient))
    standardized, deviation = numpy_standardized(activations)
    np.testing.assert_array_equal(
        codes.detach().reshape(3, -1), np.where(standardized >= 0, 1.0, -1.0)
    )
    t = max(1, 0.01 * 1000**progress)
    inner = gradient.reshape(3, -1) * numpy_slope(standardized, t, 1)
    expected = through_standardization(inner, standardized, deviation)
    np.testing.assert_allclose(x.grad.reshape(3, -1), expected, rtol=1e-5, atol=1e-10)


def test_the_threshold_is_the_samples_mean_in_evaluation_too():
    binarize = get_method("rbnn").activation(2)
    assert not binarize.static
    x = torch.tensor([[[1.0, 2.0], [3.0, 6.0]], [[-1.0, -1.0], [-1.0, -1.0]]])
    expected = [[[-1.0, -1.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 1.0]]]
    assert binarize(x).tolist() == expected
    assert binarize.eval()(x).tolist() == expected
    (step,) = binarize.steps(x)
    assert step.threshold.tolist() == [[[3.0]], [[-1.0]]]


def test_activations_keep_their_input_and_no_copy():
    x = torch.randn(2, 4, 5, 5, requires_grad=True)
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(saved.append, lambda t: t):
        get_method("rbnn").activation(4)(x)
    large = [t.data_ptr() for t in saved if t.numel() == x.numel()]
    assert large == [x.data_ptr()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_constant_filters_and_samples_stay_finite(dtype):
    method = get_method("rbnn")
    weight = torch.randn(SHAPE).to(dtype)
    weight[0], weight[1] = 0, 3
    weight.requires_grad_()
    binarize = method.weight(SHAPE).to(dtype)
    binarize.set_progress(0.0)
    binary = binarize(weight)
    binary.sum().backward()
    assert torch.equal(binary[:2], torch.ones_like(binary[:2]))
    assert weight.grad.isfinite().all()
    x = torch.zeros(2, 4, 3, 3, dtype=dtype)
    x[1] = torch.randn(4, 3, 3).to(dtype)
    x.requires_grad_()
    codes = method.activation(4).to(dtype)(x)
    codes.square().sum().backward()
    assert codes.dtype == dtype
    assert not x.grad[0].any()
    assert x.grad[1].any()


@pytest.mark.parametrize(("count", "sides"), [(4608, (64, 72)), (27, (3, 9))])
def test_a_filter_is_folded_into_the_squarest_matrix(count, sides):
    assert balanced_factors(count) == sides


def alignment(weight: Tensor, left: Tensor, right: Tensor) -> float:
    return (torch.kron(left, right).T @ weight.T).abs().sum().item()


def test_turning_brings_weights_nearer_to_their_signs():
    torch.manual_seed(0)
    weight = torch.randn(16, 24, dtype=torch.float64)
    left = nn.init.orthogonal_(torch.empty(4, 4, dtype=torch.float64))
    right = nn.init.orthogonal_(torch.empty(6, 6, dtype=torch.float64))
    before = alignment(weight, left, right)
    for _ in range(5):
        left, right = align_rotation(weight, left, right, rounds=1)
        for side in (left, right):
            torch.testing.assert_close(side @ side.T, torch.eye(len(side)).double())
        after = alignment(weight, left, right)
        assert after > before
        before = after


def test_a_turned_pair_is_found_again():
    """Weights that are rotated signs are rotated back onto them."""
    torch.manual_seed(1)
    left = torch.eye(3).double()
    cos, sin = math.cos(0.1), math.sin(0.1)
    left[:2, :2] = torch.tensor([[cos, -sin], [sin, cos]]).double()
    right = torch.eye(4).double()
    codes = torch.randint(0, 2, (40, 3, 4)).double() * 2 - 1
    weight = (left @ codes).reshape(40, 12)
    found, other = align_rotation(weight, torch.eye(3).double(), right)
    back = found.T @ weight.view(40, 3, 4) @ other
    torch.testing.assert_close(back, codes, rtol=0, atol=1e-6)


def test_diverged_weights_do_not_stop_the_turn():
    weight = torch.full((4, 6), torch.nan)
    left, right = align_rotation(weight, torch.eye(2), torch.eye(3))
    assert left.isfinite().all()
    assert right.isfinite().all()


class Training:
    """A layer trained for ten steps; the checkpoint is all that outlives a kill."""

    def __init__(self, rotations: int, checkpoint: dict | None = None) -> None:
        torch.manual_seed(0)
        self.binarize = get_method({"name": "rbnn", "rotations": rotations}).weight(
            SHAPE
        )
        self.weight = nn.Parameter(torch.randn(SHAPE))
        if checkpoint:
            self.binarize.load_state_dict(checkpoint["binarize"])
            self.weight.data = checkpoint["weight"]

    def run(self, steps: range) -> list[Tensor]:
        sides = []
        for step in steps:
            self.binarize.set_progress(step / 10)
            before = self.binarize.left.clone()
            self.binarize.eval()(self.weight)
            assert torch.equal(self.binarize.left, before)
            target = torch.randn(SHAPE, generator=torch.Generator().manual_seed(step))
            self.binarize.train()(self.weight).backward(target)
            self.weight.data -= 0.1 * self.weight.grad
            self.weight.grad = None
            sides.append(self.binarize.left.clone())
        return sides

    def checkpoint(self) -> dict:
        state = {k: v.clone() for k, v in self.binarize.state_dict().items()}
        return {"binarize": state, "weight": self.weight.data.clone()}


@pytest.mark.parametrize(
    ("rotations", "turned"),
    [(0, []), (1, [0]), (3, [0, 4, 7]), (10, [*range(10)]), (50, [*range(10)])],
)
def test_turns_are_spread_evenly_over_training(rotations, turned):
    start = Training(rotations).binarize.left.clone()
    sides = [start, *Training(rotations).run(range(10))]
    changed = [i for i in range(10) if not torch.equal(sides[i], sides[i + 1])]
    assert changed == turned


@pytest.mark.parametrize("rotations", [1, 3, 10])
@pytest.mark.parametrize("killed_after", range(1, 10))
def test_a_resumed_run_turns_at_the_same_steps(rotations, killed_after):
    whole = Training(rotations)
    expected = whole.run(range(10))
    first = Training(rotations)
    found = first.run(range(killed_after))
    second = Training(rotations, first.checkpoint())
    found += second.run(range(killed_after, 10))
    assert all(map(torch.equal, found, expected))
    assert torch.equal(second.weight, whole.weight)


def test_a_checkpoint_loaded_into_a_running_layer_is_continued():
    expected = Training(3).run(range(10))
    first = Training(3)
    first.run(range(4))
    used = Training(3)
    used.run(range(10))
    used.binarize.load_state_dict(first.checkpoint()["binarize"])
    used.weight.data = first.checkpoint()["weight"]
    assert all(map(torch.equal, used.run(range(4, 10)), expected[4:]))


def test_progress_is_read_from_the_device_once(monkeypatch):
    binarize = Training(3).binarize
    reads = []
    item = Tensor.item
    monkeypatch.setattr(
        Tensor, "item", lambda t: reads.append(t is binarize.progress) or item(t)
    )
    for step in range(10):
        binarize.set_progress(step / 10)
        binarize(torch.randn(SHAPE))
    assert sum(reads) == 1


def test_output_scale_starts_at_the_mean_magnitude():
    block = BasicBlock(get_method("rbnn"), 4, 6)
    expected = block.conv1.weight.detach().numpy()
    np.testing.assert_allclose(
        block.scale1.weight.detach(), np.abs(expected).mean((1, 2, 3)), rtol=1e-5
    )
    assert block.scale1.weight.requires_grad
    names = {name.split(".")[-1] for name in block.state_dict() if "weight_bin" in name}
    assert names == {"progress", "left", "right", "beta"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"t_min": 0.0}, "needs positive t_min and t_max"),
        ({"rotations": -1}, "needs rotations >= 0, got -1"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        get_method({"name": "rbnn", **options})


def test_autocast_changes_neither_codes_nor_turns():
    shape, results = (64, 32, 3, 3), []
    for enabled in (False, True):
        torch.manual_seed(0)
        binarize, weight = get_method("rbnn").weight(shape), torch.randn(shape)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            binarize.set_progress(0.0)
            codes = binarize(weight)
        results.append((codes, binarize.left, binarize.right))
    assert all(map(torch.equal, *results))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_run_killed_after_every_step_turns_at_the_same_steps(dtype):
    """The buffer's rounding decides, not the host's number."""
    method = get_method({"name": "rbnn", "rotations": 50})
    whole, weight = method.weight(SHAPE).to(dtype), torch.randn(SHAPE).to(dtype)
    state = {k: v.clone() for k, v in whole.state_dict().items()}
    for step in range(300):
        resumed = method.weight(SHAPE).to(dtype)
        resumed.load_state_dict(state)
        for binarize in (whole, resumed):
            binarize.set_progress(step / 300)
            binarize(weight * (1 + step % 7) + weight.flip(0))
        assert torch.equal(resumed.left, whole.left), step
        state = {k: v.clone() for k, v in whole.state_dict().items()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_learned_scale_leaves_half_precision_as_it_is(dtype):
    """Under autocast features would be kept in float32 from there on."""
    scale = ChannelScale(3)
    out = torch.ones(2, 3, 4, 4, dtype=dtype, requires_grad=True)
    scaled = scale(out, out)
    assert scaled.dtype == dtype
    scaled.sum().backward()
    assert scale.weight.grad.dtype == torch.float32
