"""Generated rooms of 120x160, made in seconds; a tenth of the scenes validates."""

from mmengine.config import read_base

with read_base():
    from .nyud_small import *

data_root = "data/rooms"
test_dataloader.dataset.update(data_root=data_root)
val_dataloader = dict(
    test_dataloader,
    dataset=dict(test_dataloader.dataset, split="val", val_fraction=0.1),
)
val_cfg = {}
train_dataloader.dataset.update(data_root=data_root, val_fraction=0.1)
# The frames are small already.
train_dataloader.dataset.pipeline[0].pop("reduce")
train_dataloader.dataset.pipeline[1].update(scale=(0.8, 1.4))
