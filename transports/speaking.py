"""When the bot is told to speak: of what is played, and of nothing that an interruption has overtaken."""

import asyncio
from collections.abc import Awaitable, Callable

from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.utils import obj_id

SpeakingFrame = BotStartedSpeakingFrame | BotStoppedSpeakingFrame


class Interruptions:
    """Knows which audio was on its way when the last interruption came.

    An interruption empties the queue of Pipecat's media sender, but not its hand: a block that the sender has taken
    out and not yet written comes after all. Frames are numbered in the order in which they are made.
    """

    def __init__(self) -> None:
        self._last = -1

    def note(self) -> None:
        """An interruption comes now: all audio that there is belongs to what was interrupted."""
        self._last = obj_id()

    def overtook(self, frame: OutputAudioRawFrame) -> bool:
        """Whether a block is one of those that were interrupted."""
        return frame.interruptible and frame.id < self._last


class SpeakingNews:
    """Passes on that the bot starts and stops speaking, in pairs and in their order.

    Pipecat's media sender tells of the start before it writes the block. For a block that is then not played because an
    interruption has overtaken it, a start would be told with nothing heard, and no end before three seconds later, when
    the sender gives the reply up. So a start is kept until a block is played, and an end takes back a start that is
    still kept. What starts while an end waits for the last sample to be heard is told after it.

    Args:
        push: Passes a frame on.
        silence: Waits until everything has been heard.
    """

    def __init__(
        self, push: Callable[[SpeakingFrame, FrameDirection], Awaitable[None]], silence: Callable[[], Awaitable[None]]
    ):
        self._push = push
        self._silence = silence
        self._kept: list[tuple[BotStartedSpeakingFrame, FrameDirection]] = []
        # Whether the end that is being given takes back a start.
        self._takes_back = False
        # Held while news are passed on in one direction and not yet in the other.
        self._telling = asyncio.Lock()

    async def tell(self, frame: SpeakingFrame, direction: FrameDirection) -> None:
        """Take news from the sender, which gives each downstream first, then upstream.

        Args:
            frame: The news.
            direction: Where it travels.
        """
        if isinstance(frame, BotStartedSpeakingFrame):
            self._kept.append((frame, direction))
            return
        if direction is FrameDirection.DOWNSTREAM:
            self._takes_back = bool(self._kept)
            self._kept = []
        if self._takes_back:
            return
        if direction is FrameDirection.DOWNSTREAM:
            await self._telling.acquire()
        goes_on = False
        try:
            await self._silence()
            await self._push(frame, direction)
            goes_on = direction is FrameDirection.DOWNSTREAM
        finally:
            if not goes_on:
                self._telling.release()

    async def plays(self) -> None:
        """A block is to be played now: say that the bot has started, if nobody has yet."""
        if not self._kept:
            return
        async with self._telling:
            kept, self._kept = self._kept, []
            for start, direction in kept:
                await self._push(start, direction)
