"""Fashion-MNIST: 60,000 for training, 10,000 for testing, grey, 28x28."""

from mmengine.config import read_base

from tasks.datasets.idx_images import FASHION_CLASSES as _CLASSES
from tasks.datasets.idx_images import FashionMNIST

with read_base():
    from .cifar10_official import *

data_root = "data/fashion_mnist"
_data = dict(type=FashionMNIST, data_root=data_root, metainfo=dict(classes=_CLASSES))
train_dataloader.update(num_workers=1)
train_dataloader.dataset.update(_data)
train_dataloader.dataset.pipeline[1].update(crop_size=(28, 28), padding=2)
test_dataloader.dataset.update(_data)
test_dataloader.dataset.pipeline[1].update(size=(28, 28), shorter=28)
del _data
