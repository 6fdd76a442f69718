"""CIFAR-10 in its official files, with IR-Net's 400 epochs."""

from mmengine.config import read_base

with read_base():
    from .cifar10_official import *
    from .classification_model_cifar import *
    from .runtime import *
    from .schedule_cifar_full import *
