"""NYU Depth v2 for two CPU cores, with normals made from the depth."""

from mmengine.config import read_base

from tasks.normals import AddNormals
from tasks.transforms import PackFrame

with read_base():
    from .nyud_small import *

for _loader in (train_dataloader, test_dataloader):
    _loader.dataset.pipeline.insert(1, dict(type=AddNormals))
    _loader.dataset.pipeline[-1].update(type=PackFrame)
del _loader
# Zoom stretches normals and divides depth and cannot be seen in a crop: its mean must
# be 1.
train_dataloader.dataset.pipeline[2].update(scale=(0.8, 1.25))
