"""Labels of needed runs: where one name means several runs, axes tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from cmim.engine.config_error import ConfigError

if TYPE_CHECKING:
    from cmim.suite.plan import PlannedRun

# By the key of a run, the labels of the rows that it stands in front of.
Users = Mapping[str, Sequence[Mapping[str, str]]]


def tell_apart(planned: Sequence[PlannedRun], users: Users) -> list[PlannedRun]:
    """The runs of a plan, with labels by which no two of one seed are the same.

    A twin that is described once is another run under each config that needs one.

    Args:
        planned: Runs; those that others need are labelled by ``needed``, their name.
        users: Of each run.

    Returns:
        The same runs. Where one name means several, each has the value of the axis that
        tells them apart as well (of all axes that differ where one does not suffice);
        values that share the run are joined by ``/``.

    Raises:
        ConfigError: No axis tells them apart, since one row needs two of them.
    """
    named: dict[str, list[PlannedRun]] = {}
    for run in planned:
        if "needed" in run.labels:
            named.setdefault(run.labels["needed"], []).append(run)
    more: dict[str, dict[str, str]] = {}
    for runs in named.values():
        more.update(_values(runs, users))
    return [
        replace(run, labels={**run.labels, **more.get(run.key, {})}) for run in planned
    ]


def _values(runs: Sequence[PlannedRun], users: Users) -> dict[str, dict[str, str]]:
    """By key, the values of the axes that tell the runs of one name apart."""
    values = {run.key: _joined(users[run.key]) for run in runs}
    axes = list(dict.fromkeys(axis for found in values.values() for axis in found))
    differing = [axis for axis in axes if len({v[axis] for v in values.values()}) > 1]
    for chosen in ([], *([axis] for axis in differing), differing):
        labels = {key: {axis: v[axis] for axis in chosen} for key, v in values.items()}
        if len({(r.seed, *labels[r.key].values()) for r in runs}) == len(runs):
            return labels
    raise ConfigError(
        f"suite '{runs[0].suite}': '{runs[0].labels['needed']}' in needs means "
        f"{len(runs)} runs, and no axis tells them apart, since one row needs two of "
        "them; describe each under a name of its own"
    )


def _joined(users: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The values of all users by axis."""
    return {
        axis: "/".join(dict.fromkeys(labels[axis] for labels in users))
        for axis in users[0]
    }
