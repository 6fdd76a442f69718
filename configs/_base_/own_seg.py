"""All that segmentation of one's own classes on a GPU needs besides files and classes.

For leaves of a few lines, see docs/new_dataset.md.
"""

from mmengine.config import read_base

from cmim.models import CMIM

with read_base():
    from .folder import test_cfg, test_dataloader, train_dataloader
    from .runtime import (
        custom_hooks,
        default_hooks,
        default_scope,
        env_cfg,
        log_processor,
        randomness,
        sync_bn,
    )
    from .schedule_full import optim_wrapper, param_scheduler, train_cfg
    from .seg_model import task_model, test_evaluator

model = dict(type=CMIM, model=task_model, partner="latent")
