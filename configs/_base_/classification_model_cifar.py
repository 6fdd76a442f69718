"""Classification of 32x32 pictures with ResNet-20 (16 to 64 channels)."""

from mmengine.model import ImgDataPreprocessor

from cmim.encoders import BinaryResNet
from tasks.classification import ClassificationMetric, ImageClassifier, LinearHead

task_model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ImgDataPreprocessor,
        mean=[125.307, 122.950, 113.865],
        std=[62.993, 62.089, 66.705],
    ),
    backbone=dict(type=BinaryResNet, depth=20, stem="cifar", method="bireal"),
    head=dict(type=LinearHead, in_channels=64, num_classes=10),
)
test_evaluator = [dict(type=ClassificationMetric)]
