"""Names of runs that no two runs of a process share."""

from __future__ import annotations

from collections import Counter

_given: Counter[str] = Counter()


def own_time(second: str) -> str:
    """The name of a run that starts in ``second``, such as ``20261130_133246``.

    mmengine names loggers, visualizers and message hubs after the second in which a run
    starts, and hands the first one's to any other run of that name in the process: the
    second run would write into the first one's folder, which may have moved away.

    >>> own_time("19700101_000000"), own_time("19700101_000000")
    ('19700101_000000', '19700101_000000_2')
    """
    _given[second] += 1
    number = _given[second]
    return second if number == 1 else f"{second}_{number}"
