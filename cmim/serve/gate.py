"""One picture at a time, some in a queue, and nobody forever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from cmim.serve.limits import Limits, Refusal

T = TypeVar("T")


class Gate:
    """Lets one piece of work run at a time, in a thread beside the event loop.

    One, since a network takes all cores; two would share them and both be late.

    Args:
        limits: How many wait, and how long.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside = 0
        self._turn = asyncio.Semaphore(1)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="network")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place inside, which everything that holds a picture in memory needs.

        Raises:
            Refusal: 503, all places are taken.
        """
        if self.inside > self.limits.waiting:
            raise Refusal(
                503,
                f"{self.inside} pictures are being looked at or wait, which is the "
                "limit; try again in a moment",
            )
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def run(self, work: Callable[[], T]) -> T:
        """Do a piece of work when it is its turn.

        Work that takes too long cannot be stopped: it keeps its turn, and others wait.

        Raises:
            Refusal: 503, the turn did not come in time; 504, the work took too long.
        """
        seconds = self.limits.seconds
        try:
            await asyncio.wait_for(self._turn.acquire(), seconds)
        except asyncio.TimeoutError:
            raise Refusal(
                503, f"the picture waited for {seconds:g} s; try again in a moment"
            ) from None
        loop = asyncio.get_running_loop()
        done = loop.run_in_executor(self._threads, work)
        done.add_done_callback(lambda _: self._turn.release())
        try:
            return await asyncio.wait_for(asyncio.shield(done), seconds)
        except asyncio.TimeoutError:
            done.add_done_callback(_look_at)
            raise Refusal(
                504,
                f"the network did not answer within {seconds:g} s; send a smaller "
                "picture, or start the server with a longer --seconds",
            ) from None


def _look_at(done: asyncio.Future) -> None:
    """Nobody waits any more: an error is no surprise to report at the end."""
    if not done.cancelled():
        done.exception()
