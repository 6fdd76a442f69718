"""torchvision's ResNet-34 as a teacher.

Its weights: torch.save(torchvision.models.resnet34(weights="IMAGENET1K_V1")
.state_dict(), "resnet34.pth") on a machine with a network.
"""

from mmengine.config import read_base

with read_base():
    from .classification_model_imagenet import task_model as teacher_model

teacher = "resnet34.pth"
teacher_model.backbone.update(depth=34, method="fp", shortcuts="per_block")
