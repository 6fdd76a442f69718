"""Predict on pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from cmim.engine import cli

# The name of a network of the zoo stands for CONFIG and CHECKPOINT.
TAKES_ZOO_NAMES = True


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Predict classes, depth, normals or edges for pictures, whatever the model "
        "does; writes a picture to look at, and the exact values as PNG (class + 1, "
        "millimetres, components, probabilities). A classifier's likeliest classes are "
        "printed with their probabilities.",
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
    parser.add_argument(
        "images", nargs="+", help="picture files of any size, or folders"
    )
    parser.add_argument(
        "--out",
        default="predictions",
        type=cli.output_folder,
        help="folder to write into",
    )
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from mmengine.config import Config
    from tqdm import tqdm

    from cmim.engine.config import load_config, task_model_config
    from cmim.engine.config_place import named_part
    from cmim.engine.evaluate import load_task_model
    from cmim.task_model import describe
    from tasks.predict import (
        class_colours,
        class_names,
        classify_image,
        image_files,
        network_size,
        picture_kind,
        predict_image,
    )
    from tasks.prediction_writer import PredictionWriter

    config = load_config(args.config, args.cfg_options)
    images = image_files(args.images)
    model = load_task_model(config, args.checkpoint)
    if describe(task_model_config(config)).per_image:
        for path in images:
            classes = classify_image(model, config, path)
            print(f"{path}: " + "  ".join(f"{n} {100 * p:.1f} %" for n, p in classes))
        return
    size = network_size(config)

    @named_part
    def predict(config: Config, path: Path) -> object:
        return predict_image(model, path, size, **picture_kind(config))

    writer = PredictionWriter(
        args.out, class_names(config), class_colours(config), kept=images
    )
    written = []
    for path in tqdm(images, unit="image", disable=None):
        written += writer(predict(config, path))
    for path in written:
        print(path)
