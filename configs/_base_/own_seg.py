"""All that segmentation of one's own classes on a GPU needs besides files and classes.

For leaves of a few lines, see docs/new_dataset.md.
"""

from mmengine.config import read_base

with read_base():
    from .folder import *
    from .runtime import *
    from .schedule_full import *
    from .seg_model import *

model.update(model=task_model)
