r"""Whether an added loss pulls with the task or against it, from their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Entries of a model's losses that CMIM adds to those of the task.
ADDED = "cmim.loss_"


class Agreement(NamedTuple):
    """How two gradients for the same weights compare.

    Attributes:
        cosine: 1 where the second pulls the same way as the first, 0 where it asks for
            something else, -1 where it pulls against it; NaN where one is 0.
        ratio: Length of the second over that of the first.
    """

    cosine: float
    ratio: float


def split_losses(
    losses: Mapping[str, Tensor | Sequence[Tensor]],
) -> tuple[Tensor, Tensor]:
    """Sums of the task's losses and of the added ones.

    Args:
        losses: What a model in mode ``'loss'`` gives. Entries that begin with
            ``cmim.loss_`` are added; others count as the task's where their name holds
            ``loss``, as in mmengine.

    Raises:
        ValueError: One of the two kinds is missing.

    Examples:
        >>> one = torch.tensor(1.0)
        >>> split_losses({"decode.loss_ce": one, "decode.acc": one, "cmim.loss_a": one})
        (tensor(1.), tensor(1.))
    """
    sums: dict[bool, list[Tensor]] = {False: [], True: []}
    for name, value in losses.items():
        if "loss" in name:
            parts = [value] if isinstance(value, Tensor) else list(value)
            sums[name.startswith(ADDED)] += [part.mean() for part in parts]
    if not all(sums.values()):
        raise ValueError(
            f"gradients are compared between a task loss and added losses ({ADDED}*), "
            f"and the model gives only {', '.join(losses) or 'none'}; choose a config "
            "with CMIM and a partner, such as model.partner=latent"
        )
    return sum(sums[False][1:], sums[False][0]), sum(sums[True][1:], sums[True][0])


def loss_gradients(
    loss: Tensor, groups: Mapping[str, Sequence[nn.Parameter]]
) -> dict[str, Tensor]:
    """The gradient of a loss for groups of weights, one vector each.

    With binary weights it is the surrogate gradient, the one that training follows.
    Weights that the loss does not reach have gradient 0. The graph is kept for other
    losses.

    Args:
        loss: Scalar.
        groups: Name to parameters.

    Examples:
        >>> w = nn.Parameter(torch.tensor([1.0, 0.0]))
        >>> loss_gradients(3 * w[0], {"w": [w]})
        {'w': tensor([3., 0.])}
    """
    parameters = [p for group in groups.values() for p in group]
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=True, allow_unused=True
    )
    parts = iter(
        (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
        for parameter, gradient in zip(parameters, gradients, strict=True)
    )
    return {
        name: torch.cat(list(islice(parts, len(group))))
        for name, group in groups.items()
    }


def agreement(first: Tensor, second: Tensor) -> Agreement:
    r"""Cosine and ratio of two gradients.

    .. math::
        \cos = \frac{\langle g_1, g_2 \rangle}{\|g_1\| \|g_2\|}

    Gradients of small batches are noisy, so that even two of the same loss have a small
    cosine: measure that one too, as the yardstick.

    Args:
        first: Of the task, ``(P,)``.
        second: Of the added loss, ``(P,)``.

    References:
        Du et al., Adapting Auxiliary Losses Using Gradient Similarity, 2018.
        https://arxiv.org/abs/1812.02224

    Examples:
        >>> agreement(torch.tensor([1.0, 0.0]), torch.tensor([-3.0, 4.0]))
        Agreement(cosine=-0.6, ratio=5.0)
    """
    first, second = first.double(), second.double()
    lengths = first.norm(), second.norm()
    cosine = first @ second / (lengths[0] * lengths[1])
    return Agreement(cosine.item(), (lengths[1] / lengths[0]).item())
