"""NYU Depth v2, 40-class segmentation: Bi-Real ResNet-18 with a binary head.

Head: 3x3 atrous branches and the projection behind them are binary, with shortcuts
around them; its first and its last layer stay full precision. Made to be exported
(tools/export.py): a full-precision head takes most of an exported network's time.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Expected figures, measured on all 654 test frames: README, section Results.
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from ._base_.nyud_small import (
        data_root,
        test_cfg,
        test_dataloader,
        train_dataloader,
    )
    from ._base_.runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from ._base_.schedule_small import optim_wrapper, param_scheduler, train_cfg
    from ._base_.seg_model_small import task_model, test_evaluator

train_dataloader.dataset.pipeline[0].update(depth=False)
test_dataloader.dataset.pipeline[0].update(depth=False)
task_model["decode_head"].update(method="bireal", binary_projection=True)
model = dict(
    type=CMIM,
    model=task_model,
    partner="latent",
)
