"""Generated rooms of 120x160, made in seconds; a tenth of the scenes validates."""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import AugmentFrame, LoadFrame, ResizeImage

data_root = "data/rooms"
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    prefetch_factor=4,
    drop_last=True,
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=NYUv2Dataset,
        data_root=data_root,
        split="train",
        val_fraction=0.1,
        pipeline=[
            dict(type=LoadFrame, cache=True),
            dict(
                type=AugmentFrame,
                base_size=(120, 160),
                crop_size=(96, 128),
                scale=(0.8, 1.4),
            ),
            dict(
                type=PackSegInputs,
                meta_keys=("img_path", "ori_shape", "img_shape", "sample_idx"),
            ),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=NYUv2Dataset,
        data_root=data_root,
        split="val",
        val_fraction=0.1,
        test_mode=True,
        pipeline=[
            dict(type=LoadFrame),
            dict(type=ResizeImage, size=(120, 160)),
            dict(type=PackSegInputs),
        ],
    ),
)
val_cfg = {}
test_dataloader = dict(
    batch_size=8,
    num_workers=1,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=NYUv2Dataset,
        data_root=data_root,
        split="test",
        test_mode=True,
        pipeline=[
            dict(type=LoadFrame),
            dict(type=ResizeImage, size=(120, 160)),
            dict(type=PackSegInputs),
        ],
    ),
)
test_cfg = {}
