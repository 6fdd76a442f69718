"""Predict on pictures that belong to no data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample

from cmim.engine.config import require_parts
from tasks.datasets.errors import DataError
from tasks.datasets.image_folder import find_pictures
from tasks.datasets.label_values import codes_of, coloured
from tasks.datasets.nyu40 import NYU40_CLASSES
from tasks.picture_files import read_picture
from tasks.transforms.augment import fit_shorter


def network_size(config: Config) -> tuple[int, int] | int | None:
    """Input size in pixels that a config evaluates at.

    Returns:
        ``(H, W)``, or the shorter side, or None for any size.
    """
    require_parts(config, "test_dataloader.dataset.pipeline")
    for transform in config.test_dataloader.dataset.pipeline:
        if "size" in transform or "shorter" in transform:
            return transform.get("size") or transform.get("shorter")
    return None


def class_names(config: Config) -> Sequence[str]:
    """Class names of a config's test data, the 40 classes of NYUv2 by default."""
    require_parts(config, "test_dataloader.dataset")
    metainfo = config.test_dataloader.dataset.get("metainfo") or {}
    return metainfo.get("classes", NYU40_CLASSES)


def class_colours(config: Config) -> Sequence[Sequence[int]] | None:
    """Colours that a config gives its classes, to draw with or in the label files."""
    require_parts(config, "test_dataloader.dataset")
    dataset = config.test_dataloader.dataset
    palette = (dataset.get("metainfo") or {}).get("palette")
    values = dataset.get("label_values")
    if (
        palette is None
        and values
        and coloured(values, dataset.get("void_values") or ())
    ):
        # Of a class of several colours the first one.
        codes = [codes_of(value, as_colour=True)[0] for value in values]
        return [[code >> 16, code >> 8 & 255, code & 255] for code in codes]
    return palette


def picture_kind(config: Config) -> dict[str, int | None]:
    """How a config's test pictures are read: ``channels`` and ``white``."""
    dataset = config.test_dataloader.dataset
    names = ("channels", "white")
    kind = {name: dataset.get(f"image_{name}") for name in names}
    if dataset.get("image_extra"):
        # The picture and its fourth band have to come in one file here.
        kind["channels"] = 4
    return kind


def image_files(paths: Sequence[str | Path]) -> list[Path]:
    """Picture files that are named, and all those in folders that are named.

    Raises:
        DataError: A folder has no picture.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = [path / name for name in find_pictures(path)]
        if not inside:
            raise DataError(f"folder '{path}' has no pictures; name another one")
        found += inside
    return found


@torch.inference_mode()
def classify_image(
    model: BaseModel, config: Config, path: str | Path, count: int = 5
) -> list[tuple[str, float]]:
    """The likeliest classes of a picture of any size, prepared as test pictures are.

    Args:
        model: A classifier in evaluation mode.
        config: Gives the test pipeline and, in ``metainfo``, class names; else the
            classes are named by their number.
        path: Picture file.
        count: How many classes, at most all.

    Returns:
        Class names and probabilities, likeliest first.

    Raises:
        DataError: The file is missing or no picture.
    """
    require_parts(config, "test_dataloader.dataset.pipeline")
    dataset = config.test_dataloader.dataset
    sample = Compose(dataset.pipeline)(dict(img_path=str(path)))
    batch = {name: [part] for name, part in sample.items()}
    logits = model.test_step(batch)[0].pred_logits
    best = logits.softmax(dim=0).topk(min(count, len(logits)))
    names = (dataset.get("metainfo") or {}).get("classes") or range(len(logits))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(str(names[index]), share) for index, share in pairs]


@torch.inference_mode()
def predict_image(
    model: BaseModel,
    path: str | Path,
    size: Sequence[int] | int | None,
    channels: int | None = None,
    white: int | None = None,
) -> Any:
    """Predict one picture of any size.

    The picture is scaled to the height, or the shorter side, that the network was
    evaluated at, keeping its aspect; the prediction has the picture's own size.

    Args:
        model: A task model in evaluation mode.
        path: Picture file.
        size: ``(H, W)``, of which H counts, or the shorter side, in pixels; the
            picture's own size when None.
        channels: See :func:`tasks.picture_files.read_picture`.
        white: Likewise.

    Returns:
        Data sample with ``img_path`` and what the model predicts: ``pred_sem_seg``,
        ``pred_depth_map``, ``pred_normal_map``, ``pred_edge_map``.

    Raises:
        DataError: The file is missing or no picture.
    """
    image: np.ndarray = read_picture(path, channels, white)
    original = image.shape[:2]
    height, width = original
    if isinstance(size, int):
        height, width = fit_shorter(original, size)
    elif size is not None and size[0] != height:
        height, width = size[0], max(1, round(width * size[0] / height))
    if (height, width) != original:
        area = height < original[0]
        image = cv2.resize(
            image,
            (width, height),
            interpolation=cv2.INTER_AREA if area else cv2.INTER_LINEAR,
        )
    sample = SegDataSample(
        metainfo=dict(img_path=str(path), ori_shape=original, img_shape=image.shape[:2])
    )
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return model.test_step(dict(inputs=[tensor], data_samples=[sample]))[0]
