"""ImageNet: RBNN, ResNet-18.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. Batch 512, 150 epochs: SGD at 0.1 with a cosine, weight decay 1e-4, t
from 1e-2 to 10, a rotation an epoch (github.com/lmbxmu/RBNN, commit 0b5e73b,
imagenet/run.sh; published: 59.9 %). Its crops go up to 1.25 of the picture's area, here
up to the whole. ResNet-34 (published: 63.1 %): model.model.backbone.depth=34. With
CMIM: model.partner=teacher, after imagenet_resnet18_fp.py; ResNet-34 also
model.teacher=work_dirs/imagenet_resnet34_fp/last.pth. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet_rbnn import *

task_model.backbone.update(
    method=dict(name="rbnn", rotations=150, rotation_gradient=False)
)
model.update(model=task_model, teacher="work_dirs/imagenet_resnet18_fp/last.pth")
