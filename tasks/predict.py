"""Predict on pictures that belong to no data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import methodcaller
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.model import BaseModel
from mmseg.structures import SegDataSample
from numpy.typing import NDArray

from cmim.data_parts import data_parts, named_classes, named_size
from cmim.engine.config import (
    ConfigError,
    pipelines_of,
    require_parts,
    task_model_config,
)
from cmim.engine.config_classes import class_counts
from cmim.engine.loader_options import LOADERS
from tasks.datasets.errors import DataError
from tasks.datasets.image_folder import find_pictures
from tasks.datasets.label_values import codes_of, coloured
from tasks.picture_files import read_picture
from tasks.transforms.augment import fit_shorter


def network_size(config: Config) -> tuple[int, int] | int | None:
    """Input size in pixels that a config evaluates at.

    Returns:
        ``(H, W)``, or the shorter side, or None for any size.
    """
    pipelines_of(config, "test_dataloader")
    return _agreed(
        config, "the input size", lambda part: named_size(part, "size", "shorter")
    )


def class_names(config: Config, count: int | None = None) -> list[str]:
    """Class names of a config's data, numbers where it names none.

    Args:
        config: Its test data are asked first, then those for validation and training.
        count: Number of classes; that of the model's head when None.

    Examples:
        >>> class_names(Config(dict(model=dict(
        ...     backbone={}, decode_head=dict(num_classes=2)))))
        ['class 0', 'class 1']
    """
    for loader in reversed(LOADERS):
        for names in named_classes(config, loader).values():
            return names
    if count is None and config.get("model"):
        count = next(iter(class_counts(task_model_config(config)).values()), 0)
    return [f"class {number}" for number in range(count or 0)]


def class_colours(config: Config) -> Sequence[Sequence[int]] | None:
    """Colours that a config gives its classes, to draw with or in the label files."""
    for loader in reversed(LOADERS):
        for _, part in data_parts(config, loader):
            if colours := _colours_of(part):
                return colours
    return None


def _colours_of(part: Any) -> Sequence[Sequence[int]] | None:
    palette = (part.get("metainfo") or {}).get("palette")
    values = part.get("label_values")
    if palette is None and values and coloured(values, part.get("void_values") or ()):
        # Of a class of several colours the first one.
        codes = [codes_of(value, as_colour=True)[0] for value in values]
        return [[code >> 16, code >> 8 & 255, code & 255] for code in codes]
    return palette


def picture_kind(config: Config) -> dict[str, int | None]:
    """How a config's test pictures are read: ``channels`` and ``white``."""
    read = {name: f"image_{name}" for name in ("channels", "white")}
    kind = {
        name: _agreed(config, option, methodcaller("get", option))
        for name, option in read.items()
    }
    if _agreed(config, "image_extra", methodcaller("get", "image_extra")):
        # The picture and its fourth band have to come in one file here.
        kind["channels"] = 4
    return kind


def _agreed(config: Config, what: str, read: Callable[[Any], Any]) -> Any:
    """What all test data sets say, as a picture on its own belongs to none of them."""
    require_parts(config, "test_dataloader.dataset")
    (place, first), *others = data_parts(config, "test_dataloader")
    for other, part in others:
        if read(part) != read(first):
            raise ConfigError(
                f"{place} and {other} differ in {what} ({read(first)!r} and "
                f"{read(part)!r}), so that pictures of neither have none: give both "
                "the same, or let test_dataloader.dataset be one data set"
            )
    return read(first)


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
    pipelines_of(config, "test_dataloader")
    pipeline = _agreed(config, "the pipeline", lambda part: part["pipeline"])
    sample = Compose(pipeline)(dict(img_path=str(path)))
    batch = {name: [part] for name, part in sample.items()}
    logits = model.test_step(batch)[0].pred_logits
    best = logits.softmax(dim=0).topk(min(count, len(logits)))
    names = class_names(config, len(logits))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(names[index], share) for index, share in pairs]


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
    return predict_pixels(model, image, size, img_path=str(path))


@torch.inference_mode()
def predict_pixels(
    model: BaseModel,
    image: NDArray[np.uint8],
    size: Sequence[int] | int | None,
    **metainfo: Any,
) -> Any:
    """Likewise for a picture that has been read, as a frame of a video.

    Args:
        model: A task model in evaluation mode.
        image: ``(H, W, C)`` uint8, RGB first.
        size: See :func:`predict_image`.
        metainfo: Goes into the sample; drawings need ``img_path``, or ``shown``.
    """
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
        metainfo=dict(metainfo, ori_shape=original, img_shape=image.shape[:2])
    )
    tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return model.test_step(dict(inputs=[tensor], data_samples=[sample]))[0]
