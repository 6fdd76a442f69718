"""Fashion-MNIST, two epochs; the mean and deviation are its own."""

from mmengine.config import read_base

with read_base():
    from .classification_model_cifar import *
    from .fashion_mnist import *
    from .runtime import *
    from .schedule_cifar import *

task_model.data_preprocessor.update(mean=[72.94] * 3, std=[90.02] * 3)
train_cfg.update(max_iters=936)
