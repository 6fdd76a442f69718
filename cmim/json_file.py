"""Reads what a run has written as JSON, and names the file that is no such thing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class JsonFileError(ValueError):
    """A file of a run that is damaged or holds something else."""


def read_json(path: str | Path, kind: type = dict) -> Any:
    """The content of a JSON file.

    Args:
        path: An existing file.
        kind: What it must hold.

    Raises:
        JsonFileError: It is no JSON, or holds something else; the message names it.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise JsonFileError(
            f"'{path}' is damaged: it is no JSON ({error}); get it again from the run, "
            "or train again"
        ) from None
    if not isinstance(found, kind):
        raise JsonFileError(
            f"'{path}' holds a {type(found).__name__}, expected a {kind.__name__}; get "
            "it again from the run, or train again"
        )
    return found
