"""Evaluate a checkpoint."""

from __future__ import annotations

import argparse

from cmim.engine import cli

# The name of a network of the zoo stands for CONFIG and CHECKPOINT.
TAKES_ZOO_NAMES = True


def build_parser() -> argparse.ArgumentParser:
    """The command's options."""
    parser = cli.make_parser(
        "Evaluate a checkpoint on the test split of its config: mIoU and accuracies "
        "for segmentation, errors in metres for depth, angles for normals, F-measures "
        "for edges, top-1 and top-5 for classification.",
        "python tools/test.py configs/nyud_seg_bireal_small.py "
        "work_dirs/nyud_seg_bireal_small/last.pth",
    )
    cli.add_config_options(parser)
    parser.add_argument(
        "checkpoint",
        help="WORK_DIR/last.pth of a training run, or what tools/export.py has made: "
        "MODEL.xml, .tflite, .qonnx, or (--weights-only) .pth; the name of a network "
        "that tools/zoo.py lists stands for both",
    )
    parser.add_argument(
        "--save-predictions",
        metavar="DIR",
        type=cli.output_folder,
        help="write predictions as PNG (class + 1, depth in mm, ...) and as pictures",
    )
    parser.add_argument(
        "--per-class",
        action="store_true",
        help="print IoU and accuracy of each class, too (segmentation; --json has them "
        "always)",
    )
    parser.add_argument(
        "--tta",
        metavar="VIEWS",
        type=cli.read_views,
        default=(),
        help="test-time augmentation: answers averaged over views of each picture, "
        "mirrored (flip), of other sizes (0.75,1,1.25) or both (flip,0.75,1,1.25)",
    )
    cli.add_json_option(parser)
    return parser


def run(args: argparse.Namespace) -> None:
    """Do what the options say."""
    from cmim.engine.config import load_config
    from cmim.engine.evaluate import evaluate, load_task_model
    from cmim.engine.record import write_json
    from tasks.predict import class_colours, class_names
    from tasks.prediction_writer import PredictionWriter

    config = load_config(args.config, args.cfg_options)
    model = load_task_model(config, args.checkpoint)
    writer = None
    if args.save_predictions:
        writer = PredictionWriter(
            args.save_predictions, class_names(config), class_colours(config)
        )
    figures = evaluate(model, config, writer, args.tta)
    if args.json:
        write_json(args.json, figures)
    if args.per_class and (lines := cli.class_lines(figures)):
        print(lines)
    print(cli.one_line(figures))
