"""How much each task counts in a joint training: one weighting per file.

A module with ``WEIGHTING``, a :class:`TaskWeights`, is one, and its name is the
weighting's.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmseg.registry import MODELS

from cmim.naming import factories, make_named
from tasks.multitask.weighting.dynamic import DynamicWeights, dynamic_weights
from tasks.multitask.weighting.fixed import FixedWeights
from tasks.multitask.weighting.task_weights import TaskWeights
from tasks.multitask.weighting.uncertainty import UncertaintyWeights

__all__ = [
    "DynamicWeights",
    "FixedWeights",
    "TaskWeights",
    "UncertaintyWeights",
    "available_weightings",
    "dynamic_weights",
    "make_weighting",
]


def available_weightings() -> list[str]:
    """Names of all weightings, sorted.

    Examples:
        >>> {"dynamic", "fixed", "uncertainty"} <= set(available_weightings())
        True
    """
    return sorted(factories("tasks.multitask.weighting", "WEIGHTING"))


def make_weighting(weighting: str | dict, tasks: Sequence[str]) -> TaskWeights:
    """The weighting that a config names.

    Args:
        weighting: A name, or ``dict(name=..., **options)``. A class that mmseg's
            registry knows is accepted as well, by ``type`` or by its name alone.
        tasks: Names of the tasks, in order.

    Raises:
        ValueError: Unknown name or option; the message lists what exists.

    Examples:
        >>> make_weighting(dict(name="dynamic", temperature=1.0), ["seg"]).temperature
        1.0
        >>> type(make_weighting("FixedWeights", ["seg"])).__name__
        'FixedWeights'
        >>> make_weighting("fix", ["seg"])
        Traceback (most recent call last):
        ValueError: weighting 'fix' is unknown; choose from dynamic, fixed, ...
    """
    known = factories("tasks.multitask.weighting", "WEIGHTING")
    if isinstance(weighting, str):
        registered = weighting not in known and MODELS.get(weighting) is not None
        weighting = {"type" if registered else "name": weighting}
    entry = {**weighting, "tasks": tuple(tasks)}
    return (
        MODELS.build(entry)
        if "type" in entry
        else make_named("weighting", known, entry)
    )
