"""CIFAR-100 in its official files: 50,000 for training, 10,000 for testing, 32x32."""

from mmengine.dataset import DefaultSampler, default_collate

from tasks.datasets.cifar import CIFAR100
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import LoadImage, PackImage, RandomCropFlip, ResizeCenterCrop

data_root = "data/cifar-100-python"
train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    prefetch_factor=4,
    drop_last=True,
    collate_fn=dict(type=default_collate),
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=CIFAR100,
        data_root=data_root,
        split="train",
        pipeline=[
            dict(type=LoadImage),
            dict(type=RandomCropFlip, crop_size=(32, 32), padding=4),
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
        type=CIFAR100,
        data_root=data_root,
        split="test",
        test_mode=True,
        pipeline=[
            dict(type=LoadImage),
            dict(type=ResizeCenterCrop, size=(32, 32), shorter=32),
            dict(type=PackImage),
        ],
    ),
)
test_cfg = {}
