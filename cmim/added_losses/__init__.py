"""Losses of other papers that pile up on any binary task model, one per file.

A module with ``ADDED_LOSS``, an :class:`AddedLoss`, is one, and its name is the loss's.
"""

from cmim.added_losses.activation_spread import ActivationSpreadLoss
from cmim.added_losses.added_loss import (
    AddedLoss,
    AddedLosses,
    available_added_losses,
)
from cmim.added_losses.attention_matching import AttentionMatchingLoss
from cmim.added_losses.distributional import DistributionalLoss
from cmim.added_losses.feature_distillation import FeatureDistillationLoss
from cmim.added_losses.lipschitz import LipschitzLoss
from cmim.added_losses.lipschitz_distillation import LipschitzDistillationLoss
from cmim.added_losses.logit_distillation import LogitDistillationLoss

__all__ = [
    "ActivationSpreadLoss",
    "AddedLoss",
    "AddedLosses",
    "AttentionMatchingLoss",
    "DistributionalLoss",
    "FeatureDistillationLoss",
    "LipschitzDistillationLoss",
    "LipschitzLoss",
    "LogitDistillationLoss",
    "available_added_losses",
]
