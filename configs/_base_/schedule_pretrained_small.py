"""700 steps of AdamW for an encoder that was trained before.

It learns at a fifth of the head's rate, since it knows much.
"""

from mmengine.optim import LinearLR, OptimWrapper, PolyLR
from mmengine.runner import IterBasedTrainLoop
from torch.optim import AdamW

train_cfg = dict(type=IterBasedTrainLoop, max_iters=700, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=AdamW, lr=2e-3, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={"backbone": dict(lr_mult=0.2)}),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, begin=0, end=100, by_epoch=False),
    dict(type=PolyLR, power=0.9, eta_min=0.0, begin=100, by_epoch=False),
]
