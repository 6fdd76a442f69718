"""Data sets, the generator of rooms, and the preparation of NYUv2."""

from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler

__all__ = ["NYUv2Dataset", "ReplayableSampler"]
