"""All that segmentation of one's own classes on CPUs needs besides files and classes.

For leaves of a few lines, see docs/new_dataset.md.
"""

from mmengine.config import read_base

with read_base():
    from .folder_small import *
    from .runtime import *
    from .schedule_small import *
    from .seg_model_small import *

model.update(model=task_model)
