"""Where encoders of other libraries come from: a module a library, ``SOURCE``."""

from cmim.encoders.sources.source import Body, available_sources, build_body

__all__ = ["Body", "available_sources", "build_body"]
