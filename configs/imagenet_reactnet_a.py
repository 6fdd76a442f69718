"""ImageNet: ReActNet-A, step 2 of 2.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 2 GPUs with 128
pictures each. The second step:
model.model.backbone.init_from=work_dirs/imagenet_reactnet_a_step1/last.pth is the
first. Batch 256, 128 epochs: Adam at 1.25e-3 to 0, no weight decay, lighting; the loss
is the cross-entropy with torchvision's ResNet-34, whose weights resnet34.pth holds
(teacher in _base_/teacher_resnet34.py; github.com/liuzechun/ReActNet, commit a6cd08d,
mobilenet/2_step2; published: 69.5 %). With CMIM: model.partner=teacher, of the same
teacher. Not measured yet. Expected cost: 0.87e8 operations (published: 0.87e8).
"""

from mmengine.config import read_base

from cmim.encoders import BinaryMobileNet

with read_base():
    from ._base_.imagenet_reactnet import *

task_model.backbone = dict(type=BinaryMobileNet, method="reactnet")
task_model.head.update(in_channels=1024)
train_cfg.update(max_iters=640_512)
optim_wrapper.optimizer.update(lr=1.25e-3)
model.update(model=task_model)
