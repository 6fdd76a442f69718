"""CIFAR-100 with IR-Net's 400 epochs; the mean and deviation are its own."""

from mmengine.config import read_base

with read_base():
    from .cifar100 import *
    from .classification_model_cifar import *
    from .runtime import *
    from .schedule_cifar_full import *

task_model.head.update(num_classes=100)
task_model.data_preprocessor.update(
    mean=[129.285, 124.185, 112.455], std=[68.085, 65.28, 70.38]
)
