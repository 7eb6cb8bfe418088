"""A moment of Pipecat's media sender that is otherwise a matter of chance."""

import asyncio
from typing import Any

from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
from pipecat.frames.frames import FilterControlFrame, InterruptionFrame


class Hand(BaseAudioFilter):
    """An ``audio_out_filter`` that stops the sender with a block in its hand: out of the queue, not yet written.

    Args:
        then: What the block goes through afterwards, or None.

    Parameters:
        holds: Set while it does.
    """

    def __init__(self, then: BaseAudioFilter | None = None) -> None:
        self._then = then
        self.holds = asyncio.Event()
        self._go = asyncio.Event()
        self._go.set()

    def hold(self) -> None:
        """Hold the next block."""
        self._go.clear()

    async def interrupt(self, middle: Any) -> None:
        """Interrupt what is said, and return with a block of it still held.

        Args:
            middle: Stands where the bot speaks.
        """
        await middle.started.wait()
        self.hold()
        await self.holds.wait()
        await middle.push_frame(InterruptionFrame())
        await middle.stopped.wait()

    def let_go(self) -> None:
        """Let it go."""
        self._go.set()

    async def start(self, sample_rate: int) -> None:
        """Begin with nothing."""
        if self._then:
            await self._then.start(sample_rate)

    async def stop(self) -> None:
        """End with nothing."""

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Take no orders from frames."""

    async def filter(self, audio: bytes) -> bytes:
        """Give a block back as it is, when it may go."""
        if not self._go.is_set():
            self.holds.set()
            await self._go.wait()
            self.holds.clear()
        return await self._then.filter(audio) if self._then else audio
