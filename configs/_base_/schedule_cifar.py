"""2,000 steps of SGD: 5 epochs of 50,000 pictures in batches of 128."""

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=2000, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type=CosineAnnealingLR, eta_min=0.0, begin=100, by_epoch=False),
]
