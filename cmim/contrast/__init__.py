"""The CMIM loss: taps (where), pairs (who), projection, memory, loss."""

from cmim.contrast.loss import PixelContrastLoss
from cmim.contrast.taps import ActivationTaps, binarizer_names

__all__ = ["ActivationTaps", "PixelContrastLoss", "binarizer_names"]
