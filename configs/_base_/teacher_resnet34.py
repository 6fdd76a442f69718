"""torchvision's ResNet-34 as a teacher.

Its weights: torch.save(torchvision.models.resnet34(weights="IMAGENET1K_V1")
.state_dict(), "resnet34.pth") on a machine with a network.
"""

from mmengine.model import ImgDataPreprocessor

from cmim.encoders import BinaryResNet
from tasks.classification import ImageClassifier, LinearHead

teacher = "resnet34.pth"
teacher_model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(
        type=ImgDataPreprocessor,
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(type=BinaryResNet, depth=34, method="fp", shortcuts="per_block"),
    head=dict(type=LinearHead, in_channels=512, num_classes=1000),
)
