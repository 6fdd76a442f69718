"""ImageNet with ResNet-18, without a schedule: papers differ there."""

from mmengine.config import read_base

with read_base():
    from .classification_model_imagenet import *
    from .imagenet import *
    from .runtime import *
