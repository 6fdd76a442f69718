"""The distributional loss: loop, hand values, invariances, certainty."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.functional.soft_cross_entropy import soft_cross_entropy

SHAPES = [(3, 4), (2, 5, 3, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def logits(shape: tuple[int, ...], seed: int, dtype: torch.dtype = torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


def naive(ours: Tensor, theirs: Tensor) -> float:
    rows = zip(
        ours.movedim(1, -1).reshape(-1, ours.shape[1]).tolist(),
        theirs.movedim(1, -1).reshape(-1, ours.shape[1]).tolist(),
        strict=True,
    )
    losses = []
    for a, b in rows:
        p = [math.exp(v) / sum(map(math.exp, b)) for v in b]
        q = [math.exp(v) / sum(map(math.exp, a)) for v in a]
        losses.append(-sum(x * math.log(y) for x, y in zip(p, q, strict=True)))
    return sum(losses) / len(losses)


@every_shape
def test_equals_the_loop(shape):
    ours, theirs = logits(shape, 0), logits(shape, 1)
    assert soft_cross_entropy(ours, theirs).item() == pytest.approx(naive(ours, theirs))


def test_hand_values():
    ours = torch.tensor([[1.0, 3.0]]).log()  # 1/4, 3/4
    theirs = torch.tensor([[1.0, 1.0]]).log()
    expected = -(math.log(1 / 4) + math.log(3 / 4)) / 2
    assert soft_cross_entropy(ours, theirs).item() == pytest.approx(expected)


@every_shape
def test_gradient_is_the_difference_of_the_distributions(shape):
    ours = logits(shape, 0).requires_grad_()
    theirs = logits(shape, 1).requires_grad_()
    soft_cross_entropy(ours, theirs).backward()
    count = ours.numel() // shape[1]
    expected = (ours.softmax(1) - theirs.softmax(1)) / count
    torch.testing.assert_close(ours.grad, expected.detach())
    assert theirs.grad is None


@every_shape
def test_constants_per_sample_change_nothing_and_the_own_answer_is_best(shape):
    ours, theirs = logits(shape, 0), logits(shape, 1)
    loss = soft_cross_entropy(ours, theirs)
    torch.testing.assert_close(soft_cross_entropy(ours + 400, theirs - 400), loss)
    entropy = soft_cross_entropy(theirs, theirs)
    assert 0 < entropy < loss


def test_certain_references_are_labels():
    ours = logits((3, 4), 0)
    labels = torch.tensor([2, 0, 3])
    certain = 1e4 * torch.nn.functional.one_hot(labels, 4).double()
    expected = torch.nn.functional.cross_entropy(ours, labels)
    torch.testing.assert_close(soft_cross_entropy(ours, certain), expected)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-6)], ids=str
)
@every_shape
def test_lower_precision_is_computed_in_float32(shape, dtype, tolerance):
    ours, theirs = logits(shape, 0, dtype), logits(shape, 1, dtype)
    loss = soft_cross_entropy(ours, theirs)
    assert loss.dtype == torch.float32
    exact = soft_cross_entropy(ours.double(), theirs.double())
    torch.testing.assert_close(loss.double(), exact, rtol=tolerance, atol=tolerance)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        soft_cross_entropy(torch.zeros(2, 3), torch.zeros(2, 4))
