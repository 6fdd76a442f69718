"""CIFAR-10 as pictures: 50,000 for training, 10,000 for testing, 32x32.

Training keeps the decoded pictures in memory (0.2 GB).
"""

from mmengine.config import read_base

from tasks.datasets.image_folder import ImageFolderDataset

with read_base():
    from .cifar10_official import *

data_root = "data/cifar10"
train_dataloader.update(num_workers=1)
train_dataloader.dataset.update(type=ImageFolderDataset, data_root=data_root)
train_dataloader.dataset.pipeline[0].update(cache=True)
test_dataloader.dataset.update(type=ImageFolderDataset, data_root=data_root)
