"""NYU Depth v2 for two CPU cores: 96x128 crops at a base resolution of 120x160.

Training reads the frames at half size and keeps them in memory (0.4 GB). Evaluation
feeds 120x160 and measures against the untouched 480x640 ground truth.
"""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import AugmentFrame, LoadFrame, ResizeImage

data_root = "data/nyuv2"
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
        pipeline=[
            dict(type=LoadFrame, reduce=2, cache=True),
            dict(
                type=AugmentFrame,
                base_size=(120, 160),
                crop_size=(96, 128),
                scale=(0.8, 1.6),
            ),
            dict(
                type=PackSegInputs,
                meta_keys=("img_path", "ori_shape", "img_shape", "sample_idx"),
            ),
        ],
    ),
)
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
