"""A data set that a config describes, for a GPU: shorter side 480, 416x544 crops.

Pictures of any sizes and aspects. Evaluation feeds a shorter side of 480, a picture
at a time, and measures against the untouched ground truth.
"""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import AugmentFrame, LoadFolderFrame, ResizeImage

train_dataloader = dict(
    batch_size=16,
    num_workers=8,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=DenseFolderDataset,
        pipeline=[
            dict(type=LoadFolderFrame),
            dict(
                type=AugmentFrame,
                base_size=480,
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
    batch_size=1,
    num_workers=4,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=DenseFolderDataset,
        test_mode=True,
        pipeline=[
            dict(type=LoadFolderFrame),
            dict(type=ResizeImage, shorter=480),
            dict(type=PackSegInputs),
        ],
    ),
)
test_cfg = {}
