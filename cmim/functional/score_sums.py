r"""Sums over all negatives of each anchor, in pieces: memory does not grow with them.

With scores :math:`s_{ij} = \langle a_i, c_j\rangle` every bound on mutual information
here needs, per anchor, its positive's score and one of two sums over its negatives,

.. math::
    \log \sum_{j \in N(i)} e^{s_{ij}} \qquad\text{or}\qquad
    \sum_{j \in N(i)} \operatorname{softplus}(s_{ij} + \text{shift})

Both are computed from matrix products of at most ``chunk`` candidates at a time. Only
``(A, chunk)`` scores exist at once. Where the candidates need no gradient (a queue, a
bank) the gradient of the anchors is summed up along the way, as in attention without a
stored score matrix; nothing of the candidates is kept for the backward pass, so they
may be overwritten before it. Otherwise the scores are computed again there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

# (start, stop) -> (A, stop - start) boolean, which of these candidates count as
# negatives of which anchor; (1, stop - start) where all anchors are alike; None for
# all of them.
Allowed = Callable[[int, int], "Tensor | None"]

CHUNK = 4096


def log_sum_exp_scores(
    anchors: Tensor,
    candidates: Tensor,
    allowed: Allowed | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    r"""Logarithm of the summed exponential scores of each anchor's negatives.

    Exact up to rounding for any ``chunk``; an anchor without negatives gives
    :math:`-\infty` and has no gradient.

    Args:
        anchors: ``(A, D)``, already divided by the temperature.
        candidates: ``(B, D)``.
        allowed: ``(start, stop) -> (A or 1, stop - start)`` boolean mask, or None.
        chunk: Candidates at a time.

    Returns:
        ``(A,)``.

    Examples:
        >>> a = torch.tensor([[1.0], [0.0]])
        >>> log_sum_exp_scores(a, torch.zeros(5, 1), chunk=2).exp().tolist()
        [5.0..., 5.0...]
        >>> nobody = lambda start, stop: torch.zeros(2, stop - start, dtype=torch.bool)
        >>> log_sum_exp_scores(a, torch.zeros(5, 1), nobody).tolist()
        [-inf, -inf]
    """
    return _LogSumExp.apply(anchors, candidates, allowed, chunk)


def log_add_exp(logs: Tensor) -> Tensor:
    r"""Log of the sum of exponentials over the first dimension.

    :math:`-\infty` is an empty sum. ``torch.logsumexp`` has the gradient NaN where
    all are empty; here it is 0.

    Examples:
        >>> log_add_exp(torch.tensor([0.0, -math.inf])).item()
        0.0
    """
    empty = (logs == -math.inf).all(dim=0)
    return logs.masked_fill(empty, 0).logsumexp(dim=0).masked_fill(empty, -math.inf)


def softplus_sum_scores(
    anchors: Tensor,
    candidates: Tensor,
    allowed: Allowed | None = None,
    shift: float | Tensor = 0.0,
    chunk: int = CHUNK,
) -> Tensor:
    r"""Sum of :math:`\log(1 + e^{s + \text{shift}})` over each anchor's negatives.

    Args:
        anchors: ``(A, D)``, already divided by the temperature.
        candidates: ``(B, D)``.
        allowed: ``(start, stop) -> (A or 1, stop - start)`` boolean mask, or None.
        shift: Added to every score, a number or a scalar without gradient.
        chunk: Candidates at a time.

    Returns:
        ``(A,)``, 0 for an anchor without negatives.

    Examples:
        >>> softplus_sum_scores(torch.zeros(1, 1), torch.zeros(3, 1)).tolist()
        [2.079...]
    """
    return _SoftplusSum.apply(anchors, candidates, allowed, shift, chunk)


def count_allowed(
    anchors: Tensor,
    candidates: Tensor,
    allowed: Allowed | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """How many negatives each anchor has, ``(A,)`` in the dtype of the anchors.

    Examples:
        >>> count_allowed(torch.zeros(2, 1), torch.zeros(3, 1)).tolist()
        [3.0, 3.0]
    """
    # Integers: in bfloat16, 256 + 1 is 256.
    counts = torch.zeros(len(anchors), dtype=torch.long, device=anchors.device)
    for start, stop in _chunks(len(candidates), chunk):
        mask = None if allowed is None else allowed(start, stop)
        counts += (stop - start) if mask is None else mask.sum(dim=1)
    return counts.to(anchors.dtype)


def _chunks(length: int, chunk: int) -> Iterator[tuple[int, int]]:
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1, got {chunk}")
    for start in range(0, length, chunk):
        yield start, min(start + chunk, length)


def _scores(
    anchors: Tensor, candidates: Tensor, allowed: Allowed | None, start: int, stop: int
) -> Tensor:
    scores = anchors @ candidates[start:stop].T
    mask = None if allowed is None else allowed(start, stop)
    return scores if mask is None else scores.masked_fill_(~mask, float("-inf"))


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, anchors, candidates, allowed, chunk):
        ctx.allowed, ctx.chunk = allowed, chunk
        recompute = ctx.needs_input_grad[1]
        keep = ctx.needs_input_grad[0] and not recompute
        peak = anchors.new_full((len(anchors),), float("-inf"))
        total = torch.zeros_like(peak)
        pulled = torch.zeros_like(anchors) if keep else None
        for start, stop in _chunks(len(candidates), chunk):
            scores = _scores(anchors, candidates, allowed, start, stop)
            higher = torch.maximum(peak, scores.amax(dim=1))
            # An anchor that has met no negative yet stays at -inf - 0, not inf - inf.
            base = higher.masked_fill(higher == float("-inf"), 0)
            weights = scores.sub_(base[:, None]).exp_()
            shrink = (peak - base).exp_()
            total.mul_(shrink).add_(weights.sum(dim=1))
            if pulled is not None:
                pulled.mul_(shrink[:, None]).addmm_(weights, candidates[start:stop])
            peak = higher
        base = peak.masked_fill(peak == float("-inf"), 0)
        result = total.log() + base
        if recompute:
            ctx.save_for_backward(anchors, candidates, result)
        elif pulled is not None:
            some = total.masked_fill(total == 0, 1)
            ctx.save_for_backward(pulled.div_(some[:, None]))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            (pulled,) = ctx.saved_tensors
            return pulled * grad[:, None], None, None, None
        anchors, candidates, result = ctx.saved_tensors
        base = result.masked_fill(result == float("-inf"), 0)
        grads = _backward_in_chunks(
            ctx,
            anchors,
            candidates,
            lambda scores: scores.sub_(base[:, None]).exp_().mul_(grad[:, None]),
        )
        return *grads, None, None


class _SoftplusSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, anchors, candidates, allowed, shift, chunk):
        ctx.allowed, ctx.shift, ctx.chunk = allowed, shift, chunk
        recompute = ctx.needs_input_grad[1]
        keep = ctx.needs_input_grad[0] and not recompute
        result = anchors.new_zeros(len(anchors))
        pulled = torch.zeros_like(anchors) if keep else None
        for start, stop in _chunks(len(candidates), chunk):
            scores = _scores(anchors, candidates, allowed, start, stop).add_(shift)
            result += F.softplus(scores).sum(dim=1)
            if pulled is not None:
                pulled.addmm_(scores.sigmoid_(), candidates[start:stop])
        if recompute:
            ctx.save_for_backward(anchors, candidates)
        elif keep:
            ctx.save_for_backward(pulled)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        if not ctx.needs_input_grad[1]:
            (pulled,) = ctx.saved_tensors
            return pulled * grad[:, None], None, None, None, None
        anchors, candidates = ctx.saved_tensors
        grads = _backward_in_chunks(
            ctx,
            anchors,
            candidates,
            lambda scores: scores.add_(ctx.shift).sigmoid_().mul_(grad[:, None]),
        )
        return *grads, None, None, None


def _backward_in_chunks(
    ctx, anchors: Tensor, candidates: Tensor, weigh: Callable[[Tensor], Tensor]
) -> tuple[Tensor | None, Tensor]:
    """Gradients of anchors and candidates from the weights of all scores."""
    grad_anchors = torch.zeros_like(anchors) if ctx.needs_input_grad[0] else None
    grad_candidates = torch.empty_like(candidates)
    # The backward pass may run inside an autocast block.
    with torch.autocast(anchors.device.type, enabled=False):
        for start, stop in _chunks(len(candidates), ctx.chunk):
            weights = weigh(_scores(anchors, candidates, ctx.allowed, start, stop))
            if grad_anchors is not None:
                grad_anchors.addmm_(weights, candidates[start:stop])
            grad_candidates[start:stop] = weights.T @ anchors
    return grad_anchors, grad_candidates
