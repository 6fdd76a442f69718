"""ImageNet in its folder form: train/<class>/ and val/<class>/, crops of 224x224.

Folders named by synset (n01440764, ...): sorted, they have the usual numbers 0 to 999.
"""

from mmengine.dataset import DefaultSampler, default_collate

from tasks.datasets.image_folder import ImageFolderDataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import (
    LoadImage,
    PackImage,
    RandomResizedCropFlip,
    ResizeCenterCrop,
)

data_root = "data/imagenet"
train_dataloader = dict(
    batch_size=128,
    num_workers=8,
    persistent_workers=True,
    drop_last=True,
    collate_fn=dict(type=default_collate),
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=ImageFolderDataset,
        data_root=data_root,
        split="train",
        pipeline=[
            dict(type=LoadImage),
            dict(type=RandomResizedCropFlip, crop_size=(224, 224)),
            dict(type=PackImage),
        ],
    ),
)
test_dataloader = dict(
    batch_size=100,
    num_workers=8,
    collate_fn=dict(type=default_collate),
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=ImageFolderDataset,
        data_root=data_root,
        split="val",
        test_mode=True,
        pipeline=[
            dict(type=LoadImage),
            dict(type=ResizeCenterCrop, size=(224, 224), shorter=256),
            dict(type=PackImage),
        ],
    ),
)
test_cfg = {}
