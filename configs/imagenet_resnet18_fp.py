"""ImageNet: full-precision ResNet-18, the twin of the binary one.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 2 GPUs with 128
pictures each. Batch 256, 90 epochs: SGD at 0.1, a tenth after 30 and 60, weight decay
1e-4 (torchvision's recipe; published: 69.76 % with one shortcut a block,
model.backbone.shortcuts=per_block). Not measured yet. Expected cost: 1.81e9
multiply-accumulates and 374.1 Mbit (published: 1.81 to 1.82e9, 374.1 Mbit).
"""

from mmengine.config import read_base

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet_fp import *

task_model.backbone.update(method="fp")
model = task_model
