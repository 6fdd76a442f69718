"""InfoNCE against a loop over the formula, hand values, invariances, degeneracies."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.functional.contrastive import info_nce

SHAPES = [(1, 1), (1, 4), (5, 5), (4, 9)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


def scores_and_mask(
    shape: tuple[int, int], dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(sum(shape))
    scores = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    return scores.to(dtype), torch.rand(shape, generator=generator) < 0.5


def naive_info_nce(scores: Tensor, negatives: Tensor | None) -> list[float]:
    anchors, candidates = scores.shape
    losses = []
    for i in range(anchors):
        positive = math.exp(scores[i, i])
        total = positive
        for j in range(candidates):
            if j != i and (negatives is None or negatives[i, j]):
                total += math.exp(scores[i, j])
        losses.append(-math.log(positive / total))
    return losses


@every_shape
@pytest.mark.parametrize("masked", [False, True])
def test_equals_the_loop(shape, masked):
    scores, mask = scores_and_mask(shape)
    negatives = mask if masked else None
    loss = info_nce(scores, negatives)
    assert loss.shape == (shape[0],)
    assert loss.tolist() == pytest.approx(naive_info_nce(scores, negatives), abs=1e-12)


def test_hand_values():
    # exp: positive 3, negatives 1 and 2; then positive 1, negatives 1 and 2.
    scores = torch.tensor([[3.0, 1.0, 2.0], [1.0, 1.0, 2.0]]).log()
    expected = [math.log(6 / 3), math.log(4 / 1)]
    assert info_nce(scores).tolist() == pytest.approx(expected)
    without_last = torch.tensor([[True, True, False], [True, True, False]])
    expected = [math.log(4 / 3), math.log(2 / 1)]
    assert info_nce(scores, without_last).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_diagonal_of_the_mask_does_not_matter(diagonal):
    scores, mask = scores_and_mask((4, 9))
    mask[range(4), range(4)] = diagonal
    assert info_nce(scores, mask).tolist() == pytest.approx(
        naive_info_nce(scores, mask)
    )


@pytest.mark.parametrize("masked", [False, True])
def test_a_constant_per_row_changes_nothing(masked):
    scores, mask = scores_and_mask((4, 9))
    negatives = mask if masked else None
    shift = torch.tensor([[-500.0], [0.0], [1.0], [500.0]], dtype=torch.float64)
    torch.testing.assert_close(
        info_nce(scores + shift, negatives), info_nce(scores, negatives)
    )


@pytest.mark.parametrize("masked", [False, True])
def test_the_order_of_the_other_candidates_does_not_matter(masked):
    scores, mask = scores_and_mask((1, 9))
    order = [0, 5, 3, 8, 1, 2, 7, 6, 4]
    before = info_nce(scores, mask if masked else None)
    after = info_nce(scores[:, order], mask[:, order] if masked else None)
    torch.testing.assert_close(after, before)
    assert not torch.allclose(info_nce(scores.flip(1)), before)  # the positive moved


@pytest.mark.parametrize("masked", [False, True])
def test_anchors_and_their_positives_may_be_reordered_together(masked):
    scores, mask = scores_and_mask((5, 5))
    order = [3, 0, 4, 1, 2]
    negatives = mask if masked else None
    shuffled = mask[order][:, order] if masked else None
    torch.testing.assert_close(
        info_nce(scores[order][:, order], shuffled), info_nce(scores, negatives)[order]
    )


@pytest.mark.parametrize(
    ("shape", "masked"), [((1, 1), False), ((1, 1), True), ((4, 9), True)]
)
def test_without_negatives_loss_and_gradient_are_exactly_zero(shape, masked):
    scores = 50 * torch.randn(shape, generator=torch.Generator().manual_seed(0))
    scores.requires_grad_()
    nobody = torch.zeros(shape, dtype=torch.bool) if masked else None
    loss = info_nce(scores, nobody)
    loss.sum().backward()
    assert (loss == 0).all()
    assert (scores.grad == 0).all()


def test_one_anchor_without_negatives_leaves_the_others_alone():
    scores, mask = scores_and_mask((3, 4))
    scores.requires_grad_()
    mask[1] = False
    mask[0], mask[2] = True, True
    loss = info_nce(scores, mask)
    loss.sum().backward()
    assert loss[1] == 0
    assert (scores.grad[1] == 0).all()
    assert loss[0] > 0
    assert (scores.grad[[0, 2]] != 0).all()


def test_masked_candidates_get_no_gradient():
    scores, mask = scores_and_mask((4, 9))
    scores.requires_grad_()
    info_nce(scores, mask).sum().backward()
    eye = torch.eye(4, 9, dtype=torch.bool)
    assert (scores.grad[~mask & ~eye] == 0).all()
    assert (scores.grad[mask & ~eye] > 0).all()


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_by_finite_differences(masked):
    scores, mask = scores_and_mask((4, 6))
    scores = (scores / 3).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s: info_nce(s, mask if masked else None), (scores,)
    )


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 4e-3)], ids=str
)
@pytest.mark.parametrize("masked", [False, True])
def test_lower_precision_is_close_to_float64(dtype, tolerance, masked):
    """The same rounded scores, so that only the arithmetic of the loss differs."""
    scores, mask = scores_and_mask((16, 40), dtype)
    negatives = mask if masked else None
    loss = info_nce(scores, negatives)
    assert loss.dtype == dtype
    torch.testing.assert_close(
        loss.double(), info_nce(scores.double(), negatives), rtol=tolerance, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_scores_do_not_overflow(dtype):
    scores = torch.tensor([[1000.0, -1000.0], [1000.0, -1000.0]], dtype=dtype)
    assert info_nce(scores).tolist() == [0.0, 2000.0]


@every_shape
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_bound_never_exceeds_the_logarithm_of_the_candidates(shape, scale):
    anchors, candidates = shape
    positives = scale * torch.eye(anchors, candidates, dtype=torch.float64)
    for scores in (positives, scale * scores_and_mask(shape)[0]):
        bound = math.log(candidates) - info_nce(scores).mean().item()
        assert bound <= math.log(candidates)
    # Perfect scores reach the logarithm, useless ones give nothing.
    loss = info_nce(positives).mean().item()
    if scale == 100:
        assert loss == pytest.approx(0.0, abs=1e-12)
    if scale == 0:
        assert loss == pytest.approx(math.log(candidates))


def test_fewer_candidates_than_anchors_is_refused():
    with pytest.raises(
        ValueError, match=r"scores of shape \(3, 2\): every anchor needs its own pos"
    ):
        info_nce(torch.zeros(3, 2))
