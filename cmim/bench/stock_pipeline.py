"""What a config's training pipeline does, written with mmseg's own transforms."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from mmcv.transforms import Compose
from mmseg.registry import TRANSFORMS

from cmim.engine.config_error import ConfigError

NEEDED = ("base_size", "crop_size", "scale")


def stock_pipeline(part: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Transforms of mmseg and mmcv that do the same work.

    Pictures are read, resized, cut out, mirrored and changed in colour; labels and
    depth are read where the project's pipeline reads them. Random draws and the
    formulas of colours differ.

    Args:
        part: Options of a data set, whose pipeline has one transform with
            ``base_size``, ``crop_size`` and ``scale``.

    Raises:
        ConfigError: There is none.

    Examples:
        >>> steps = [dict(labels=True, depth=False),
        ...     dict(base_size=(48, 64), crop_size=(32, 40), scale=(0.5, 2.0))]
        >>> stock = stock_pipeline(dict(pipeline=steps))
        >>> [step["type"] for step in stock][:3]
        ['LoadImageFromFile', 'LoadAnnotations', 'RandomResize']
        >>> stock[2]["scale"], stock[3]["crop_size"]
        ((64, 48), (32, 40))
    """
    steps = part["pipeline"]
    loads = steps[0]
    found = [step for step in steps if all(key in step for key in NEEDED)]
    if not found or isinstance(found[0]["base_size"], int):
        raise ConfigError(
            "the training pipeline has no transform with base_size=(H, W), crop_size "
            "and scale, as AugmentFrame, whose work mmseg's transforms could do, too"
        )
    height, width = found[0]["base_size"]
    steps = [dict(type="LoadImageFromFile")]
    if loads.get("labels", True):
        steps.append(dict(type="LoadAnnotations", reduce_zero_label=True))
    if loads.get("depth", True):
        steps.append(dict(type="LoadDepthAnnotation", depth_rescale_factor=0.001))
    return [
        *steps,
        dict(
            type="RandomResize",
            scale=(width, height),
            ratio_range=tuple(found[0]["scale"]),
            keep_ratio=True,
        ),
        dict(type="RandomCrop", crop_size=tuple(found[0]["crop_size"])),
        dict(type="RandomFlip", prob=0.5),
        dict(type="PhotoMetricDistortion"),
        dict(type="PackSegInputs"),
    ]


def stock_sample(info: Mapping[str, Any]) -> dict[str, Any]:
    """A frame of this project as mmseg's transforms expect it.

    Args:
        info: ``img_path``, ``seg_map_path`` and ``depth_path``.
    """
    return dict(
        img_path=info["img_path"],
        seg_map_path=info.get("seg_map_path"),
        depth_map_path=info.get("depth_path"),
        reduce_zero_label=True,
        label_map=None,
        seg_fields=[],
    )


def build_stock(part: Mapping[str, Any]) -> list[Callable[[dict], Any]]:
    """The transforms of :func:`stock_pipeline`, with the same draws in every run."""
    # They draw from the global generators.
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    with warnings.catch_warnings():
        # Of options that mmseg would rather see in its data sets.
        warnings.simplefilter("ignore", UserWarning)
        return Compose([TRANSFORMS.build(s) for s in stock_pipeline(part)]).transforms
