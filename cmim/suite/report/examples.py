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


@dataclass(frozen=True)
class ExampleTable:
    """Frames below each other, rows of the suite beside each other.

    Attributes:
        rows: Titles of the suite's rows, one a column.
        frames: ``frame``, ``task``, and as addresses that hold the picture ``image``,
            ``truth`` and, by column, ``predictions``; None for what is not there.
    """

    rows: list[str]
    frames: list[dict[str, Any]]


def example_table(rows: Sequence[Row]) -> ExampleTable | None:
    """The examples of each row's first run; None where no run has kept any.

    Args:
        rows: Of one suite.
    """
    kept = [(title_of(row), _examples(row.records[0])) for row in rows]
    kept = [(title, found) for title, found in kept if found]
    places = sorted({place for _, found in kept for place in found})
    frames = []
    for place in places:
        first = next(found[place] for _, found in kept if place in found)
        shown = [found.get(place, {}).get("prediction") for _, found in kept]
        _, frame, task = place
        frames.append(
            dict(first, frame=frame, task=task, predictions=shown, prediction=None)
        )
    return ExampleTable([title for title, _ in kept], frames) if frames else None


def _examples(record: Mapping[str, Any]) -> dict[tuple[int, str, str], dict[str, Any]]:
    """Pictures by place, frame and task."""
    folder = Path(record.get("path", "")).parent
    return {
        (place, example["frame"], task): dict(
            image=_address(folder, example["image"]),
            truth=_address(folder, parts["truth"]),
            prediction=_address(folder, parts["prediction"]),
        )
        for place, example in enumerate(record.get("examples") or ())
        for task, parts in example["tasks"].items()
    }


def _address(folder: Path, name: str | None) -> str | None:
    data = None if name is None else read_example(folder, name)
    if data is None:
        return None
    return f"data:image/webp;base64,{base64.b64encode(data).decode()}"
