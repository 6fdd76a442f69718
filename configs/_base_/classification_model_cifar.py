"""Classification of 32x32 pictures with ResNet-20 (16 to 64 channels)."""

from mmengine.model import ImgDataPreprocessor

from cmim.encoders import BinaryResNet
from cmim.models import CMIM
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
# Of 128 pictures 4 pixels each are as many anchors a batch as 32 of 16 frames: 32 would
# take ten times as long as the network itself.
model = dict(type=CMIM, partner="none", pixels=4)
