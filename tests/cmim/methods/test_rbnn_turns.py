"""RBNN's rotations: what a turn does, and turns that a resumed run repeats."""

from __future__ import annotations

import math

import pytest
import torch
from rbnn_cases import SHAPE
from torch import Tensor, nn

from cmim.functional.rotation import align_rotation, balanced_factors
from cmim.methods import get_method


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
