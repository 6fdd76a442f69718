"""Depth with a narrow ResNet-18 (48 to 384 channels) for small crops."""

from mmseg.models import DepthEstimator, SegDataPreProcessor

from cmim.encoders import BinaryResNet
from tasks.depth import DepthBerHuLoss, DepthHead, DepthMetric

task_model = dict(
    type=DepthEstimator,
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
        type=DepthHead,
        in_channels=384,
        channels=96,
        dilations=(1, 2, 4),
        loss_decode=dict(type=DepthBerHuLoss),
    ),
    test_cfg=dict(mode="whole"),
)
test_evaluator = [dict(type=DepthMetric)]
