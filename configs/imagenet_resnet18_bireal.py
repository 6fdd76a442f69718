"""ImageNet: Bi-Real ResNet-18.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 4 GPUs with 128
pictures each. Batch 512, 256 epochs: Adam at 1e-3 to 0, no weight decay, label
smoothing 0.1, lighting (github.com/liuzechun/Bi-Real-net, commit f58aa4d,
pytorch_implementation/BiReal18_34/train.py; published: 56.4 %). With CMIM:
model.partner=teacher, after imagenet_resnet18_fp.py. Not measured yet. Expected cost:
1.64e8 operations and 33.6 Mbit (published: 1.63e8, 33.6 Mbit).
"""

from mmengine.config import read_base

from tasks.transforms import Lighting

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet import *

task_model.head.update(label_smoothing=0.1)
train_dataloader.dataset.pipeline.insert(2, dict(type=Lighting, unit=1.0))
model.update(model=task_model, teacher="work_dirs/imagenet_resnet18_fp/last.pth")
