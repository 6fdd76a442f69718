r"""Who else computes a step: the processes of a distributed run, and means over them.

Distributed training averages gradients over R processes. A mean over pixels that some
samples lack (void ones, say) must therefore not be each process's own:

.. math:: \frac{1}{R} \sum_r \frac{s_r}{n / R} = \frac{\sum_r s_r}{n}, \qquad
          n = \sum_r n_r

so a process divides its sum by the count of all of them, over R.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes; 1 without distributed training."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Index of this process."""
    return dist.get_rank() if world_size() > 1 else 0


def shared_count(count: Tensor, dtype: torch.dtype) -> Tensor:
    """What a sum is divided by, so that the average over processes is the joined mean.

    All processes must ask, in the same order, also those that count nothing.

    Args:
        count: What counts here, ``()``; not negative.
        dtype: Of what is divided; the count is a float32 at least, since float16 ends
            at 65,504 pixels.

    Returns:
        The count of all processes over their number, ``()`` without a gradient; 1 where
        nothing counts anywhere.

    Examples:
        >>> shared_count(torch.tensor(3), torch.float32)
        tensor(3.)
        >>> shared_count(torch.tensor(0), torch.float32)
        tensor(1.)
    """
    total = count.detach().clone()
    if world_size() > 1:
        dist.all_reduce(total)
    # Of a fraction of a count per process the mean is still exact: only 0 is mended.
    total = total.to(torch.promote_types(dtype, torch.float32)) / world_size()
    return torch.where(total > 0, total, torch.ones_like(total))


def joined_mean(total: Tensor, count: Tensor) -> Tensor:
    """Mean over what counts in all processes.

    The result is scaled so that its average over processes is that mean. 0 with zero
    gradients where nothing counts anywhere.

    Args:
        total: Sum of what counts here, ``()``.
        count: How much that is, ``()``.

    Examples:
        >>> joined_mean(torch.tensor(6.0), torch.tensor(4))
        tensor(1.5000)
    """
    return total / shared_count(count, total.dtype)


def largest_anywhere(value: Tensor) -> Tensor:
    """The largest value of all processes, without a gradient.

    Args:
        value: ``(*)``, of equal shape everywhere.
    """
    value = value.detach().clone()
    if world_size() > 1:
        dist.all_reduce(value, dist.ReduceOp.MAX)
    return value
