"""Something to say while an answer or a function takes its time."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings, language_code
from halfcascade.processors.language import phrases

_AGAIN_SECS = 8.0


class Fillers:
    """Says something when a function takes longer than a set time, and again when it takes much longer."""

    def __init__(
        self,
        settings: GeminiLiveTextSettings,
        say: Callable[[str], Awaitable[None]],
        create_task: Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]],
        cancel_task: Callable[[asyncio.Task[None]], Awaitable[Any]],
    ) -> None:
        """Start silent.

        Args:
            settings: Of the brain, live: after how long something is said, and what.
            say: Speaks a text.
            create_task: Pipecat's.
            cancel_task: Pipecat's.
        """
        self._settings: Any = settings
        self._say = say
        self._create_task = create_task
        self._cancel_task = cancel_task
        self._waiting: dict[str, asyncio.Task[None]] = {}
        self._said = 0

    async def say_next(self) -> None:
        """The user has waited for an answer: say something, unless nothing is to be said at all."""
        if self._settings.filler_after is not None:
            texts = self._settings.fillers or phrases(language_code(self._settings.language)).fillers
            self._said += 1
            await self._say(texts[(self._said - 1) % len(texts)])

    def begin(self, call_id: str) -> None:
        """A function was called.

        Args:
            call_id: Id of the call.
        """
        if self._settings.filler_after is not None:
            waits = self._wait(self._settings.filler_after)
            self._waiting[call_id] = self._create_task(waits, f"filler for {call_id}")

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

    async def _wait(self, after: float) -> None:
        while True:
            await asyncio.sleep(after)
            await self.say_next()
            # Again for whoever waits long, but less and less often.
            after = max(_AGAIN_SECS, 2 * after)
