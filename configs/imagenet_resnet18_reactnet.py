"""ImageNet: ReActNet, ResNet-18, step 2 of 2.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. The second step:
model.model.backbone.init_from=work_dirs/imagenet_resnet18_reactnet_step1/last.pth is
the first. Batch 512, 128 epochs: Adam at 2.5e-3 to 0, no weight decay, lighting; the
loss is the cross-entropy with torchvision's ResNet-34, whose weights resnet34.pth holds
(teacher in _base_/teacher_resnet34.py; github.com/liuzechun/ReActNet, commit a6cd08d,
resnet/2_step2; published: 65.9 %). With CMIM: model.partner=teacher, of the same
teacher. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.imagenet_reactnet import *

task_model.backbone.update(method="reactnet")
model.update(model=task_model)
