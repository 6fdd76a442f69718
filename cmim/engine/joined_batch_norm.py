"""Batch-norm over the joined batch of all processes where torch has none: on CPUs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cmim.contrast.gathering import gather_with_gradient
from cmim.ranks import world_size

_Norm = nn.modules.batchnorm._BatchNorm


class JoinedBatchNorm(_Norm):
    r"""torch's batch-norm whose batch is that of all R processes.

    .. math::
        \mu = \frac{1}{R} \sum_r \mu_r, \qquad
        \sigma^2 = \frac{1}{R} \sum_r \sigma_r^2 + (\mu_r - \mu)^2

    with the means and variances of the processes, whose batches are of one size. The
    running statistics are the same in all of them. In evaluation, and in a single
    process, it is torch's batch-norm.

    Shape:
        ``(N, C, *)`` to the same shape.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        # Statistics of half precision would lose what synchronising them is for.
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        axes = [0, *range(2, x.ndim)]
        variance, mean = torch.var_mean(x, dim=axes, correction=0)
        seen = gather_with_gradient(torch.stack([mean, variance])[None])
        means, variances = seen.unbind(dim=1)
        mean = means.mean(dim=0)
        variance = (variances + (means - mean).square()).mean(dim=0)
        self._track(mean, variance, world_size() * x.numel() // x.shape[1])
        shape = [1, -1, *[1] * (x.ndim - 2)]
        x = (x - mean.view(shape)) * (variance + self.eps).rsqrt().view(shape)
        if self.weight is not None:
            x = x * self.weight.view(shape) + self.bias.view(shape)
        return x.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        rate = self.momentum
        if rate is None:
            rate = 1 / float(self.num_batches_tracked or 1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), rate)
        unbiased = variance * (count / max(count - 1, 1))
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), rate)


def join_batch_norms(model: nn.Module) -> int:
    """Let all batch-norms of a model share their statistics over processes.

    The modules stay the same objects, with their parameters, hooks and references, and
    the class keeps its name, by which checkpoints tell layers apart. Those whose class
    computes something of its own are left alone.

    Args:
        model: Changed in place.

    Returns:
        How many there are.

    Examples:
        >>> model = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU())
        >>> join_batch_norms(model), type(model[0]).__name__
        (1, 'BatchNorm2d')
        >>> isinstance(model[0], nn.BatchNorm2d), join_batch_norms(model)
        (True, 0)
    """
    found = [
        module
        for module in model.modules()
        if isinstance(module, _Norm) and type(module).forward is _Norm.forward
    ]
    kinds = {type(module): _joined(type(module)) for module in found}
    for module in found:
        module.__class__ = kinds[type(module)]
    return len(found)


def _joined(kind: type[_Norm]) -> type[_Norm]:
    """A class of batch-norms whose statistics are shared, under its own name."""
    named = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return type(kind.__name__, (JoinedBatchNorm, kind), named)
