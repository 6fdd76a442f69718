"""A data set that a config describes, for CPUs: shorter side 120, 96x128 crops.

Pictures of any sizes and aspects. Evaluation feeds a shorter side of 120, a picture
at a time, and measures against the untouched ground truth.
"""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from tasks.datasets.dense_folder import DenseFolderDataset
from tasks.datasets.sampler import ReplayableSampler
from tasks.transforms import AugmentFrame, LoadFolderFrame, ResizeImage

train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    prefetch_factor=4,
    drop_last=True,
    sampler=dict(type=ReplayableSampler),
    dataset=dict(
        type=DenseFolderDataset,
        pipeline=[
            dict(type=LoadFolderFrame, shrink_to=240),
            dict(
                type=AugmentFrame, base_size=120, crop_size=(96, 128), scale=(0.8, 1.6)
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
    num_workers=1,
    sampler=dict(type=DefaultSampler, shuffle=False),
    dataset=dict(
        type=DenseFolderDataset,
        test_mode=True,
        pipeline=[
            dict(type=LoadFolderFrame),
            dict(type=ResizeImage, shorter=120),
            dict(type=PackSegInputs),
        ],
    ),
)
test_cfg = {}
