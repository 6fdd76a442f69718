"""NYU Depth v2, surface normals: Bi-Real ResNet-18 trained with CMIM.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Expected figures, measured on all 654 test frames: README, section Results.
"""

from mmengine.config import read_base

from cmim.models import CMIM
from tasks.normals import AddNormals
from tasks.transforms import PackFrame

with read_base():
    from ._base_.normals_model_small import task_model, test_evaluator
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

for _loader in (train_dataloader, test_dataloader):
    _loader.dataset.pipeline[0].update(labels=False)
    _loader.dataset.pipeline.insert(1, dict(type=AddNormals))
    _loader.dataset.pipeline[-1].update(type=PackFrame)
# Zoom stretches normals and divides depth and cannot be seen in a crop: its mean must
# be 1.
train_dataloader.dataset.pipeline[2].update(scale=(0.8, 1.25))
model = dict(
    type=CMIM,
    model=task_model,
    partner="latent",
    teacher="work_dirs/nyud_normals_fp_small/last.pth",
)
