"""Surface normals with a narrow ResNet-18 (48 to 384 channels) for small crops."""

from mmseg.models import SegDataPreProcessor

from cmim.encoders import BinaryResNet
from tasks.multitask import MultiTaskModel
from tasks.normals import NormalHead, NormalMetric

task_model = dict(
    type=MultiTaskModel,
    data_preprocessor=dict(
        type=SegDataPreProcessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        size_divisor=1,
    ),
    backbone=dict(
        type=BinaryResNet,
        depth=18,
        method="bireal",
        base_channels=48,
        output_stride=8,
        dilated=False,
    ),
    heads=dict(
        normals=dict(
            type=NormalHead,
            in_channels=384,
            channels=96,
            dilations=(1, 2, 4),
        ),
    ),
)
test_evaluator = [dict(type=NormalMetric)]
