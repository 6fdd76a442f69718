"""Fashion-MNIST: Bi-Real ResNet-20.

Data: 60,000 training pictures of 28x28, grey; Debian's package dataset-fashion-mnist
has them: data_root=/usr/share/datasets/fashion-mnist. Hardware: 1 CPU core. Batch 128,
936 steps, two epochs, about 4 minutes. With CMIM: model.partner=teacher, after
fashion_mnist_resnet20_fp.py. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.fashion_mnist_classification import *

model.update(model=task_model, teacher="work_dirs/fashion_mnist_resnet20_fp/last.pth")
