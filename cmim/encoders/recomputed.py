"""Activations that are computed again in the backward pass, to the same bits."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from cmim.methods import take_auxiliary_losses

Buffers = list[tuple[nn.Module, str, Tensor]]


def recomputed(
    function: Callable[[Tensor], Tensor], part: nn.Module, x: Tensor
) -> Tensor:
    """The output of a function whose inner activations are not kept.

    The second pass sees random numbers and buffers as the first one did, and leaves
    buffers, such as batch-norm statistics, as they were before it: outputs, gradients
    and buffers are those of a plain pass.

    Args:
        function: Runs modules of the part.
        part: Module whose buffers and auxiliary losses the function may change.
        x: Its input.

    References:
        Chen et al., Training Deep Nets with Sublinear Memory Cost, 2016.
        https://arxiv.org/abs/1604.06174

    Examples:
        >>> import torch
        >>> norm, x = nn.BatchNorm1d(1), torch.tensor([[0.0], [4.0]])
        >>> recomputed(norm, norm, x.requires_grad_()).sum().backward()
        >>> norm.running_mean.tolist(), norm.num_batches_tracked.item()
        ([0.20000000298023224], 1)
    """
    again = SecondPass(part)
    return checkpoint(
        function, x, use_reentrant=False, context_fn=lambda: (nullcontext(), again)
    )


class SecondPass:
    """Within it a module has the buffers that it had when this was made.

    Args:
        part: The module.
    """

    def __init__(self, part: nn.Module) -> None:
        self._part = part
        self._first = [(m, n, value.clone()) for m, n, value in _buffers(part)]
        self._kept: Buffers = []

    def __enter__(self) -> None:
        self._kept = _buffers(self._part)
        # Other tensors, not other values: autograd minds the version of those it has
        # saved. Copies, since a loss may go back several times.
        _put([(m, name, value.clone()) for m, name, value in self._first])

    def __exit__(self, *error: object) -> None:
        _put(self._kept)
        # Those of the first pass were taken; these would be the next step's.
        take_auxiliary_losses(self._part)


def _buffers(part: nn.Module) -> Buffers:
    return [
        (module, name, value)
        for module in part.modules()
        for name, value in module._buffers.items()
        if value is not None
    ]


def _put(buffers: Buffers) -> None:
    for module, name, value in buffers:
        module._buffers[name] = value
