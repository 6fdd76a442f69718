"""Scene classification with a narrow ResNet-18 (48 to 384 channels)."""

from mmengine.model import ImgDataPreprocessor

from cmim.encoders import BinaryResNet
from tasks.classification import ClassificationMetric, ImageClassifier, LinearHead

task_model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ImgDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type=BinaryResNet,
        depth=18,
        method="bireal",
        base_channels=48,
        output_stride=8,
        dilated=False,
    ),
    head=dict(type=LinearHead, in_channels=384, num_classes=27, dropout_ratio=0.1),
)
test_evaluator = [dict(type=ClassificationMetric)]
