"""Decoder parts that several tasks share."""

from tasks.heads.aspp import ASPP

__all__ = ["ASPP"]
