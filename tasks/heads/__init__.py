"""Decoder parts that several tasks share."""

import cmim.safe_loading  # noqa: F401
from tasks.heads.aspp import ASPP
from tasks.heads.binarized import BinarizedHead
from tasks.heads.fusion import fusion

__all__ = ["ASPP", "BinarizedHead", "fusion"]
