"""320,256 steps of Adam with a linear decay: 128 epochs in batches of 512.

As in the released code of ReActNet (github.com/liuzechun/ReActNet, commit a6cd08d,
resnet/*/run.sh), which lowers the rate once an epoch and so ends with an epoch at rate
0. Its first step decays the weights of convolutions, and only these.
"""

from mmengine.optim import LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import Adam

train_cfg = dict(type=IterBasedTrainLoop, max_iters=320_256, val_interval=10_000_000)
optim_wrapper = dict(
    type=OptimWrapper,
    optimizer=dict(type=Adam, lr=2.5e-3, weight_decay=0.0),
    paramwise_cfg=dict(
        flat_decay_mult=0.0, custom_keys={"head.fc": dict(decay_mult=0.0)}
    ),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=1.0, end_factor=1e-6, begin=0, by_epoch=False)
]
