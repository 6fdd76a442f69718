"""NYU Depth v2, 27 kinds of scene: Bi-Real ResNet-18 trained with CMIM.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Not measured yet: this recipe has not been run to its end.
Needs scene_types.txt, which tools/prepare_nyud.py takes from the official file.
"""

from mmengine.config import read_base

from tasks.datasets.scene_types import SCENE_TYPES
from tasks.scene import AddScene
from tasks.transforms import PackImage

with read_base():
    from ._base_.nyud_small import *
    from ._base_.runtime import *
    from ._base_.scene_model_small import *
    from ._base_.schedule_small import *

for _loader in (train_dataloader, test_dataloader):
    _loader.dataset.pipeline[0].update(labels=False, depth=False)
    _loader.dataset.pipeline.insert(1, dict(type=AddScene))
    _loader.dataset.pipeline[-1] = dict(type=PackImage)
    _loader.dataset.update(metainfo=dict(classes=SCENE_TYPES))
model.update(model=task_model, partner="latent")
