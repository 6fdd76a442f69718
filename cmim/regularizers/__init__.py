"""Losses of other papers that pile up on any binary task model, one per file."""

from cmim.regularizers.activation_spread import ActivationSpreadLoss
from cmim.regularizers.distributional import DistributionalLoss
from cmim.regularizers.feature_distillation import FeatureDistillationLoss
from cmim.regularizers.lipschitz import LipschitzLoss
from cmim.regularizers.lipschitz_distillation import LipschitzDistillationLoss
from cmim.regularizers.logit_distillation import LogitDistillationLoss
from cmim.regularizers.regularizer import Regularizer, Regularizers

__all__ = [
    "ActivationSpreadLoss",
    "DistributionalLoss",
    "FeatureDistillationLoss",
    "LipschitzDistillationLoss",
    "LipschitzLoss",
    "LogitDistillationLoss",
    "Regularizer",
    "Regularizers",
]
