"""ImageNet: Bi-Real ResNet-34.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. Batch 512, 256 epochs: Adam at 1e-3 to 0, no weight decay, label
smoothing 0.1, lighting (github.com/liuzechun/Bi-Real-net, commit f58aa4d,
pytorch_implementation/BiReal18_34/train.py; published: 62.2 %). With CMIM:
model.partner=teacher, after imagenet_resnet34_fp.py. Not measured yet.
"""

from mmengine.config import read_base

from tasks.transforms import Lighting

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet import *

task_model.backbone.update(depth=34)
task_model.head.update(label_smoothing=0.1)
train_dataloader.dataset.pipeline.insert(2, dict(type=Lighting, unit=1.0))
model.update(model=task_model, teacher="work_dirs/imagenet_resnet34_fp/last.pth")
