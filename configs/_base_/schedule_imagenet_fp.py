"""450,360 steps of SGD: 90 epochs in batches of 256, a tenth after 30 and 60.

The recipe of torchvision's ResNets (pytorch/vision, references/classification).
"""

from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=450_360, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.1, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type=MultiStepLR, milestones=[150_120, 300_240], gamma=0.1, by_epoch=False)
]
