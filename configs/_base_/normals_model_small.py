"""Surface normals with a narrow ResNet-18 (48 to 384 channels) for small crops."""

from mmengine.config import read_base

from tasks.multitask import MultiTaskModel
from tasks.normals import NormalHead, NormalMetric

with read_base():
    from .seg_model_small import model, task_model

task_model = dict(
    type=MultiTaskModel,
    data_preprocessor=task_model.data_preprocessor,
    backbone=task_model.backbone,
    heads=dict(
        normals=dict(
            type=NormalHead, in_channels=384, channels=96, dilations=(1, 2, 4)
        ),
    ),
)
test_evaluator = [dict(type=NormalMetric)]
