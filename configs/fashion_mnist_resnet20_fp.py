"""Fashion-MNIST: full-precision ResNet-20, the twin of the binary one.

Data: 60,000 training pictures of 28x28, grey; Debian's package dataset-fashion-mnist
has them: data_root=/usr/share/datasets/fashion-mnist. Hardware: 1 CPU core. Batch 128,
936 steps, two epochs, about 4 minutes. Not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.fashion_mnist_classification import *

task_model.backbone.update(method="fp")
model = task_model
