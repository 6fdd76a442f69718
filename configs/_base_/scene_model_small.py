"""Scene classification with a narrow ResNet-18 (48 to 384 channels)."""

from mmengine.config import read_base

with read_base():
    from .classification_model_imagenet import *

task_model.backbone.update(base_channels=48, output_stride=8, dilated=False)
task_model.head.update(in_channels=384, num_classes=27, dropout_ratio=0.1)
