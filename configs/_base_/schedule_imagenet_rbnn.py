"""375,300 steps of SGD with a cosine: 150 epochs in batches of 512.

As in the released code of RBNN (github.com/lmbxmu/RBNN, commit 0b5e73b,
imagenet/run.sh), which lowers the rate once an epoch.
"""

from mmengine.optim import CosineAnnealingLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=375_300, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [dict(type=CosineAnnealingLR, eta_min=0.0, begin=0, by_epoch=False)]
