"""Transforms: image, labels and depth as one; pictures with one label each."""

import cmim.safe_loading  # noqa: F401
from tasks.transforms.augment import AugmentFrame, ResizeImage
from tasks.transforms.lighting import Lighting
from tasks.transforms.load import LoadFrame
from tasks.transforms.load_folder import LoadFolderFrame
from tasks.transforms.pack import PackFrame
from tasks.transforms.picture import (
    LoadImage,
    PackImage,
    RandomCropFlip,
    RandomResizedCropFlip,
    ResizeCenterCrop,
)

__all__ = [
    "AugmentFrame",
    "Lighting",
    "LoadFolderFrame",
    "LoadFrame",
    "LoadImage",
    "PackFrame",
    "PackImage",
    "RandomCropFlip",
    "RandomResizedCropFlip",
    "ResizeCenterCrop",
    "ResizeImage",
]
