"""Has text that ends in no good place spoken in time."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from halfcascade.processors.chirp_tts.pace import CutClock
from halfcascade.processors.chirp_tts.segmenter import Place, SpeechSegmenter
from halfcascade.processors.chirp_tts.stream import TaskFactory


class PendingText:
    """The task behind a ``CutClock``: waits for its moments, or for more text."""

    def __init__(
        self,
        segmenter: SpeechSegmenter,
        clock: CutClock,
        *,
        now: Callable[[], float],
        dry_at: Callable[[], float | None],
        cut: Callable[[Place], Awaitable[None]],
        create_task: TaskFactory,
    ):
        """Begin without text.

        Args:
            segmenter: Holds the text.
            clock: Tells when to cut.
            now: Reads the clock, in seconds.
            dry_at: Tells when the next segment must go to synthesis, or None while nothing is said.
            cut: Asks for a cut.
            create_task: The processor's task manager.
        """
        self._segmenter = segmenter
        self._clock = clock
        self._now = now
        self._dry_at = dry_at
        self._cut = cut
        self._create_task = create_task
        self._changed = asyncio.Event()
        self._task: asyncio.Task | None = None

    def changed(self) -> None:
        """The segmenter was fed, or has cut."""
        self._clock.text_came(self._now())
        self._changed.set()

    def watch(self) -> None:
        """Wait for the moments of what is pending from now on, if anything is."""
        if self._segmenter.pending.strip() and (self._task is None or self._task.done()):
            self._task = self._create_task(self._wait())

    def close(self) -> None:
        """Wait no more."""
        if self._task is not None:
            self._task.cancel()

    async def _wait(self) -> None:
        segmenter, clock = self._segmenter, self._clock
        while segmenter.awaits_first or segmenter.awaits_more:
            self._changed.clear()
            due = clock.due(self._dry_at())
            if due is not None and due.at <= self._now():
                clock.tried(due)
                await self._cut(due.place)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(None if due is None else due.at - self._now()):
                    await self._changed.wait()
