"""What all command-line tools share: errors as one sentence, options, summaries."""

from __future__ import annotations

import argparse
import inspect
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from mmengine.config import DictAction
from mmseg.registry import MODELS

from cmim.engine.allocator import keep_freed_memory

# Errors a user can cause; anything else is a defect and keeps its traceback.
USER_ERRORS = (ValueError, TypeError, KeyError, FileNotFoundError, ImportError, OSError)


def run_tool(main: Callable[[], None]) -> None:
    """Run a tool; say a user's error in one sentence and exit with 2.

    Set ``CMIM_TRACEBACK=1`` to see where it was raised. The process keeps the memory
    that it frees, see :mod:`cmim.engine.allocator`.

    Args:
        main: The tool.
    """
    warnings.filterwarnings("ignore", message="Fail to import ``MultiScaleDeformable")
    keep_freed_memory()
    try:
        main()
    except USER_ERRORS as error:
        if os.environ.get("CMIM_TRACEBACK"):
            traceback.print_exc()
        print(f"error: {_sentence(error)}", file=sys.stderr)
        sys.exit(2)
    except subprocess.CalledProcessError as error:
        # The tool that was called has said why.
        sys.exit(error.returncode)
    except KeyboardInterrupt:
        sys.exit(130)


def _sentence(error: Exception) -> str:
    text = str(error)
    if "Original Traceback" in text:
        # A loader worker's error arrives with its traceback: the last line says it.
        text = text.rstrip().splitlines()[-1].split(": ", 1)[-1]
    return _accepted_options(" ".join(text.split())) or type(error).__name__


def _accepted_options(text: str) -> str:
    """Python's message about a component's unknown option, with the known ones."""
    found = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword .*'(\w+)'", text)
    component = MODELS.get(found[1]) if found else None
    if found is None or component is None:
        return text
    accepted = ", ".join(inspect.signature(component).parameters)
    return f"{found[1]} has no option '{found[2]}'; it accepts {accepted}"


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


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add CONFIG and ``--cfg-options``."""
    parser.add_argument("config", help="config file, e.g. configs/nyud_seg_bireal.py")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="NAME=VALUE",
        help="override parts of the config, e.g. data_root=data/nyuv2 "
        "model.partner=teacher train_cfg.max_iters=200; methods: "
        "model.model.backbone.method=irnet, ...method=bireal+unbalanced, "
        "...method.t_max=5 (twins: model.backbone.method)",
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json FILE``."""
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")


def one_line(figures: dict[str, Any]) -> str:
    """Figures as ``name value`` pairs on one line.

    Those of single classes are left out, see :func:`class_lines`.

    Examples:
        >>> one_line({"mIoU": 8.5, "images": 3})
        'mIoU 8.5  images 3'
    """
    plain = {k: v for k, v in figures.items() if not isinstance(v, dict)}
    return "  ".join(f"{name} {value}" for name, value in plain.items())


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
