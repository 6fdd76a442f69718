"""Decoder parts that several tasks share."""

import cmim.safe_loading  # noqa: F401
from tasks.heads.aspp import ASPP

__all__ = ["ASPP"]
