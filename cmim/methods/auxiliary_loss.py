"""Binarizers with a loss of their own."""

from __future__ import annotations

import warnings

from torch import Tensor, nn


class WithAuxiliaryLoss(nn.Module):
    """A module that leaves a loss behind in each forward pass of training.

    It is a loss, not a gradient added on the way back: the training step scales it for
    mixed precision, divides it where gradients are accumulated, averages its gradients
    over processes, and logs it. :class:`cmim.models.CMIM` collects it.

    Attributes:
        auxiliary_loss: Scalar with its graph and weight, or None: not in training, or
            taken already.
    """

    auxiliary_loss: Tensor | None = None

    def leave_auxiliary_loss(self, loss: Tensor) -> None:
        """Leave the loss of this forward pass; warns if nobody took the last one."""
        if self.auxiliary_loss is not None:
            warnings.warn(
                f"the loss of {type(self).__name__} is not trained on: wrap the task "
                "model in CMIM (partner='none' is enough)",
                stacklevel=2,
            )
        self.auxiliary_loss = loss

    def take_auxiliary_loss(self) -> Tensor | None:
        """The loss of the last forward pass, once."""
        loss, self.auxiliary_loss = self.auxiliary_loss, None
        return loss

    def __getstate__(self) -> dict:
        # A tensor with a graph can be neither copied nor pickled.
        return {**self.__dict__, "auxiliary_loss": None}


def take_auxiliary_losses(model: nn.Module) -> dict[str, Tensor]:
    """The sum over all modules as an entry of a dictionary of losses, or no entry.

    Examples:
        >>> import torch
        >>> model = nn.ModuleList([WithAuxiliaryLoss(), WithAuxiliaryLoss()])
        >>> model[0].auxiliary_loss = torch.tensor(2.0)
        >>> take_auxiliary_losses(model), take_auxiliary_losses(model)
        ({'binarizers.loss': tensor(2.)}, {})
    """
    modules = (m for m in model.modules() if isinstance(m, WithAuxiliaryLoss))
    losses = [loss for m in modules if (loss := m.take_auxiliary_loss()) is not None]
    total: Tensor | None = None
    for loss in losses:
        total = loss if total is None else total + loss
    return {} if total is None else {"binarizers.loss": total}
