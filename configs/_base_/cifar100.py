"""CIFAR-100 in its official files: 50,000 for training, 10,000 for testing, 32x32."""

from mmengine.config import read_base

from tasks.datasets.cifar import CIFAR100

with read_base():
    from .cifar10_official import *

data_root = "data/cifar-100-python"
train_dataloader.dataset.update(type=CIFAR100, data_root=data_root)
train_dataloader.dataset.pop("metainfo")
test_dataloader.dataset.update(type=CIFAR100, data_root=data_root)
test_dataloader.dataset.pop("metainfo")
