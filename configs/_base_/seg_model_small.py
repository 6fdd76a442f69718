"""Segmentation with a narrow ResNet-18 (48 to 384 channels) for small crops."""

from mmseg.models import SegDataPreProcessor

from cmim.encoders import BinaryResNet
from tasks.segmentation import DeepLabHead, SegmentationMetric, SegmentationModel

task_model = dict(
    type=SegmentationModel,
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
    decode_head=dict(
        type=DeepLabHead,
        in_channels=384,
        channels=96,
        num_classes=40,
        dilations=(1, 2, 4),
    ),
    test_cfg=dict(mode="whole"),
)
test_evaluator = [dict(type=SegmentationMetric)]
