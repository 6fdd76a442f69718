"""What all command-line tools share: options, summaries, errors as one sentence."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from cmim.engine.option_types import (
    not_negative,
    output_file,
    output_folder,
    picture_file,
    positive,
    seed,
)
from cmim.engine.options_action import OptionsAction
from cmim.engine.run_tool import run_tool
from cmim.engine.tool_parser import ToolParser
from cmim.engine.views import read_views

__all__ = [
    "OptionsAction",
    "add_config_options",
    "add_json_option",
    "make_parser",
    "not_negative",
    "one_line",
    "output_file",
    "output_folder",
    "picture_file",
    "positive",
    "read_views",
    "run_tool",
    "seed",
    "speed",
]


def make_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with an example.

    Args:
        description: What the tool does.
        example: A command that works.
    """
    return ToolParser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG and ``--cfg-options``."""
    parser.add_argument("config", help="config file, e.g. configs/nyud_seg_bireal.py")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=OptionsAction,
        metavar="NAME=VALUE",
        help="override parts of the config, e.g. data_root=data/nyuv2 "
        "model.partner=teacher train_cfg.max_iters=200; methods: "
        "model.model.backbone.method=irnet, ...method=bireal+unbalanced, "
        "...method.t_max=5 (twins: model.backbone.method)",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``."""
    parser.add_argument(
        "--json",
        metavar="FILE",
        type=output_file,
        help="write the figures there too",
    )


def one_line(figures: Mapping[str, Any]) -> str:
    """Figures as ``name value`` pairs on one line.

    Those of single classes are left out, see :func:`class_lines`.

    Examples:
        >>> one_line({"mIoU": 8.5, "images": 3})
        'mIoU 8.5  images 3'
    """
    plain = {k: v for k, v in figures.items() if not isinstance(v, dict)}
    return "  ".join(f"{name} {value}" for name, value in plain.items())


def speed(images: int, seconds: float) -> str:
    """How long images took, for the last line of a tool.

    Examples:
        >>> speed(8, 2.0)
        '8 images in 2.0 s, 4.0 images/s'
        >>> speed(1, 0.5)
        '1 image in 0.5 s, 2.0 images/s'
    """
    word = "image" if images == 1 else "images"
    return f"{images} {word} in {seconds:.1f} s, {images / seconds:.1f} images/s"


def class_lines(figures: dict[str, Any]) -> str:
    """Figures of single classes, a class a line; a dash where one is undefined.

    Examples:
        >>> print(class_lines({"mIoU": 8.5, "per_class": {
        ...     "wall": {"iou": 8.5}, "car": {"iou": None}}}))
        wall  iou 8.5
        car  iou -
    """
    lines = []
    for name, classes in figures.items():
        prefix = name.removesuffix("per_class")
        for label, values in classes.items() if isinstance(classes, dict) else ():
            row = {k: "-" if v is None else v for k, v in values.items()}
            lines.append(f"{prefix}{label}  {one_line(row)}")
    return "\n".join(lines)
