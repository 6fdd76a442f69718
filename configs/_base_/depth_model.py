"""Depth in metres with DeepLab's ASPP on ResNet-18, output stride 8."""

from mmseg.models import DepthEstimator, SegDataPreProcessor

from cmim.encoders import BinaryResNet
from cmim.models import CMIM
from tasks.depth import DepthHead, DepthMetric, DepthSILogLoss

task_model = dict(
    type=DepthEstimator,
    data_preprocessor=dict(
        type=SegDataPreProcessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        size_divisor=1,
    ),
    backbone=dict(type=BinaryResNet, depth=18, method="bireal", output_stride=8),
    decode_head=dict(
        type=DepthHead,
        in_channels=512,
        channels=256,
        loss_decode=dict(type=DepthSILogLoss),
    ),
    test_cfg=dict(mode="whole"),
)
test_evaluator = [dict(type=DepthMetric)]
model = dict(type=CMIM, partner="latent")
