"""Transforms that treat image, labels and depth as one."""

from tasks.transforms.augment import AugmentFrame, ResizeImage
from tasks.transforms.load import LoadFrame

__all__ = ["AugmentFrame", "LoadFrame", "ResizeImage"]
