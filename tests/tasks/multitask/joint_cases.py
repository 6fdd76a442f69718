"""Small joint models and batches that the tests share."""

from __future__ import annotations

import torch
from mmengine.config import Config, ConfigDict
from mmseg.models import SegDataPreProcessor
from mmseg.registry import MODELS

import cmim.encoders  # noqa: F401 - all register their parts
import tasks.classification
import tasks.depth
import tasks.edges
import tasks.multitask
import tasks.normals
import tasks.segmentation  # noqa: F401
from cmim.bench.step import synthetic_batch

CLASSES, SCENES = 5, 4
TRUTH = dict(
    seg="gt_sem_seg",
    depth="gt_depth_map",
    normals="gt_normal_map",
    edges="gt_edge_map",
    scene="gt_label",
)
PREDICTION = dict(
    seg="pred_sem_seg",
    depth="pred_depth_map",
    normals="pred_normal_map",
    edges="pred_edge_map",
    scene="pred_logits",
)
TASKS = tuple(TRUTH)


def head(task: str, method: str = "fp") -> dict:
    dense = dict(in_channels=32, channels=4, dilations=(1,), method=method)
    return dict(
        seg=dict(type="DeepLabHead", num_classes=CLASSES, **dense),
        depth=dict(type="DepthHead", **dense),
        normals=dict(type="NormalHead", **dense),
        edges=dict(type="EdgeHead", **dense),
        scene=dict(type="LinearHead", in_channels=32, num_classes=SCENES),
    )[task]


def shared_parts(method: str = "bireal") -> dict:
    return dict(
        data_preprocessor=dict(
            type=SegDataPreProcessor, mean=[127.0] * 3, std=[60.0] * 3, size_divisor=1
        ),
        backbone=dict(
            type="BinaryResNet", method=method, base_channels=4, output_stride=8
        ),
    )


def joint_model(names=TASKS, head_method: str = "fp", **options) -> ConfigDict:
    heads = {name: head(name, head_method) for name in names}
    parts = shared_parts(options.pop("method", "bireal"))
    return ConfigDict(type="MultiTaskModel", heads=heads, **parts, **options)


def batch(size: int = 3) -> dict:
    model = dict(backbone={}, heads={name: head(name) for name in TASKS})
    pipeline = [dict(crop_size=(32, 48))]
    loader = dict(batch_size=size, dataset=dict(pipeline=pipeline))
    return synthetic_batch(Config(dict(model=model, train_dataloader=loader)))


def build(config: dict, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model = MODELS.build(config)
    model.init_weights()
    return model


def losses_of(model, data: dict | None = None, seed: int = 0) -> dict:
    prepared = model.data_preprocessor(data or batch(), True)
    torch.manual_seed(seed)
    return model(**prepared, mode="loss")


def total(losses: dict) -> torch.Tensor:
    return sum(value.sum() for name, value in losses.items() if "loss" in name)
