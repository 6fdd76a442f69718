"""Classes and depth at once, for small crops."""

from mmengine.config import read_base

from tasks.depth import DepthMetric
from tasks.multitask import FixedWeights
from tasks.segmentation import SegmentationMetric

with read_base():
    from .depth_model_small import task_model as _depth
    from .normals_model_small import model, task_model
    from .seg_model_small import task_model as _seg

task_model.heads = dict(seg=_seg.decode_head, depth=_depth.decode_head)
task_model.weighting = dict(type=FixedWeights, weights=dict(seg=1.0, depth=1.0))
test_evaluator = [
    dict(type=SegmentationMetric, prefix="seg"),
    dict(type=DepthMetric, prefix="depth"),
]
del _depth, _seg
