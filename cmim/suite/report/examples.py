"""Example predictions of a suite's rows side by side, as pictures within the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cmim.suite.examples import read_example
from cmim.suite.report.charts import title_of
from cmim.suite.rows import Row

# Pictures by the place of the frame.
Frames = dict[int, dict[str, Any]]


@dataclass(frozen=True)
class ExampleTable:
    """Frames below each other, rows of the suite beside each other.

    Attributes:
        task: Name of the task.
        rows: Titles of the rows that solve it, one a column.
        frames: ``frame``, its name, and as addresses that hold the picture ``image``,
            ``truth`` and, by column, ``predictions``; None for what is not there.
    """

    task: str
    rows: list[str]
    frames: list[dict[str, Any]]


def example_tables(rows: Sequence[Row]) -> list[ExampleTable]:
    """The examples of each row's first run, a table for each task.

    Args:
        rows: Of one suite; those whose runs have kept none have no column.
    """
    kept = [(title_of(row), _examples(row.records[0])) for row in rows]
    tasks = dict.fromkeys(task for _, found in kept for task in found)
    return [
        _table(task, [(title, found[task]) for title, found in kept if task in found])
        for task in tasks
    ]


def _table(task: str, rows: Sequence[tuple[str, Frames]]) -> ExampleTable:
    titles = [title for title, _ in rows]
    found = [frames for _, frames in rows]
    shown = []
    for place in sorted({place for frames in found for place in frames}):
        # Image and truth are those of any row.
        first = next(frames[place] for frames in found if place in frames)
        predictions = [frames.get(place, {}).get("prediction") for frames in found]
        shown.append({**first, "predictions": predictions})
    return ExampleTable(task, titles, shown)


def _examples(record: Mapping[str, Any]) -> dict[str, Frames]:
    """Pictures of each frame, by task and place."""
    folder = Path(record.get("path", "")).parent
    found: dict[str, Frames] = {}
    kept = record.get("examples") or ()
    # A note stands in place of what could not be drawn.
    for place, example in enumerate(() if isinstance(kept, Mapping) else kept):
        for task, parts in example["tasks"].items():
            found.setdefault(task, {})[place] = dict(
                frame=example["frame"],
                image=_address(folder, example["image"]),
                truth=_address(folder, parts["truth"]),
                prediction=_address(folder, parts["prediction"]),
            )
    return found


def _address(folder: Path, name: str | None) -> str | None:
    data = None if name is None else read_example(folder, name)
    if data is None:
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
