"""The thin shell around a machine that decides when a phrase is due."""

import asyncio
from collections.abc import Collection
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from pipecat.frames.frames import CancelFrame, EndFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.time import nanoseconds_to_seconds


class PhraseMachine(Protocol):
    """Decides without I/O."""

    @property
    def deadline(self) -> float | None:
        """Clock reading in seconds at which ``tick`` must be called; None while nothing can be due."""

    def tick(self, now: float) -> str | None:
        """Let time pass.

        Args:
            now: Clock reading in seconds.

        Returns:
            The phrase that is due, or None.
        """


Machine = TypeVar("Machine", bound=PhraseMachine)


class TimedPhrases(FrameProcessor, Generic[Machine]):
    """Tells a machine what frames mean, and has its phrases said when they are due. Passes every frame on."""

    _LEAST_WAIT_SECS = 0.0

    def __init__(self, machine: Machine, phrases: Collection[str], **kwargs: Any):
        """Initialize without waiting for anything.

        Args:
            machine: Decides.
            phrases: All that it may say; without any, nothing is ever waited for.
            **kwargs: For ``FrameProcessor``.
        """
        super().__init__(**kwargs)
        self._machine = machine
        self._phrases = phrases
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def cleanup(self) -> None:
        """Stop waiting."""
        await self._end()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what a frame tells, and pass it on.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        await super().process_frame(frame, direction)
        if self._phrases and await self._note(frame):
            self._changed.set()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._phrases:
            self._tasks = [self.create_task(self._make_ready()), self.create_task(self._wait())]
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._end()

    async def _note(self, frame: Frame) -> bool:
        """Tell the machine what a frame means to it; False if that is nothing, as with every frame of audio."""
        raise NotImplementedError

    async def _say(self, text: str) -> None:
        """Have a phrase said that is due."""
        raise NotImplementedError

    async def _make_ready(self) -> None:
        """Have the sounds of the phrases at hand: only then they can be said."""
        raise NotImplementedError

    async def _wait(self) -> None:
        while True:
            self._changed.clear()
            due = self._machine.deadline
            wait = None if due is None else max(self._LEAST_WAIT_SECS, due - self._now())
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            if (text := self._machine.tick(self._now())) is not None:
                await self._say(text)

    async def _end(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    def _now(self) -> float:
        return nanoseconds_to_seconds(self.get_clock().get_time())
