"""CIFAR-10 as pictures, for CPUs: 2,000 steps."""

from mmengine.config import read_base

with read_base():
    from .cifar10 import *
    from .classification_model_cifar import *
    from .runtime import *
    from .schedule_cifar import *
