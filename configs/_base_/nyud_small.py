"""NYU Depth v2 for two CPU cores: 96x128 crops at a base resolution of 120x160.

Training reads the frames at half size and keeps them in memory (0.4 GB). Evaluation
feeds 120x160 and measures against the untouched 480x640 ground truth.
"""

from mmengine.config import read_base

with read_base():
    from .nyud import *

train_dataloader.pop("pin_memory")
train_dataloader.update(num_workers=1, prefetch_factor=4)
train_dataloader.dataset.pipeline[0].update(reduce=2, cache=True)
train_dataloader.dataset.pipeline[1].update(
    base_size=(120, 160), crop_size=(96, 128), scale=(0.8, 1.6)
)
test_dataloader.update(num_workers=1)
test_dataloader.dataset.pipeline[1].update(size=(120, 160))
