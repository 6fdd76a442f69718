"""Several tasks on one encoder: model, weights of the tasks, information bottleneck."""

import cmim.safe_loading  # noqa: F401
from tasks.multitask.bottleneck import InformationBottleneck
from tasks.multitask.model import MultiTaskModel
from tasks.multitask.weighting import (
    DynamicWeights,
    FixedWeights,
    UncertaintyWeights,
)

__all__ = [
    "DynamicWeights",
    "FixedWeights",
    "InformationBottleneck",
    "MultiTaskModel",
    "UncertaintyWeights",
]
