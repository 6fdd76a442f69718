"""Segmentation with DeepLab on ResNet-18, output stride 8, at full resolution."""

from mmseg.models import SegDataPreProcessor

from cmim.encoders import BinaryResNet
from cmim.models import CMIM
from tasks.segmentation import DeepLabHead, SegmentationMetric, SegmentationModel

task_model = dict(
    type=SegmentationModel,
    data_preprocessor=dict(
        type=SegDataPreProcessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        size_divisor=1,
    ),
    backbone=dict(type=BinaryResNet, depth=18, method="bireal", output_stride=8),
    decode_head=dict(type=DeepLabHead, in_channels=512, channels=256, num_classes=40),
    test_cfg=dict(mode="whole"),
)
test_evaluator = [dict(type=SegmentationMetric)]
model = dict(type=CMIM, partner="latent")
