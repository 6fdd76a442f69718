"""Predict on pictures, videos or a camera."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from cmim.engine import cli

if TYPE_CHECKING:
    from mmengine.config import Config
    from mmengine.model import BaseModel

# The name of a network of the zoo stands for CONFIG and CHECKPOINT.
TAKES_ZOO_NAMES = True


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Predict classes, depth, normals or edges for pictures, whatever the model "
        "does; writes a picture to look at, and the exact values as PNG (class + 1, "
        "millimetres, components, probabilities). A classifier's likeliest classes are "
        "printed with their probabilities. Of a video or a camera a video of the "
        "drawings is written, NAME_predicted.mp4.",
        "python tools/predict.py configs/nyud_seg_bireal_small.py "
        "work_dirs/nyud_seg_bireal_small/last.pth kitchen.jpg --out predictions",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "checkpoint",
        help="WORK_DIR/last.pth of a training run, or what tools/export.py has made: "
        "MODEL.xml, .tflite, .qonnx, or (--weights-only) .pth; the name of a network "
        "that tools/zoo.py lists stands for both",
    )
    images = parser.add_argument(
        "images",
        nargs="+",
        default=[],
        help="picture files of any size, folders of them, or videos (.mp4, .avi, .mkv, "
        ".mov, .webm, ...)",
    )
    # None are needed with a camera; "*" would end before the first option.
    images.required = False
    _add_video_options(parser)
    parser.add_argument(
        "--out",
        default="predictions",
        type=cli.output_folder,
        help="folder to write into",
    )
    return parser


def _add_video_options(parser: argparse.ArgumentParser) -> None:
    """What of a video or a camera, and how it is shown."""
    parser.add_argument(
        "--camera",
        type=cli.not_negative,
        metavar="N",
        help="predict on what camera N sees (0 is the first) until Ctrl-C, instead",
    )
    parser.add_argument(
        "--side-by-side",
        action="store_true",
        help="show the picture beside what each head says of it: "
        "NAME_side_by_side.png, or in the video",
    )
    parser.add_argument(
        "--frames",
        type=cli.positive,
        metavar="N",
        help="stop after so many frames of a video or the camera",
    )


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config, task_model_config
    from cmim.engine.evaluate import load_task_model
    from cmim.task_model import describe
    from tasks.predict import image_files
    from tasks.video import is_video

    if bool(args.images) == (args.camera is not None):
        raise ValueError("images, folders or videos are needed, or --camera N alone")
    config = load_config(args.config, args.cfg_options)
    videos = [Path(name) for name in args.images if is_video(name)]
    images = image_files([name for name in args.images if not is_video(name)])
    sources = videos if args.camera is None else [args.camera]
    model = load_task_model(config, args.checkpoint)
    begin = time.perf_counter()
    if describe(task_model_config(config)).per_image:
        if sources or args.side_by_side:
            raise ValueError(
                "a classifier draws nothing: give it pictures, without --side-by-side, "
                "and its classes are printed"
            )
        count = _classify(model, config, images)
    else:
        count = _draw_pictures(model, config, images, args) if images else 0
        count += _draw_videos(model, config, sources, args, kept=[*videos, *images])
    # Beside the answers, which others may read.
    print(cli.speed(count, time.perf_counter() - begin), file=sys.stderr)


def _classify(model: BaseModel, config: Config, images: list[Path]) -> int:
    """Print the likeliest classes of pictures; gives how many those were."""
    from tasks.predict import classify_image

    for path in images:
        classes = classify_image(model, config, path)
        print(f"{path}: " + "  ".join(f"{n} {100 * p:.1f} %" for n, p in classes))
    return len(images)


def _draw_pictures(
    model: BaseModel, config: Config, images: list[Path], args: argparse.Namespace
) -> int:
    """Write what is predicted of pictures; gives how many those were."""
    from tqdm import tqdm

    from cmim.engine.config_place import named_part
    from tasks.predict import (
        class_colours,
        class_names,
        network_size,
        picture_kind,
        predict_image,
    )
    from tasks.prediction_writer import PredictionWriter

    size = network_size(config)

    @named_part
    def predict(config: Config, path: Path) -> object:
        return predict_image(model, path, size, **picture_kind(config))

    writer = PredictionWriter(
        args.out,
        class_names(config),
        class_colours(config),
        kept=images,
        beside=args.side_by_side,
    )
    written = []
    for path in tqdm(images, unit="image", disable=None):
        written += writer(predict(config, path))
    for path in written:
        print(path)
    return len(images)


def _draw_videos(
    model: BaseModel,
    config: Config,
    sources: list[Path] | list[int],
    args: argparse.Namespace,
    kept: list[Path],
) -> int:
    """Write the videos of the drawings; gives the number of frames."""
    from cmim.engine.config_place import named_part
    from tasks.datasets.errors import DataError
    from tasks.predict_video import free_path, predict_video

    count = 0
    for source in sources:
        target = free_path(Path(args.out), source, kept)
        kept.append(target)
        done = named_part(predict_video)(
            model, config, source, target, args.side_by_side, args.frames
        )
        print(done.path)
        count += done.frames
        if done.lost:
            raise DataError(f"{done.lost}; '{done.path}' shows what there was")
    return count
