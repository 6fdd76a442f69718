"""All that classification of one's own pictures on CPUs needs besides the folders.

Crops of 96x96 on a narrow ResNet-18 (48 to 384 channels), 1,000 steps of AdamW. For
leaves of a few lines, see docs/new_dataset.md.
"""

from mmengine.config import read_base

with read_base():
    from .classification_model_imagenet import *
    from .imagenet import test_cfg, test_dataloader, train_dataloader
    from .runtime import *
    from .schedule_small import *

train_dataloader.update(batch_size=32, num_workers=1)
train_dataloader.dataset.pipeline[1].update(crop_size=(96, 96))
test_dataloader.update(batch_size=32, num_workers=1)
test_dataloader.dataset.pipeline[1].update(size=(96, 96), shorter=108)
task_model.backbone.update(base_channels=48, dilated=False)
task_model.head.update(in_channels=384)
model.update(model=task_model)
