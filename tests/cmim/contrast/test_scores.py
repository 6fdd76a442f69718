"""Scores of anchors with blocks of candidates against loops over pairs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.contrast.scores import Candidates, Scores

A, D, TEMPERATURE = 4, 3, 0.5


def draw(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, D, generator=generator, dtype=torch.float64)


def blocks(labelled: bool) -> list[Candidates]:
    """Positives in the middle of seven, then a half-filled queue of five."""
    labels = torch.tensor([0, 1, 0, 2, -1, 1, 0]) if labelled else None
    theirs = torch.tensor([0, 1, 2, -1, 0]) if labelled else None
    filled = torch.tensor([True, True, False, True, True])
    return [
        Candidates(draw(7, 1), labels, None, first_positive=2),
        Candidates(draw(5, 2), theirs, filled),
    ]


def make_scores(labelled: bool, chunk: int = 4096, dtype=torch.float64) -> Scores:
    made = [
        Candidates(b.vectors.to(dtype), b.labels, b.valid, b.first_positive)
        for b in blocks(labelled)
    ]
    # The labels of the positives: anchor 2 is unknown.
    labels = torch.tensor([0, 2, -1, 1]) if labelled else None
    return Scores(draw(A, 0).to(dtype), made, labels, TEMPERATURE, chunk)


def naive(scores: Scores) -> tuple[list[float], list[list[float]]]:
    """The positive of each anchor, and the scores of its negatives."""
    positives, negatives = [], []
    for i, anchor in enumerate(scores.anchors):
        own: list[float] = []
        for block in scores.candidates:
            for j, candidate in enumerate(block.vectors):
                score = float(anchor @ candidate) / scores.temperature
                if block.first_positive is not None and j == block.first_positive + i:
                    positives.append(score)
                    continue
                if block.valid is not None and not block.valid[j]:
                    continue
                if scores.labels is not None:
                    mine, other = int(scores.labels[i]), int(block.labels[j])
                    if -1 in (mine, other) or mine == other:
                        continue
                own.append(score)
        negatives.append(own)
    return positives, negatives


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("chunk", [1, 2, 3, 6, 4096])
def test_equals_the_loops(labelled, chunk):
    scores = make_scores(labelled, chunk)
    positives, negatives = naive(scores)
    assert scores.positive.tolist() == pytest.approx(positives)
    assert scores.count.tolist() == [len(n) for n in negatives]
    sums = [sum(map(math.exp, n)) for n in negatives]
    logs = [math.log(s) if s else -math.inf for s in sums]
    assert scores.log_sum.tolist() == pytest.approx(logs)
    means = [
        x - math.log(len(n)) if n else x for x, n in zip(logs, negatives, strict=True)
    ]
    assert scores.log_mean.tolist() == pytest.approx(means)
    for shift in (0.0, -1.5):
        sums = [sum(math.log1p(math.exp(s + shift)) for s in n) for n in negatives]
        assert scores.softplus_sum(shift).tolist() == pytest.approx(sums)


def test_the_loop_has_cases_of_all_kinds():
    counts = [len(n) for n in naive(make_scores(True))[1]]
    assert counts[2] == 0
    assert len(set(counts)) > 2
    assert [len(n) for n in naive(make_scores(False))[1]] == [7 - 1 + 4] * A


def test_by_hand():
    """Unit vectors: 1 with the own partner, 0 with the two others, tau 1/2."""
    scores = Scores(torch.eye(3), [Candidates(torch.eye(3), None, None, 0)], None, 0.5)
    assert scores.positive.tolist() == [2, 2, 2]
    assert scores.count.tolist() == [2, 2, 2]
    assert scores.log_sum.tolist() == pytest.approx([math.log(2)] * 3)
    assert scores.log_mean.tolist() == pytest.approx([0] * 3, abs=1e-6)
    assert scores.softplus_sum().tolist() == pytest.approx([2 * math.log(2)] * 3)


def test_a_candidate_is_the_positive_of_one_and_the_negative_of_others():
    block = Candidates(draw(5, 1), None, None, first_positive=1)
    whole = block.allowed(None, 3, 0, 5)
    expected = torch.ones(3, 5, dtype=torch.bool)
    for i in range(3):
        expected[i, 1 + i] = False
    assert torch.equal(whole, expected)
    for start in range(5):
        for stop in range(start + 1, 6):
            part = block.allowed(None, 3, start, stop)
            part = torch.ones(3, stop - start, dtype=bool) if part is None else part
            assert torch.equal(part, whole[:, start:stop])


def test_where_everything_is_allowed_no_mask_is_made():
    assert Candidates(draw(5, 1)).allowed(None, 3, 0, 5) is None
    assert Candidates(draw(9, 1), None, None, 2).allowed(None, 3, 5, 9) is None
    assert Candidates(draw(9, 1), None, None, 2).allowed(None, 3, 0, 2) is None


def test_splitting_the_candidates_into_blocks_changes_nothing():
    first, rest = Candidates(draw(4, 1), None, None, 0), draw(6, 2)
    whole = Candidates(torch.cat([first.vectors, rest]), None, None, 0)
    one = Scores(draw(A, 0), [whole])
    two = Scores(draw(A, 0), [first, Candidates(rest[:2]), Candidates(rest[2:])])
    for name in ("positive", "log_sum", "log_mean", "count"):
        torch.testing.assert_close(getattr(two, name), getattr(one, name))
    torch.testing.assert_close(two.softplus_sum(0.3), one.softplus_sum(0.3))


@pytest.mark.parametrize("chunk", [2, 99])
def test_gradients_equal_those_of_the_matrix(chunk):
    results = []
    for dense in (False, True):
        anchors, candidates = draw(A, 0).requires_grad_(), draw(A, 1).requires_grad_()
        if dense:
            matrix = anchors @ candidates.T / TEMPERATURE
            own = torch.eye(A, dtype=torch.bool)
            log_sum = matrix.masked_fill(own, -math.inf).logsumexp(1)
            value = (matrix.diagonal() * 0.3 + log_sum).sum()
        else:
            block = Candidates(candidates, None, None, 0)
            scores = Scores(anchors, [block], None, TEMPERATURE, chunk)
            value = (scores.positive * 0.3 + scores.log_sum).sum()
        value.backward()
        results.append((value.detach(), anchors.grad, candidates.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.06)], ids=str
)
def test_precision(dtype, tolerance):
    low, exact = make_scores(True, 2, dtype), make_scores(True, 2)
    for name in ("positive", "log_sum", "log_mean", "count"):
        ours, theirs = getattr(low, name), getattr(exact, name)
        assert ours.dtype == dtype
        finite = theirs.isfinite()
        assert torch.equal(ours.isfinite(), finite)
        error = (ours.double() - theirs)[finite].abs() / (1 + theirs[finite].abs())
        assert error.max() < tolerance, name
