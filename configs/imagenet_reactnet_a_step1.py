"""ImageNet: ReActNet-A, step 1 of 2.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 2 GPUs with 128
pictures each. Binary activations, real weights; imagenet_reactnet_a.py is the second
step. Batch 256, 128 epochs: Adam at 1.25e-3 to 0, weight decay 1e-5 on convolutions,
lighting; the loss is the cross-entropy with torchvision's ResNet-34, whose weights
resnet34.pth holds (teacher in _base_/teacher_resnet34.py;
github.com/liuzechun/ReActNet, commit a6cd08d, mobilenet/1_step1; published: 69.5 %
after both). With CMIM: model.partner=teacher, of the same teacher. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryMobileNet

with read_base():
    from ._base_.imagenet_reactnet import *

task_model.backbone = dict(type=BinaryMobileNet, method=dict(name="reactnet", step=1))
task_model.head.update(in_channels=1024)
train_cfg.update(max_iters=640_512)
optim_wrapper.optimizer.update(lr=1.25e-3, weight_decay=1e-5)
model.update(model=task_model)
