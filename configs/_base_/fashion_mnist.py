"""Fashion-MNIST: 60,000 for training, 10,000 for testing, grey, 28x28."""

from mmengine.dataset import DefaultSampler, default_collate

from tasks.datasets.idx_images import FASHION_CLASSES as _CLASSES
from tasks.datasets.idx_images import FashionMNIST
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import LoadImage, PackImage, RandomCropFlip, ResizeCenterCrop

data_root = "data/fashion_mnist"
train_dataloader = dict(
    batch_size=128,
    num_workers=1,
    persistent_workers=True,
    prefetch_factor=4,
    drop_last=True,
    collate_fn=dict(type=default_collate),
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=FashionMNIST,
        data_root=data_root,
        split="train",
        metainfo=dict(classes=_CLASSES),
        pipeline=[
            dict(type=LoadImage),
            dict(type=RandomCropFlip, crop_size=(28, 28), padding=2),
            dict(type=PackImage),
        ],
    ),
)
test_dataloader = dict(
    batch_size=250,
    num_workers=1,
    collate_fn=dict(type=default_collate),
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=FashionMNIST,
        data_root=data_root,
        split="test",
        metainfo=dict(classes=_CLASSES),
        test_mode=True,
        pipeline=[
            dict(type=LoadImage),
            dict(type=ResizeCenterCrop, size=(28, 28), shorter=28),
            dict(type=PackImage),
        ],
    ),
)
test_cfg = {}
