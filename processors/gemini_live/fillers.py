"""Something to say while a function takes its time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

_AGAIN_SECS = 8.0


class Fillers:
    """Says something when a function takes longer than a set time, and again when it takes much longer."""

    def __init__(
        self,
        say: Callable[[str], Awaitable[None]],
        create_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        cancel_task: Callable[[asyncio.Task[None]], Awaitable[Any]],
    ) -> None:
        """Start silent.

        Args:
            say: Speaks a text.
            create_task: Pipecat's.
            cancel_task: Pipecat's.
        """
        self._say = say
        self._create_task = create_task
        self._cancel_task = cancel_task
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._count = 0

    def begin(self, call_id: str, after: float, texts: tuple[str, ...]) -> None:
        """A function was called.

        Args:
            call_id: Id of the call.
            after: Seconds it may take without a word.
            texts: What to say, one text for each slow call in turn.
        """
        self._waiting[call_id] = self._create_task(self._wait(after, texts), f"filler for {call_id}")

    async def end(self, call_id: str) -> None:
        """The call is over.

        Args:
            call_id: Its id.
        """
        task = self._waiting.pop(call_id, None)
        if task is not None and not task.done():
            await self._cancel_task(task)

    async def end_all(self) -> None:
        """Nothing is to be said any more."""
        for call_id in list(self._waiting):
            await self.end(call_id)

    async def _wait(self, after: float, texts: tuple[str, ...]) -> None:
        while True:
            await asyncio.sleep(after)
            text = texts[self._count % len(texts)]
            self._count += 1
            await self._say(text)
            # Again for whoever waits long, but less and less often.
            after = max(_AGAIN_SECS, 2 * after)
