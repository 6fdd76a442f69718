"""A data set that a config describes, for CPUs: shorter side 120, 96x128 crops.

Pictures of any sizes and aspects. Evaluation feeds a shorter side of 120, a picture
at a time, and measures against the untouched ground truth.
"""

from mmengine.config import read_base

with read_base():
    from .folder import *

train_dataloader.pop("pin_memory")
train_dataloader.update(num_workers=1, prefetch_factor=4)
train_dataloader.dataset.pipeline[0].update(shrink_to=240)
train_dataloader.dataset.pipeline[1].update(
    base_size=120, crop_size=(96, 128), scale=(0.8, 1.6)
)
test_dataloader.update(num_workers=1)
test_dataloader.dataset.pipeline[1].update(shorter=120)
