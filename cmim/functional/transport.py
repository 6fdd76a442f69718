r"""Optimal transport between two sets of vectors, and the dual form on pairs."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

# exp(-1e4) is 0 in every dtype, and unlike -inf it survives a subtraction.
NOTHING = -1e4


@torch.no_grad()
def sinkhorn_plan(
    cost: Tensor,
    epsilon: float,
    iterations: int,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
) -> Tensor:
    r"""Entropic transport plan between uniform marginals, by Sinkhorn's iterations.

    .. math::
        \pi = \arg\min_{\pi 1 = a,\ \pi^T 1 = b} \langle \pi, C\rangle
              - \epsilon H(\pi), \qquad
        \pi = \operatorname{diag}(e^u)\, e^{-C/\epsilon} \operatorname{diag}(e^v)

    In logarithms, so that a small epsilon does not underflow. The columns' marginals
    are exact after the last iteration, the rows' as far as it has converged. No
    gradient: by the envelope theorem that of the optimal value is the plan itself.

    Args:
        cost: ``(A, B)``.
        epsilon: > 0, in the units of the cost; the smaller, the nearer to a matching,
            and the more iterations are needed.
        iterations: At least 1.
        rows: ``(A,)`` boolean, which rows take part; all when None.
        columns: ``(B,)`` boolean, likewise.

    Returns:
        ``(A, B)``, of sum 1; all zeros if no row or no column takes part.

    References:
        Cuturi, Sinkhorn Distances, NeurIPS 2013. https://arxiv.org/abs/1306.0895

    Examples:
        >>> far = torch.tensor([[0.0, 99.0], [99.0, 0.0]])
        >>> sinkhorn_plan(far, 0.1, 5).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
        >>> sinkhorn_plan(torch.zeros(2, 2), 0.1, 1).tolist()  # nothing to prefer
        [[0.25..., 0.25...], [0.25..., 0.25...]]
    """
    log_kernel = -cost / epsilon
    log_a, log_b = (
        _log_uniform(size, mask, cost)
        for size, mask in zip(cost.shape, (rows, columns), strict=True)
    )
    v = torch.where(log_b <= NOTHING, log_b, torch.zeros_like(log_b))
    u = log_a
    for _ in range(iterations):
        u = log_a - (log_kernel + v).logsumexp(dim=1)
        v = log_b - (log_kernel + u[:, None]).logsumexp(dim=0)
    plan = (u[:, None] + log_kernel + v).exp()
    both = (log_a > NOTHING)[:, None] & (log_b > NOTHING)
    return torch.where(both, plan, torch.zeros_like(plan))


def _log_uniform(size: int, mask: Tensor | None, like: Tensor) -> Tensor:
    if mask is None:
        return like.new_full((size,), size).log().neg()
    log_share = mask.sum().clamp(min=1).to(like.dtype).log().neg()
    return torch.where(mask, log_share, torch.full_like(log_share, NOTHING))


def pair_critic(first: Tensor, second: Tensor, outer: Tensor, bias: Tensor) -> Tensor:
    r"""Two-layer critic of given pairs, :math:`w^T \max(0, W [x, y] + b)`.

    Args:
        first: ``(..., H)``, the first layer's product with x.
        second: ``(..., H)``, that with y.
        outer: ``(H,)``.
        bias: ``(H,)``.

    Examples:
        >>> one = torch.ones(1)
        >>> pair_critic(torch.tensor([2.0]), torch.tensor([-1.0]), one, 0 * one).item()
        1.0
    """
    return F.relu(first + second + bias) @ outer


def critic_sums(
    first: Tensor,
    second: Tensor,
    outer: Tensor,
    bias: Tensor,
    allowed: Callable[[int, int], Tensor],
    chunk: int,
) -> tuple[Tensor, Tensor]:
    """Sum of the critic over each x's negatives, and how many there are.

    ``(A, chunk, H)`` numbers exist at once; the backward pass computes them again.

    Args:
        first: ``(A, H)``, as in :func:`pair_critic`.
        second: ``(B, H)``.
        outer: ``(H,)``.
        bias: ``(H,)``.
        allowed: ``(start, stop) -> (A, stop - start)`` boolean mask.
        chunk: Candidates at a time.

    Returns:
        ``(A,)`` and ``(A,)``.

    Examples:
        >>> one = torch.ones(1)
        >>> everyone = lambda start, stop: torch.ones(1, stop - start, dtype=torch.bool)
        >>> xs, ys = torch.ones(1, 1), torch.tensor([[1.0], [2.0], [-3.0]])
        >>> [t.tolist() for t in critic_sums(xs, ys, one, 0 * one, everyone, 2)]
        [[5.0], [3.0]]
    """

    def part(x: Tensor, y: Tensor, w: Tensor, b: Tensor, mask: Tensor) -> Tensor:
        scores = pair_critic(x[:, None], y[None], w, b)
        return torch.where(mask, scores, torch.zeros_like(scores)).sum(dim=1)

    total, count = first.new_zeros(len(first)), first.new_zeros(len(first))
    for start in range(0, len(second), chunk):
        block = second[start : start + chunk]
        mask = allowed(start, start + len(block))
        total = total + checkpoint(
            part,
            first,
            block,
            outer,
            bias,
            mask,
            use_reentrant=False,
            # Nothing random is inside, and saving the state would synchronise.
            preserve_rng_state=False,
        )
        count = count + mask.sum(dim=1)
    return total, count
