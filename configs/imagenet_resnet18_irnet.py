"""ImageNet: IR-Net, ResNet-18.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 32 GPUs with 64
pictures each. Batch 2,048, 62,500 steps, about 100 epochs: SGD with Nesterov momentum,
from 0.2 to 0.8 in 2,500 steps, a tenth three times, weight decay 1e-5, colours changed
by up to 0.2, hue by 0.1 (github.com/htqin/IR-Net, commit f63a590,
ImageNet/ResNet18/1w1a/config.yaml; published: 58.1 %). t of the ImageNet training is
not in the released code: 0.1 to 10 here. ResNet-34 (published: 62.9 %):
model.model.backbone.depth=34 optim_wrapper.optimizer.weight_decay=1e-4. With CMIM:
model.partner=teacher, after imagenet_resnet18_fp.py; ResNet-34 also
model.teacher=work_dirs/imagenet_resnet34_fp/last.pth. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet_irnet import *

task_model.backbone.update(method="irnet")
train_dataloader.update(batch_size=64)
train_dataloader.dataset.pipeline[1].update(colour=0.2, hue=0.1)
model.update(model=task_model, teacher="work_dirs/imagenet_resnet18_fp/last.pth")
