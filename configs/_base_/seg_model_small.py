"""Segmentation with a narrow ResNet-18 (48 to 384 channels) for small crops."""

from mmengine.config import read_base

with read_base():
    from .seg_model import *

task_model.backbone.update(base_channels=48, dilated=False)
task_model.decode_head.update(in_channels=384, channels=96, dilations=(1, 2, 4))
