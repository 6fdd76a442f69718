"""1,000 steps of AdamW: 20 epochs of 795 frames in batches of 16."""

from mmengine.optim import LinearLR, OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

train_cfg = dict(type=IterBasedTrainLoop, max_iters=1000, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=0.01),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type=PolyLR, power=0.9, eta_min=0.0, begin=100, by_epoch=False),
]
