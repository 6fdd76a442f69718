"""The former name of :mod:`cmim.added_losses`, which saved configs still use.

Its modules are found by their former names too: configs say where a loss lies.
"""

import importlib
import sys

from cmim.added_losses import *  # noqa: F403
from cmim.added_losses import AddedLoss as Regularizer  # noqa: F401
from cmim.added_losses import AddedLosses as Regularizers  # noqa: F401

for _name in (
    "activation_spread",
    "class_logits",
    "distributional",
    "feature_distillation",
    "lipschitz",
    "lipschitz_distillation",
    "logit_distillation",
):
    sys.modules[f"{__name__}.{_name}"] = importlib.import_module(
        f"cmim.added_losses.{_name}"
    )
# In it the base had its former name.
sys.modules[f"{__name__}.regularizer"] = sys.modules[__name__]
