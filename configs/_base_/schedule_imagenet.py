"""600,000 steps of Adam with a linear decay, as in the released Bi-Real Net code."""

from mmengine.optim import LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import Adam

train_cfg = dict(type=IterBasedTrainLoop, max_iters=600_000, val_interval=10_000_000)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=1e-3))
param_scheduler = [
    dict(type=LinearLR, start_factor=1.0, end_factor=1e-6, begin=0, by_epoch=False)
]
