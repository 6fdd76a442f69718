"""NYU Depth v2, depth in metres: Bi-Real ResNet-18 with a binary head.

Head: 3x3 atrous branches and the projection behind them are binary, with shortcuts
around them; its first and its last layer stay full precision. Made to be exported
(tools/export.py): a full-precision head takes most of an exported network's time.

Data: 795 training frames, crops of 416x544. Hardware: one GPU with 16 GB. Batch 16,
20,000 steps. For an ImageNet-initialised encoder give the path of a state dict:
--cfg-options model.model.backbone.init_from=resnet18.pth (see README).
Not measured yet: this recipe has not been run to its end.
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.depth_model import task_model, test_evaluator
    from ._base_.nyud import data_root, test_cfg, test_dataloader, train_dataloader
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_full import optim_wrapper, param_scheduler, train_cfg

train_dataloader.dataset.pipeline[0].update(labels=False)
# Zoom divides depth and cannot be seen in a crop: its mean must be 1, or the network
# learns a world that is too near.
train_dataloader.dataset.pipeline[1].update(scale=(0.87, 1.15))
test_dataloader.dataset.pipeline[0].update(labels=False)
task_model["decode_head"].update(method="bireal", binary_projection=True)
model = dict(
    type=CMIM,
    model=task_model,
    partner="latent",
)
