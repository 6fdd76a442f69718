"""Segmentation, depth and normals on one narrow ResNet-18, for small crops."""

from mmengine.config import read_base

from tasks.depth import DepthMetric
from tasks.multitask import FixedWeights
from tasks.normals import NormalMetric
from tasks.segmentation import SegmentationMetric

with read_base():
    from .depth_model_small import task_model as _depth
    from .normals_model_small import model, task_model
    from .seg_model_small import task_model as _seg

task_model.heads = dict(
    seg=_seg.decode_head, depth=_depth.decode_head, normals=task_model.heads.normals
)
# The cosine distance is small (about 0.2) beside the other two (1 and 3).
task_model.weighting = dict(
    type=FixedWeights, weights=dict(seg=1.0, depth=1.0, normals=5.0)
)
test_evaluator = [
    dict(type=SegmentationMetric, prefix="seg"),
    dict(type=DepthMetric, prefix="depth"),
    dict(type=NormalMetric, prefix="normals"),
]
del _depth, _seg
