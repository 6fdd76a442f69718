"""ImageNet: the full-precision twin of ReActNet-A.

Data: 1.28 million training pictures, crops of 224x224. Hardware: 2 GPUs with 128
pictures each. Batch 256, 90 epochs, torchvision's recipe for ResNets: no paper gives
one for this network, which is a teacher here: model.teacher_model=None
model.teacher=work_dirs/imagenet_reactnet_a_fp/last.pth. Not measured yet.
"""

from mmengine.config import read_base

from cmim.encoders import BinaryMobileNet

with read_base():
    from ._base_.imagenet_classification import *
    from ._base_.schedule_imagenet_fp import *

task_model.backbone = dict(type=BinaryMobileNet, method="fp")
task_model.head.update(in_channels=1024)
model = task_model
