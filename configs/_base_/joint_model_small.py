"""Segmentation, depth and normals on one narrow ResNet-18, for small crops."""

from mmseg.models import SegDataPreProcessor

from cmim.encoders import BinaryResNet
from tasks.depth import DepthBerHuLoss, DepthHead, DepthMetric
from tasks.multitask import FixedWeights, MultiTaskModel
from tasks.normals import NormalHead, NormalMetric
from tasks.segmentation import DeepLabHead, SegmentationMetric

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
        seg=dict(
            type=DeepLabHead,
            in_channels=384,
            channels=96,
            num_classes=40,
            dilations=(1, 2, 4),
        ),
        depth=dict(
            type=DepthHead,
            in_channels=384,
            channels=96,
            dilations=(1, 2, 4),
            loss_decode=dict(type=DepthBerHuLoss),
        ),
        normals=dict(
            type=NormalHead,
            in_channels=384,
            channels=96,
            dilations=(1, 2, 4),
        ),
    ),
    # The cosine distance is small (about 0.2) beside the other two (1 and 3).
    weighting=dict(type=FixedWeights, weights=dict(seg=1.0, depth=1.0, normals=5.0)),
)
test_evaluator = [
    dict(type=SegmentationMetric, prefix="seg"),
    dict(type=DepthMetric, prefix="depth"),
    dict(type=NormalMetric, prefix="normals"),
]
