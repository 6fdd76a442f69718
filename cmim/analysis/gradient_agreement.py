r"""Whether an added loss pulls with the task or against it, from their gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

# Entries of a model's losses that CMIM adds to those of the task.
ADDED = "cmim.loss_"


class Agreement(NamedTuple):
    """How the gradients of two losses for the same weights compare.

    Attributes:
        cosine: 1 where an added loss pulls the same way as the task, 0 where it asks
            for something else, -1 where it pulls against it; NaN where one is 0.
        ratio: Length of the added loss's gradient over that of the task's.
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


def gradient_agreement(
    task: Tensor, added: Tensor, groups: Mapping[str, Sequence[nn.Parameter]]
) -> dict[str, Agreement]:
    r"""Cosine and ratio of two losses' gradients for groups of weights.

    .. math::
        \cos = \frac{\langle \nabla L_{task}, \nabla L_{added} \rangle}
        {\|\nabla L_{task}\| \|\nabla L_{added}\|}

    With binary weights these are surrogate gradients, the ones that training follows.
    Weights that a loss does not reach count as gradient 0.

    Args:
        task: Scalar.
        added: Scalar of the same graph.
        groups: Name to parameters.

    References:
        Du et al., Adapting Auxiliary Losses Using Gradient Similarity, 2018.
        https://arxiv.org/abs/1812.02224

    Examples:
        >>> w = nn.Parameter(torch.tensor([1.0, 0.0]))
        >>> gradient_agreement(w.sum(), 3 * w[0], {"w": [w]})
        {'w': Agreement(cosine=0.70..., ratio=2.12...)}
    """
    parameters = [p for group in groups.values() for p in group]
    ours = _gradients(task, parameters, keep=True)
    theirs = _gradients(added, parameters, keep=False)
    found, begin = {}, 0
    for name, group in groups.items():
        end = begin + len(group)
        found[name] = _compare(ours[begin:end], theirs[begin:end])
        begin = end
    return found


def _gradients(
    loss: Tensor, parameters: Sequence[nn.Parameter], keep: bool
) -> list[Tensor]:
    gradients = torch.autograd.grad(
        loss, parameters, retain_graph=keep, allow_unused=True
    )
    return [
        torch.zeros_like(parameter) if gradient is None else gradient
        for parameter, gradient in zip(parameters, gradients, strict=True)
    ]


def _compare(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Agreement:
    task = torch.cat([g.flatten().double() for g in ours])
    added = torch.cat([g.flatten().double() for g in theirs])
    length, other = task.norm(), added.norm()
    return Agreement((task @ added / (length * other)).item(), (other / length).item())
