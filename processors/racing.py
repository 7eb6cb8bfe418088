"""Attempts at a connection side by side, after the idea of happy eyeballs (RFC 8305).

Where a network swallows data, an attempt that began before it came back hangs until its own limit. One that begins now
gets through at once; but on a slow network the older one is the nearer to success, and is not to be given up for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

Result = TypeVar("Result")
Claim = Callable[[], None]


class _Race(Generic[Result]):
    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[Result]] = []
        self.winner: asyncio.Task[Result] | None = None
        self.decided = asyncio.Event()

    async def run(self, attempt: Callable[[Claim], Awaitable[Result]]) -> Result:
        try:
            return await attempt(self._claim)
        finally:
            self._claim()  # whoever ends has an answer, if only that there is none

    def _claim(self) -> None:
        task = asyncio.current_task()
        if self.winner is not None or task not in self.tasks:
            return
        self.winner = task
        self.decided.set()
        for other in self.tasks:
            if other is not task:
                other.cancel()


async def first_through(attempt: Callable[[Claim], Awaitable[Result]], every_secs: float) -> Result:
    """Make an attempt, and others beside it while none has got through.

    Args:
        attempt: Makes one. It is given what to call as soon as it is clear that it gets through; that ends all others.
            Otherwise the first that ends is taken, whether it succeeded or not. It must take being cancelled.
        every_secs: How long after an attempt the next begins.

    Returns:
        What the first attempt gives.

    Raises:
        Exception: What it raises.
    """
    race: _Race[Result] = _Race()
    try:
        while race.winner is None:
            race.tasks.append(asyncio.create_task(race.run(attempt)))
            with suppress(TimeoutError):
                async with asyncio.timeout(every_secs):
                    await race.decided.wait()
        return await race.winner
    finally:
        for task in race.tasks:
            task.cancel()
        await asyncio.gather(*race.tasks, return_exceptions=True)
