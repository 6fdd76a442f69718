"""Sums over scores in pieces against the whole matrix: values and gradients."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional.score_sums import (
    count_allowed,
    log_add_exp,
    log_sum_exp_scores,
    softplus_sum_scores,
)

A, B, D = 5, 11, 3
SHIFT = 0.7
CHUNKS = (1, 2, 3, 5, 10, 11, 12, 4096)
SUMS = {
    "log_sum_exp": lambda a, c, m, k: log_sum_exp_scores(a, c, m, chunk=k),
    "softplus": lambda a, c, m, k: softplus_sum_scores(a, c, m, SHIFT, chunk=k),
}
each_sum = pytest.mark.parametrize("name", SUMS)
trained = pytest.mark.parametrize(
    "trained", [(True, True), (True, False), (False, True)], ids=["both", "a", "c"]
)


def vectors(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    both = 1.5 * torch.randn(A + B, D, generator=generator, dtype=torch.float64)
    return both[:A].to(dtype), both[A:].to(dtype)


def make_mask() -> Tensor:
    """Anchor 1 has no negatives, candidate 4 is nobody's, the first chunk is empty."""
    generator = torch.Generator().manual_seed(1)
    mask = torch.rand(A, B, generator=generator) < 0.6
    mask[1] = mask[:, 4] = mask[:, 0] = False
    return mask


def reading(mask: Tensor | None):
    return None if mask is None else lambda start, stop: mask[:, start:stop]


def dense(name: str, a: Tensor, c: Tensor, mask: Tensor | None) -> Tensor:
    """The whole matrix at once, with torch's own gradients."""
    scores, mask = a @ c.T, torch.ones(A, B, dtype=torch.bool) if mask is None else mask
    if name == "softplus":
        return (F.softplus(scores + SHIFT) * mask).sum(dim=1)
    none = ~mask.any(dim=1)
    sums = scores.masked_fill(~mask & ~none[:, None], -math.inf).logsumexp(1)
    return torch.where(none, torch.full_like(sums, -math.inf), sums)


def run(compute, trained: tuple[bool, bool]) -> list[Tensor]:
    """Value and the gradients that are wanted, from uneven weights of the anchors."""
    a, c = (x.requires_grad_(t) for x, t in zip(vectors(), trained, strict=True))
    values = compute(a, c)
    weights = torch.linspace(-1, 2, A, dtype=values.dtype)
    (values.masked_fill(values == -math.inf, 0) * weights).sum().backward()
    return [values.detach(), *[x.grad for x in (a, c) if x.requires_grad]]


@each_sum
@trained
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("chunk", CHUNKS)
def test_pieces_equal_the_whole(name, trained, masked, chunk):
    mask = make_mask() if masked else None
    pieces = run(lambda a, c: SUMS[name](a, c, reading(mask), chunk), trained)
    whole = run(lambda a, c: dense(name, a, c, mask), trained)
    assert len(pieces) == 1 + sum(trained)
    for ours, theirs in zip(pieces, whole, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-12)


@each_sum
def test_equals_the_loop(name):
    (a, c), mask = vectors(), make_mask()
    ours = SUMS[name](a, c, reading(mask), 4).tolist()
    for i in range(A):
        scores = [
            sum(x * y for x, y in zip(a[i].tolist(), c[j].tolist(), strict=True))
            for j in range(B)
            if mask[i, j]
        ]
        if name == "softplus":
            naive = sum(math.log1p(math.exp(s + SHIFT)) for s in scores)
        else:
            total = sum(map(math.exp, scores))
            naive = math.log(total) if scores else -math.inf
        assert ours[i] == pytest.approx(naive, rel=1e-12)


@each_sum
@trained
def test_gradients_are_right_numerically(name, trained):
    a, c = (x.requires_grad_(t) for x, t in zip(vectors(), trained, strict=True))
    mask = make_mask()
    mask[1, 2] = True  # without negatives the value is -inf: no numbers to compare
    assert torch.autograd.gradcheck(
        lambda a, c: SUMS[name](a, c, reading(mask), 4), (a, c)
    )


@each_sum
@trained
@pytest.mark.parametrize("chunk", [1, 4, 99])
def test_rows_without_negatives_have_no_gradient(name, trained, chunk):
    nobody = torch.zeros(A, B, dtype=torch.bool)
    a, c = (x.requires_grad_(t) for x, t in zip(vectors(), trained, strict=True))
    values = SUMS[name](a, c, reading(nobody), chunk)
    values.sum().backward()
    empty = 0.0 if name == "softplus" else -math.inf
    assert values.tolist() == [empty] * A
    for x in (a, c):
        assert x.grad is None or (x.grad == 0).all()


@each_sum
def test_no_candidates_at_all(name):
    a = vectors()[0].requires_grad_()
    values = SUMS[name](a, a.detach()[:0], None, 4)
    values.sum().backward()
    assert values.tolist() == [0.0 if name == "softplus" else -math.inf] * A
    assert (a.grad == 0).all()


