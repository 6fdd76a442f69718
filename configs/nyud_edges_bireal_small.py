"""NYU Depth v2, semantic edges: Bi-Real ResNet-18 trained with CMIM.

Data: 795 training frames, crops of 96x128. Hardware: 2 CPU cores. Batch 16, 1,000
steps. Not measured yet: this recipe has not been run to its end.
"""

from mmengine.config import read_base

from tasks.edges import AddEdges
from tasks.transforms import PackFrame

with read_base():
    from ._base_.edges_model_small import *
    from ._base_.nyud_small import *
    from ._base_.runtime import *
    from ._base_.schedule_small import *

for _loader in (train_dataloader, test_dataloader):
    _loader.dataset.pipeline[0].update(depth=False)
    _loader.dataset.pipeline[-1].update(type=PackFrame)
# Strips of void between things are up to 8 pixels wide in the frames, a quarter of that
# in the crops. The margin of the test is the metric's tolerance.
train_dataloader.dataset.pipeline.insert(2, dict(type=AddEdges, bridge=1, margin=2))
test_dataloader.dataset.pipeline.insert(1, dict(type=AddEdges, bridge=4, margin=6))
model.update(model=task_model)
