"""NYU Depth v2 at full resolution: 795 training and 654 test frames of 480x640."""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from tasks.datasets.nyud import NYUv2Dataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import AugmentFrame, LoadFrame, ResizeImage

data_root = "data/nyuv2"
train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=NYUv2Dataset,
        data_root=data_root,
        split="train",
        pipeline=[
            dict(type=LoadFrame),
            dict(
                type=AugmentFrame,
                base_size=(480, 640),
                crop_size=(416, 544),
                scale=(0.75, 2.0),
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
    num_workers=4,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=NYUv2Dataset,
        data_root=data_root,
        split="test",
        test_mode=True,
        pipeline=[
            dict(type=LoadFrame),
            dict(type=ResizeImage, size=(480, 640)),
            dict(type=PackSegInputs),
        ],
    ),
)
test_cfg = {}
