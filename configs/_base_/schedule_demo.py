"""150 steps of AdamW, validated every 75: enough to see that everything works."""

from mmengine.optim import LinearLR, OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

train_cfg = dict(type=IterBasedTrainLoop, max_iters=150, val_interval=75)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=0.01),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, begin=0, end=20, by_epoch=False),
    dict(type=PolyLR, power=0.9, eta_min=0.0, begin=20, by_epoch=False),
]
