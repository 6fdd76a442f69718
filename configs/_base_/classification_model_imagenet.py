"""Classification of 1,000 classes with ResNet-18."""

from mmengine.model import ImgDataPreprocessor

from cmim.encoders import BinaryResNet
from cmim.models import CMIM
from tasks.classification import ClassificationMetric, ImageClassifier, LinearHead

task_model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ImgDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type=BinaryResNet, depth=18, method="bireal"),
    head=dict(type=LinearHead, in_channels=512, num_classes=1000),
)
test_evaluator = [dict(type=ClassificationMetric)]
model = dict(type=CMIM, partner="none")
