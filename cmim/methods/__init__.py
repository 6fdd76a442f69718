"""One binarization paper per file, chosen by name."""

from cmim.methods.auxiliary_loss import WithAuxiliaryLoss, take_auxiliary_losses
from cmim.methods.binarizer import (
    ActivationBinarizer,
    CentredActivation,
    ScaledSignWeight,
    Step,
    TwoLevelActivation,
    WeightBinarizer,
    outermost,
)
from cmim.methods.method import (
    Method,
    available_additions,
    available_methods,
    get_method,
)
from cmim.methods.output_scale import OutputScale
from cmim.methods.schedule import Scheduled

__all__ = [
    "ActivationBinarizer",
    "CentredActivation",
    "Method",
    "OutputScale",
    "ScaledSignWeight",
    "Scheduled",
    "Step",
    "TwoLevelActivation",
    "WeightBinarizer",
    "WithAuxiliaryLoss",
    "available_additions",
    "available_methods",
    "get_method",
    "outermost",
    "take_auxiliary_losses",
]
