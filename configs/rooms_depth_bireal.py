"""Generated rooms, depth in metres: Bi-Real ResNet-18 with CMIM; the demo.

Data: tools/make_rooms.py, then tools/prepare_nyud.py (as `make demo` does). Hardware: 2
CPU cores, about a minute and a half. Shows that everything works, not how well.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.depth_model_small import *
    from ._base_.rooms import *
    from ._base_.runtime import *
    from ._base_.schedule_demo import *

for _loader in (train_dataloader, val_dataloader, test_dataloader):
    _loader.dataset.pipeline[0].update(labels=False)
# Zoom divides depth and cannot be seen in a crop: its mean must be 1, or the network
# learns a world that is too near.
train_dataloader.dataset.pipeline[1].update(scale=(0.8, 1.25))
val_evaluator = test_evaluator
default_hooks.checkpoint.update(best="rmse", rule="less")
task_model.backbone.update(base_channels=32)
task_model.decode_head.update(in_channels=256, channels=64)
model.update(model=task_model)
