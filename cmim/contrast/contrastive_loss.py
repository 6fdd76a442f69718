"""The losses as classes, for someone who has two tensors and no config."""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

from torch import Tensor, nn

from cmim.contrast.layer_loss import LayerLoss
from cmim.contrast.losses import get_loss, loss_defaults
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.functional.layout import channels_of

_SHAPES = """
Args:
    channels: Channels of the binary activations; those of the first call when None, in
        which the parameters are then made.
    partner_channels: Channels of their partners; as many when None.
    **options: Options of this loss, and those of
        :class:`cmim.contrast.ContrastOptions`.

Shape:
    ``binary`` and ``partner``: maps ``(N, C, H, W)``, tokens ``(N, L, C)`` or vectors
    ``(N, C)``. Gives a scalar.

Raises:
    ValueError: An unknown option, or a value out of range.
"""


class ContrastiveLoss(nn.Module):
    """A loss between binary activations and their full-precision partners.

    Its subclasses are the losses of configs under their own names. An optimizer needs
    the parameters, so give it the loss after a first call, or give the loss its
    ``channels``.

    Args:
        channels: Channels of the binary activations; those of the first call when None.
        partner_channels: Channels of their partners; as many when None.
        **options: Options of the loss, and those of
            :class:`cmim.contrast.ContrastOptions`.

    Raises:
        ValueError: An unknown option, or a value out of range.

    Examples:
        >>> import torch
        >>> from cmim.contrast import InfoNCE
        >>> binary, full_precision = torch.eye(4).sign(), torch.eye(4)
        >>> InfoNCE()(binary, full_precision).dim()
        0
        >>> InfoNCE(heat=1)
        Traceback (most recent call last):
        ValueError: loss 'info_nce' has no option 'heat'; it accepts no options
    """

    def __init_subclass__(cls) -> None:
        """A loss's formula and source are its module's; shapes are those of all."""
        super().__init_subclass__()
        formula = sys.modules[cls.__module__].__doc__ or ""
        cls.__doc__ = f"{cls.__doc__ or cls.__name__}\n\n{formula}{_SHAPES}"

    def __init__(
        self,
        channels: int | None = None,
        partner_channels: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        name = type(self).__module__.rsplit(".", 1)[-1]
        shared = {field.name for field in fields(ContrastOptions)} & set(options)
        chosen = {**loss_defaults(name), **{key: options.pop(key) for key in shared}}
        # A config reads labels by it; here they are given or not.
        chosen.pop("negatives", None)
        self.options = ContrastOptions(**chosen)
        self._build = get_loss(dict(name=name, **options))
        self.loss: LayerLoss | None = None
        if channels is not None:
            self.loss = self._build(
                channels, partner_channels or channels, self.options
            )

    def forward(
        self, binary: Tensor, partner: Tensor, labels: BatchLabels | None = None
    ) -> Tensor:
        """The loss, a scalar.

        Args:
            binary: ``a_B``: ``(N, C, H, W)``, ``(N, L, C)`` or ``(N, C)``.
            partner: ``a_F``, of as many places; its channels may differ.
            labels: What is known of the images; some losses need it.
        """
        if self.loss is None:
            channels = channels_of(binary), channels_of(partner)
            self.loss = self._build(*channels, self.options).to(binary.device)
        return self.loss(binary, partner, labels)
