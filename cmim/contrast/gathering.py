r"""Tensors of all processes, so that a distributed loss is that of the joined batch.

Distributed training averages gradients over processes. With candidates gathered by
:func:`gather_with_gradient` and the mean taken by :func:`mean_over_ranks`, that average
is the gradient of the loss of the joined batch in one process.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from cmim.ranks import joined_mean, rank, world_size


def gather_ranks(x: Tensor) -> Tensor:
    """Join a tensor of equal shape from all processes, in rank order, no gradient.

    Args:
        x: ``(B, ...)``.

    Returns:
        ``(world size * B, ...)``; ``x`` itself in a single process.
    """
    if world_size() == 1:
        return x
    parts = [torch.empty_like(x) for _ in range(world_size())]
    dist.all_gather(parts, x.contiguous())
    return torch.cat(parts)


def gather_with_gradient(x: Tensor) -> Tensor:
    """Join a tensor of equal shape from all processes; gradients come back to all.

    Args:
        x: ``(B, ...)``.

    Returns:
        ``(world size * B, ...)``; ``x`` itself in a single process. The gradient of a
        process's part is the sum of what all processes' losses give it.
    """
    return x if world_size() == 1 else _Gather.apply(x)


def mean_over_ranks(values: Tensor, counts: Tensor | None = None) -> Tensor:
    """Mean over the values of all processes that count.

    The result is scaled so that its average over processes is that mean. 0 with
    zero gradients where nothing counts anywhere.

    Args:
        values: ``(A,)``.
        counts: ``(A,)`` 1 for values that count, 0 for others; all when None.

    Examples:
        >>> mean_over_ranks(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1, 1, 0.0]))
        tensor(1.5000)
        >>> mean_over_ranks(torch.tensor([1.0]), torch.zeros(1))
        tensor(0.)
    """
    if counts is None:
        return values.mean()
    return joined_mean((values * counts).sum(), counts.sum())


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.length = len(x)
        return gather_ranks(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        # all_reduce instead of reduce_scatter: every backend has it.
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad.narrow(0, rank() * ctx.length, ctx.length)
