"""156,000 steps of SGD with a cosine: 400 epochs of 50,000 pictures in batches of 128.

As in the released code of IR-Net (github.com/htqin/IR-Net, commit f63a590,
CIFAR-10/ResNet20/1w1a/trainer.py), which lowers the rate once an epoch.
"""

from mmengine.optim import CosineAnnealingLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=156_000, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [dict(type=CosineAnnealingLR, eta_min=0.0, begin=0, by_epoch=False)]
