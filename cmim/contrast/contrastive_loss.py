"""The losses as classes, for someone who has two tensors and no config."""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields
from typing import Any

import torch
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
    ValueError: An unknown option, or a value out of range. In a call: labels that the
        loss needs are missing. In loading a state: there is nothing yet to load it
        into.
"""

# What losses need of the labels, in the words of someone without a config.
_NEEDED = {
    "indices": "(N,) int64, the place of each image in the training set",
    "classes": "(N,) int64, the class of each image",
    "exclude": "(N, H, W) int64, the label of each place, -1 for unknown, or (N, 1, 1) "
    "for one an image",
}


class ContrastiveLoss(nn.Module):
    """A loss between binary activations and their full-precision partners.

    Its subclasses are the losses of configs under their own names. An optimizer needs
    the parameters, so give it the loss after a first call, or give the loss its
    ``channels``; a first call in training that comes too late for an optimizer is
    warned of.

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
        # The entry and not what builds the loss, so that the module can be pickled.
        self._entry = dict(name=name, **options)
        self.loss: LayerLoss | None = None
        # Says what is unknown or out of range now, not in the first call.
        build = get_loss(self._entry)
        if channels is not None:
            self.loss = build(channels, partner_channels or channels, self.options)

    def forward(
        self, binary: Tensor, partner: Tensor, labels: BatchLabels | None = None
    ) -> Tensor:
        """The loss, a scalar.

        Args:
            binary: ``a_B``: ``(N, C, H, W)``, ``(N, L, C)`` or ``(N, C)``.
            partner: ``a_F``, of as many places; its channels may differ.
            labels: What is known of the images; some losses need it.

        Raises:
            ValueError: Labels that this loss needs are missing.
        """
        if self.loss is None:
            self.loss = self._made_for(binary, partner)
        self._require_labels(self.loss, labels or BatchLabels())
        return self.loss(binary, partner, labels)

    def _load_from_state_dict(self, state: dict, prefix: str, *others: Any) -> None:
        if self.loss is None and any(key.startswith(f"{prefix}loss.") for key in state):
            name = type(self).__name__
            raise ValueError(
                f"{name} makes its parameters in its first call, and there is none yet "
                f"that a state could be loaded into: give {name}(channels=...) the "
                "channels of the activations, or call it once before"
            )
        super()._load_from_state_dict(state, prefix, *others)

    def _require_labels(self, loss: LayerLoss, labels: BatchLabels) -> None:
        by_class = self.options.level == "image" and labels.classes is not None
        needed = dict(
            indices=loss.needs_indices,
            classes=loss.needs_classes,
            exclude=loss.needs_labels and not by_class,
        )
        lacking = [n for n in needed if needed[n] and getattr(labels, n) is None]
        if lacking:
            name, gaps = type(self).__name__, " and no ".join(lacking)
            given = ", ".join(f"{n}=..." for n in needed if needed[n])
            meaning = "; ".join(f"{n} is {_NEEDED[n]}" for n in lacking)
            raise ValueError(
                f"{name} is given no {gaps}: call it as "
                f"loss(binary, partner, BatchLabels({given})), where {meaning}"
            )

    def _made_for(self, binary: Tensor, partner: Tensor) -> LayerLoss:
        """The loss of a first call: where, how precise and in the mode that it is."""
        name, channels = type(self).__name__, channels_of(binary)
        if torch.is_grad_enabled() and binary.requires_grad:
            warnings.warn(
                f"{name} makes its parameters in this first call, and an optimizer "
                f"from before does not train them: give channels={channels}, or make "
                "the optimizer after the call",
                stacklevel=5,
            )
        build = get_loss(self._entry)
        with torch.inference_mode(False):
            made = build(channels, channels_of(partner), self.options)
        dtype = torch.promote_types(binary.dtype, torch.float32)
        return made.to(binary.device, dtype).train(self.training)
