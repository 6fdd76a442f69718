"""62,500 steps of SGD in batches of 2,048, about 100 epochs.

From a rate of 0.2 to 0.8 in 2,500 steps, then a tenth after 18,750, 37,500 and 56,250,
as in the released configuration of IR-Net (github.com/htqin/IR-Net, commit f63a590,
ImageNet/ResNet18/1w1a/config.yaml).
"""

from mmengine.optim import LinearLR, MultiStepLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

train_cfg = dict(type=IterBasedTrainLoop, max_iters=62_500, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=SGD, lr=0.8, momentum=0.9, weight_decay=1e-5, nesterov=True),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.25, begin=0, end=2500, by_epoch=False),
    dict(
        type=MultiStepLR,
        milestones=[18_750, 37_500, 56_250],
        gamma=0.1,
        by_epoch=False,
    ),
]
