"""ImageNet as ReActNet trains on it: its schedule, its teacher, lighting.

The loss is the cross-entropy with torchvision's ResNet-34.
"""

from mmengine.config import read_base

from cmim.added_losses import DistributionalLoss
from tasks.transforms import Lighting

with read_base():
    from .imagenet_classification import *
    from .schedule_imagenet_reactnet import *
    from .teacher_resnet34 import *

train_dataloader.dataset.pipeline.insert(2, dict(type=Lighting, unit=1.0))
model.update(
    teacher=teacher,
    teacher_model=teacher_model,
    # As published: the teacher's answers alone, no labels.
    added_losses=[dict(type=DistributionalLoss)],
    task_loss_weight=0,
)
