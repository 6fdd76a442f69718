"""What networks say of a picture that somebody has sent, in bounded memory."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from numpy.typing import NDArray

from cmim.deploy.engine import ExportedNetwork
from cmim.engine.config import ConfigError, task_model_config
from cmim.engine.config_place import named_part
from cmim.engine.evaluate import load_task_model
from cmim.serve.network import Answer, Network
from cmim.task_model import describe
from tasks.datasets.errors import DataError
from tasks.picture_files import decode_picture
from tasks.picture_structure import JPEG, PNG
from tasks.pictures import palette_of
from tasks.predict import (
    class_colours,
    class_names,
    network_size,
    picture_kind,
    predict_pixels,
    resized,
    scaled,
)
from tasks.whole_file import check_content

# Where a config has no size, no side is longer; of no picture is one side this many
# times the other: scaled to the network's height it would have any width.
LONGEST, STRETCH = 1024, 8
# What messages call a picture that has no name.
SENT = "picture"


def read_sent(
    data: bytes, most: int, channels: int | None = None, white: int | None = None
) -> NDArray[np.uint8]:
    """The pixels of a picture that was sent.

    Args:
        data: A JPEG, PNG or WebP file of one frame.
        most: Pixels it may have, which are counted before any is decoded.
        channels: See :func:`tasks.picture_files.read_picture`; transparency is left out
            when None.
        white: Likewise.

    Returns:
        ``(H, W, C)`` uint8, turned as its EXIF entry says.

    Raises:
        DataError: Of another kind, damaged, too large, or one side is more than eight
            times the other.

    Examples:
        >>> read_sent(b"GIF89a", 100)
        Traceback (most recent call last):
        tasks.datasets.errors.DataError: the picture is no JPEG, PNG or WebP...
    """
    webp = data[:4] == b"RIFF" and data[8:12] == b"WEBP"
    if not (webp or data.startswith((JPEG, PNG))):
        raise DataError(
            "the picture is no JPEG, PNG or WebP file; save it as one of these"
        )
    check_content(data, SENT, most)
    image = decode_picture(data, SENT, channels or 3, white)
    short, long = sorted(image.shape[:2])
    if long > STRETCH * short:
        raise DataError(
            f"the picture has {image.shape[0]}x{image.shape[1]} pixels (rows x "
            f"columns); one side may be {STRETCH} times the other: cut it"
        )
    return image


def fitted(
    image: NDArray[np.uint8],
    size: Any,
    fixed: tuple[int, int] | None = None,
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A picture as a network takes it, and how much of that is the picture.

    Args:
        image: ``(H, W, C)``.
        size: See :func:`tasks.predict.scaled`.
        fixed: The only ``(H, W)`` that an exported network takes: the picture keeps its
            aspect, and its mirror image fills the rest.

    Returns:
        The pixels, and the rows and columns from the top left that are the picture.

    Examples:
        >>> pixels, inside = fitted(np.zeros((40, 20, 3), np.uint8), None, (10, 10))
        >>> pixels.shape, inside
        ((10, 10, 3), (10, 5))
    """
    rows, columns = image.shape[:2]
    if fixed is not None:
        share = min(fixed[0] / rows, fixed[1] / columns)
        inside = (max(1, round(share * rows)), max(1, round(share * columns)))
        small = resized(image, inside)
        rest = (0, fixed[0] - inside[0], 0, fixed[1] - inside[1])
        filled = cv2.copyMakeBorder(small, *rest, cv2.BORDER_REFLECT)
        return np.asarray(filled, np.uint8).reshape(*fixed, -1), inside
    if size is None and max(rows, columns) > LONGEST:
        share = LONGEST / max(rows, columns)
        size = (max(1, round(share * rows)), 0)
    pixels = scaled(image, size)
    return pixels, (pixels.shape[0], pixels.shape[1])


@named_part
def open_network(
    config: Config, file: str, name: str, most: int, warm: bool = True
) -> Network:
    """Load a network that answers on pictures that are sent.

    Args:
        config: Of a model with a task that has a view.
        file: A checkpoint, or what was exported of one; see
            :func:`cmim.engine.evaluate.load_task_model`.
        name: What people call it.
        most: Pixels that a picture may have.
        warm: Run it once, since the first run takes longer.

    Raises:
        ConfigError: No head has something to show for every pixel.
        CheckpointError: See :func:`cmim.engine.evaluate.load_task_model`.
    """
    kinds = [head.kind for head in describe(task_model_config(config)).heads.values()]
    shown = [(kind, kind.view) for kind in kinds if kind.view]
    if not shown:
        raise ConfigError(
            f"config '{config.filename}' answers with {_listed(kinds)}, of which the "
            "page shows nothing; tools/predict.py answers for single pictures"
        )
    model = load_task_model(config, file)
    network = model.backbone
    shape = network.shape if isinstance(network, ExportedNetwork) else None
    fixed = (shape[2], shape[3]) if shape else None
    names = class_names(config)
    palette = class_colours(config) or palette_of(len(names))
    size, pixels_of = network_size(config), picture_kind(config)

    def predict(image: NDArray[np.uint8]) -> Answer:
        pixels, (rows, columns) = fitted(image, size, fixed)
        begin = time.perf_counter()
        sample = predict_pixels(model, pixels)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        seconds = time.perf_counter() - begin
        for kind, _ in shown:
            whole = sample.get(kind.prediction).data
            part = PixelData(data=whole[:, :rows, :columns])
            sample.set_data({kind.prediction: part})
        views = {kind.name: view(sample, names, palette) for kind, view in shown}
        return Answer(views, milliseconds=1e3 * seconds)

    if warm:
        predict(np.zeros((48, 64, pixels_of["channels"] or 3), np.uint8))
    return Network(
        name=name,
        file=Path(file).name,
        megabytes=_bytes_of(Path(file)) / 1e6,
        tasks=tuple(kind.name for kind, _ in shown),
        answer=lambda data: predict(read_sent(data, most, **pixels_of)),
    )


def _bytes_of(file: Path) -> int:
    """Of a file, and of the weights beside an ``.xml``."""
    parts = {file, file.with_suffix(".bin") if file.suffix == ".xml" else file}
    return sum(part.stat().st_size for part in parts if part.is_file())


def _listed(kinds: list) -> str:
    return ", ".join(kind.name for kind in kinds) or "nothing"
