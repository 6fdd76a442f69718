"""ImageNet: ReActNet, ResNet-18, step 1 of 2.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. Binary activations, real weights; imagenet_resnet18_reactnet.py is the
second step. Batch 512, 128 epochs: Adam at 2.5e-3 to 0, weight decay 1e-5 on
convolutions, lighting; the loss is the cross-entropy with torchvision's ResNet-34,
whose weights resnet34.pth holds (teacher in _base_/teacher_resnet34.py;
github.com/liuzechun/ReActNet, commit a6cd08d, resnet/1_step1; published: 65.9 % after
both). With CMIM: model.partner=teacher, of the same teacher. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.imagenet_reactnet import *

task_model.backbone.update(method=dict(name="reactnet", step=1))
optim_wrapper.optimizer.update(weight_decay=1e-5)
model.update(model=task_model)
