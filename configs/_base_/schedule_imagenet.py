"""640,512 steps of Adam with a linear decay: 256 epochs in batches of 512.

As in the released PyTorch code of Bi-Real Net (github.com/liuzechun/Bi-Real-net, commit
f58aa4d, BiReal18_34/train.py), which lowers the rate once an epoch and so ends with an
epoch at rate 0.
"""

from mmengine.optim import LinearLR, OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import Adam

train_cfg = dict(type=IterBasedTrainLoop, max_iters=640_512, val_interval=10_000_000)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=Adam, lr=1e-3))
param_scheduler = [
    dict(type=LinearLR, start_factor=1.0, end_factor=1e-6, begin=0, by_epoch=False)
]
