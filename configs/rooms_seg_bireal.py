"""Generated rooms, 40-class segmentation: Bi-Real ResNet-18 with CMIM; the demo.

Data: tools/make_rooms.py, then tools/prepare_nyud.py (as `make demo` does). Hardware: 2
CPU cores, about a minute and a half. Shows that everything works, not how well.
"""

from mmengine.config import read_base

with read_base():
    from ._base_.rooms import *
    from ._base_.runtime import *
    from ._base_.schedule_demo import *
    from ._base_.seg_model_small import *

for _loader in (train_dataloader, val_dataloader, test_dataloader):
    _loader.dataset.pipeline[0].update(depth=False)
val_evaluator = test_evaluator
default_hooks.checkpoint.update(best="mIoU")
task_model.backbone.update(base_channels=32)
task_model.decode_head.update(in_channels=256, channels=64)
model.update(model=task_model)
