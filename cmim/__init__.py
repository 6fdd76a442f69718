"""CMIM: binarized encoders trained with a contrastive mutual-information loss.

Reference: Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
https://arxiv.org/abs/2207.02970
"""

from importlib import import_module
from types import ModuleType

from cmim.guards import guard_process

__version__ = "0.2.0"

guard_process()

# Rooms that are reached without importing them first; importing cmim stays cheap.
_ROOMS = ("contrast", "convert", "encoders", "functional", "layers", "methods")


def __getattr__(name: str) -> ModuleType:
    if name in _ROOMS:
        return import_module(f"cmim.{name}")
    raise AttributeError(f"module 'cmim' has no attribute {name!r}")