@each_sum
@pytest.mark.parametrize("chunk", [3, 99])
def test_candidates_without_gradient_may_be_overwritten(name, chunk):
    expected = run(lambda a, c: SUMS[name](a, c, None, chunk), (True, False))[1]
    a, c = vectors()
    a.requires_grad_()
    values = SUMS[name](a, c, None, chunk)
    c.fill_(math.nan)
    (values * torch.linspace(-1, 2, A, dtype=values.dtype)).sum().backward()
    torch.testing.assert_close(a.grad, expected)


@each_sum
def test_overwriting_candidates_with_gradient_is_noticed(name):
    """Their gradient is computed from them: an error instead of a wrong one."""
    a, c = (x.requires_grad_() for x in vectors())
    inner = c * 1
    values = SUMS[name](a, inner, None, 4)
    with torch.no_grad():
        inner.fill_(0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        values.sum().backward()


@pytest.mark.parametrize("trained", [True, False])
def test_large_scores_neither_overflow_nor_vanish(trained):
    a = torch.tensor([[1.0], [-1.0]]).requires_grad_()
    c = torch.tensor([[-500.0], [500.0], [499.0]]).requires_grad_(trained)
    values = log_sum_exp_scores(a, c, chunk=1)
    values.sum().backward()
    expected = [500 + math.log1p(math.exp(-1)), 500.0]
    assert values.tolist() == pytest.approx(expected)
    share = 1 / (1 + math.exp(-1))
    mean = 500 * share + 499 * (1 - share)
    assert a.grad.flatten().tolist() == pytest.approx([mean, -500], rel=1e-5)


@each_sum
def test_order_of_the_candidates_does_not_matter(name):
    (a, c), mask = vectors(), make_mask()
    order = torch.randperm(B, generator=torch.Generator().manual_seed(2))
    before = SUMS[name](a, c, reading(mask), 4)
    after = SUMS[name](a, c[order], reading(mask[:, order]), 4)
    torch.testing.assert_close(after, before)


@each_sum
@pytest.mark.parametrize("trained", [(True, True), (True, False)], ids=["both", "a"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)], ids=str
)
def test_precision(name, trained, dtype, tolerance):
    low = vectors(dtype)
    results = []
    for precision in (dtype, torch.float64):
        a, c = (
            x.to(precision).requires_grad_(t)
            for x, t in zip((x.clone() for x in low), trained, strict=True)
        )
        values = SUMS[name](a, c, reading(make_mask()), 4)
        values[0].backward()
        assert values.dtype == precision
        results.append([values, a.grad, *([c.grad] if trained[1] else [])])
    for ours, exact in zip(*results, strict=True):
        finite = exact.isfinite()
        assert torch.equal(ours.isfinite(), finite)
        error = (ours.double() - exact)[finite].abs() / (1 + exact[finite].abs())
        assert error.max() < tolerance


@each_sum
def test_backward_under_autocast_is_in_full_precision(name):
    grads = []
    for autocast in (False, True):
        a, c = (x.requires_grad_() for x in vectors(torch.float32))
        values = SUMS[name](a, c, None, 4)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            values.sum().backward()
        grads.append((a.grad, c.grad))
    assert torch.equal(grads[0][0], grads[1][0])
    assert torch.equal(grads[0][1], grads[1][1])


@pytest.mark.parametrize("chunk", CHUNKS)
def test_counts(chunk):
    (a, c), mask = vectors(), make_mask()
    assert count_allowed(a, c, None, chunk).tolist() == [B] * A
    counts = count_allowed(a, c, reading(mask), chunk)
    assert counts.tolist() == mask.sum(dim=1).tolist()
    assert counts.dtype == a.dtype
    assert counts[1] == 0


def test_counts_in_bfloat16_do_not_stop_at_256():
    a, c = torch.zeros(1, 1, dtype=torch.bfloat16), torch.zeros(1024, 1).bfloat16()
    assert count_allowed(a, c, chunk=1).tolist() == [1024]


def test_log_add_exp_and_its_gradient_where_all_are_empty():
    inf = math.inf
    logs = torch.tensor([[0.0, -inf, -inf], [math.log(3), 2.0, -inf]])
    logs.requires_grad_()
    total = log_add_exp(logs)
    total.masked_fill(total == -inf, 0).sum().backward()
    assert total.tolist() == pytest.approx([math.log(4), 2.0, -inf])
    assert logs.grad.flatten().tolist() == pytest.approx([0.25, 0, 0, 0.75, 1, 0])


@each_sum
@pytest.mark.parametrize("chunk", [0, -3])
def test_chunks_are_positive(name, chunk):
    with pytest.raises(ValueError, match=f"chunk must be at least 1, got {chunk}"):
        SUMS[name](*vectors(), None, chunk)
