"""CIFAR-10 in its official files, with RBNN's 1,000 epochs in batches of 256."""

from mmengine.config import read_base

with read_base():
    from .cifar10_official import *
    from .classification_model_cifar import *
    from .runtime import *
    from .schedule_cifar_rbnn import *

train_dataloader.update(batch_size=256)
