"""Predict on the frames of a video or a camera, drawn into a video."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count, islice
from pathlib import Path

from mmengine.config import Config
from mmengine.model import BaseModel
from tqdm import tqdm

from cmim.whole_output import whole_output
from tasks.datasets.errors import DataError
from tasks.pictures import palette_of
from tasks.predict import (
    class_colours,
    class_names,
    network_size,
    picture_kind,
    predict_pixels,
    scaled,
)
from tasks.side_by_side import side_by_side
from tasks.video import VideoReader, VideoWriter


@dataclass(frozen=True)
class VideoPrediction:
    """What has become of a video.

    Args:
        path: Of the drawn one.
        frames: How many were predicted.
        lost: What is missing of the source, as a sentence; None for nothing.
    """

    path: Path
    frames: int
    lost: str | None


def predict_video(
    model: BaseModel,
    config: Config,
    source: str | Path | int,
    target: Path,
    with_image: bool = False,
    most: int | None = None,
) -> VideoPrediction:
    """Draw what a model says of each frame; a file appears whole or not at all.

    Depth has, in each frame, the colours of the nearest and the farthest in it. Of a
    camera frames are repeated, so that the video lasts as long as what it shows; Ctrl-C
    ends it.

    Args:
        model: A task model in evaluation mode.
        config: Gives the input size and the classes' colours.
        source: Path of a video, or number of a camera.
        target: ``.mp4`` to write.
        with_image: Whether the frames themselves stand beside the drawings.
        most: Frames to predict at most; all when None.

    Raises:
        DataError: The source cannot be read, has no frames or changes their size, or
            the model reads other pictures than videos are made of.
    """
    if picture_kind(config)["channels"] not in (None, 3):
        raise DataError(
            f"'{source}' is a video of three colours, but the config's pictures have "
            "image_channels or image_extra: give pictures of those bands as files"
        )
    size = network_size(config)
    palette = class_colours(config) or palette_of(len(class_names(config)))
    with closing(VideoReader(source)) as reader, whole_output(target) as place:
        begin = time.perf_counter()
        writer = VideoWriter(place, reader.rate)
        frames, stopped = 0, False
        try:
            for frame in _counted(reader, most):
                metas = dict(ori_shape=frame.shape[:2], shown=frame)
                sample = predict_pixels(model, scaled(frame, size), metas)
                picture = side_by_side(sample, palette, with_image)
                seconds = time.perf_counter() - begin if reader.is_camera else 0
                writer.write(
                    picture, max(1, round(seconds * reader.rate) - writer.written)
                )
                frames += 1
        except KeyboardInterrupt:
            # The way to end a camera; what was seen so far is wanted.
            if not (reader.is_camera and frames):
                raise
            stopped = True
        writer.close()
        stopped = stopped or frames == most
        return VideoPrediction(target, frames, None if stopped else reader.lost())


def _counted(reader: VideoReader, most: int | None) -> Iterable:
    """Frames with a bar of how many there are, and a second."""
    total = min(filter(None, (reader.promised, most)), default=None)
    return tqdm(islice(reader, most), total=total, unit="image", disable=None)


def free_path(folder: Path, source: str | Path | int, taken: Sequence[Path]) -> Path:
    """Where the video of a source is drawn into: a number is added for a free name.

    Args:
        folder: Of what is written.
        source: Path of a video, or number of a camera.
        taken: Files that are not overwritten.

    Examples:
        >>> free_path(Path("out"), "a/walk.avi", []).as_posix()
        'out/walk_predicted.mp4'
        >>> free_path(Path("out"), 0, [Path("out/camera_0_predicted.mp4")]).name
        'camera_0_predicted_2.mp4'
    """
    stem = f"camera_{source}" if isinstance(source, int) else Path(source).stem
    stem += "_predicted"
    kept = {path.resolve() for path in taken}
    names = chain([stem], (f"{stem}_{number}" for number in count(2)))
    paths = (folder / f"{name}.mp4" for name in names)
    return next(path for path in paths if path.resolve() not in kept)
