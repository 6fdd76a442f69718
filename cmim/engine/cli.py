"""What all command-line tools share: options, summaries, errors as one sentence."""

from __future__ import annotations

import argparse
from typing import Any

from cmim.engine.options_action import OptionsAction
from cmim.engine.output_path import output_file, output_folder
from cmim.engine.run_tool import run_tool

LARGEST_SEED = 2**32 - 1

__all__ = [
    "add_config_options",
    "add_json_option",
    "make_parser",
    "not_negative",
    "one_line",
    "output_file",
    "output_folder",
    "positive",
    "run_tool",
    "seed",
]


def make_parser(description: str, example: str) -> argparse.ArgumentParser:
    """A parser whose help ends with an example.

    Args:
        description: What the tool does.
        example: A command that works.
    """
    return argparse.ArgumentParser(
        description=description,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def positive(text: str) -> int:
    """A whole number of at least 1, as a type of an option.

    Examples:
        >>> positive("3")
        3
    """
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """A whole number of at least 0, as a type of an option.

    Examples:
        >>> not_negative("0")
        0
    """
    return _whole_number(text, 0)


def seed(text: str) -> int:
    """A seed that Python, NumPy and torch take, as a type of an option.

    Examples:
        >>> seed("7")
        7
    """
    number = _whole_number(text, 0)
    if number > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LARGEST_SEED}")
    return number


def _whole_number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no whole number of at least {least}"
        )
    return number


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


def one_line(figures: dict[str, Any]) -> str:
    """Figures as ``name value`` pairs on one line.

    Examples:
        >>> one_line({"mIoU": 8.5, "images": 3})
        'mIoU 8.5  images 3'
    """
    return "  ".join(f"{name} {value}" for name, value in figures.items())
