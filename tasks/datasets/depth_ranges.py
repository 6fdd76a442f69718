"""Whether head and evaluator reach as far as the depth of the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cmim.identity import identity_of


def range_notes(reach: Sequence[float] | None, config: Any, split: str) -> list[str]:
    """Compare the depth of a data set with what head and evaluator take.

    Args:
        reach: Nearest and farthest depth in metres; None where none is known.
        config: A config of this project, or a dictionary like it.
        split: ``train``, ``val`` or ``test``: whose evaluator.

    Returns:
        A sentence for each range that does not cover the data, none where all do.

    Examples:
        >>> config = dict(model=dict(decode_head=dict(depth_range=(0.1, 80))),
        ...     test_evaluator=dict(type="CMIMDepthMetric"))
        >>> for note in range_notes((2.0, 40.0), config, "test"): print(note)
        the evaluator takes depth of 0.1 to 10 m, the data go from 2 to 40 m: ...
    """
    if reach is None:
        return []
    ranges = [
        ("the head predicts", head["depth_range"])
        for head in identity_of(config)["heads"].values()
        if head["depth_range"] is not None
    ]
    metrics = config.get(f"{split}_evaluator") or []
    for metric in metrics if isinstance(metrics, (list, tuple)) else [metrics]:
        kind = metric.get("type")
        if getattr(kind, "__name__", kind) in ("DepthMetric", "CMIMDepthMetric"):
            limits = metric.get("depth_range") or (0.1, 10.0)
            ranges.append(("the evaluator takes", limits))
    return [
        f"{who} depth of {low:g} to {high:g} m, the data go from {reach[0]:g} to "
        f"{reach[1]:g} m: what lies outside is not "
        + ("measured" if "evaluator" in who else "reached")
        + "; give depth_range of head and evaluator the range of the data"
        for who, (low, high) in ranges
        if reach[0] < low or reach[1] > high
    ]
