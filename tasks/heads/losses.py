"""All losses of a head on one prediction."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def head_losses(
    losses: nn.Module, prediction: Tensor, target: Tensor, **options: Any
) -> dict[str, Tensor]:
    """Values by ``loss_name``; losses of one name are added, as in mmseg.

    Args:
        losses: A loss, or an ``nn.ModuleList`` of some: a head's ``loss_decode``.
        prediction: What the head gives, at the target's resolution.
        target: Ground truth.
        **options: Passed on to each loss.

    Shape:
        prediction ``(N, C, H, W)``, target as the losses take it; values are scalars.

    Examples:
        >>> import torch
        >>> loss = nn.L1Loss()
        >>> loss.loss_name = "loss_l1"
        >>> values = torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2)
        >>> head_losses(nn.ModuleList([loss, loss]), *values)
        {'loss_l1': tensor(2.)}
    """
    found: dict[str, Tensor] = {}
    for loss in losses if isinstance(losses, nn.ModuleList) else [losses]:
        value = loss(prediction, target, **options)
        name = str(loss.loss_name)
        found[name] = found[name] + value if name in found else value
    return found
