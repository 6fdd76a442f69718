"""Timing in turns: everything runs in each round, so that noise hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from tqdm import trange

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def time_turns(
    turns: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 2,
    rehearsed: bool = False,
    before_round: Callable[[], object] | None = None,
    label: str | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each turn in each round.

    Args:
        turns: The calls to time, by name; each waits for its device itself.
        rounds: Rounds that are timed.
        warm_up: Rounds before them that are not.
        rehearsed: Whether each turn runs once more, not timed, before it is timed, so
            that caches hold what they hold where it runs alone.
        before_round: Called before each round; it is not timed.
        label: In front of the bar that shows the progress.
        clock: Seconds; ``time.process_time`` for those that the processor spent.

    Examples:
        >>> calls = []
        >>> turns = dict(a=lambda: calls.append("a"), b=lambda: calls.append("b"))
        >>> {name: len(times) for name, times in time_turns(turns, 3, 1).items()}
        {'a': 3, 'b': 3}
        >>> "".join(calls)
        'abababab'
    """
    times: dict[str, list[float]] = {name: [] for name in turns}
    for round_ in trange(rounds + warm_up, unit="round", desc=label, disable=None):
        if before_round is not None:
            before_round()
        for name, turn in turns.items():
            if rehearsed:
                turn()
            begin = clock()
            turn()
            seconds = clock() - begin
            if round_ >= warm_up:
                times[name].append(seconds)
    return times
