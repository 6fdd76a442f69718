"""The CMIM wrapper that piles the contrastive loss on any task model."""

import cmim.models.band_preprocessor
import cmim.safe_loading  # noqa: F401
from cmim.models.cmim import CMIM
from cmim.models.twin import full_precision_twin

__all__ = ["CMIM", "full_precision_twin"]
