"""The contrastive losses: taps (where), pairs (who), scores, bounds, memory, losses."""

from cmim.contrast.losses import (
    available_losses,
    get_loss,
    loss_defaults,
    used_options,
)
from cmim.contrast.options import BatchLabels, ContrastOptions
from cmim.contrast.taps import ActivationTaps, binarizer_names

__all__ = [
    "ActivationTaps",
    "BatchLabels",
    "ContrastOptions",
    "available_losses",
    "binarizer_names",
    "get_loss",
    "loss_defaults",
    "used_options",
]
