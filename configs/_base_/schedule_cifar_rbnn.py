"""195,000 steps of SGD: 1,000 epochs of 50,000 pictures in batches of 256.

Five epochs of warm-up from a fifth of the rate, then a cosine, as in the released code
of RBNN (github.com/lmbxmu/RBNN, commit 0b5e73b, cifar/run.sh and cifar/main.py).
"""

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=195_000, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.2, begin=0, end=975, by_epoch=False),
    dict(type=CosineAnnealingLR, eta_min=0.0, begin=975, by_epoch=False),
]
