"""When the bot is told to speak: of what is played, and of nothing that an interruption has overtaken."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
    SpeechOutputAudioRawFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.utils.utils import obj_id

# Who speaks is told again and again for those who wait for minutes of silence. Pipecat does so five times a second.
SPEAKING_PERIOD_SECS = 1.0

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


class OwnLoudspeaker(BaseOutputTransport):
    """An output that knows what its loudspeaker plays: it ducks, fades, and tells that the bot speaks by itself."""


class ToldAsPlayed(BaseOutputTransport):
    """Tells that the bot speaks only of what is played, and plays nothing that an interruption has overtaken.

    For outputs of Pipecat that come behind it among the bases::

        class Output(ToldAsPlayed, FastAPIWebsocketOutputTransport): ...

    `tell_as_played` makes one of an output that somebody else has made. An output that writes blocks itself asks
    ``plays`` before it does. Interruptions are of the default destination, so what goes to others is left as it is.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        """Make the output.

        Args:
            *args: For Pipecat's output.
            **kwargs: For Pipecat's output.
        """
        super().__init__(*args, **kwargs)
        self._begin_telling()

    def _begin_telling(self) -> None:
        self._interruptions = Interruptions()
        self._told_speaking_at = -SPEAKING_PERIOD_SECS
        self._news = SpeakingNews(super().push_frame, self.wait_until_silent)

    async def wait_until_silent(self) -> None:
        """Wait until all that was written has been heard or dropped, if that can be known here."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Learn of interruptions; the rest is the output's own.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if isinstance(frame, InterruptionFrame):
            self._interruptions.note()
        await super().process_frame(frame, direction)

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame; that the bot started speaking, with the first block that is played.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if isinstance(frame, SpeakingFrame) and frame.transport_destination is None:
            await self._news.tell(frame, direction)
        else:
            await super().push_frame(frame, direction)

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:
        """Broadcast a frame; that the bot still speaks, once a second.

        Args:
            frame_cls: Its class.
            **kwargs: Its fields.
        """
        if frame_cls is BotSpeakingFrame:
            now = time.monotonic()
            if now - self._told_speaking_at < SPEAKING_PERIOD_SECS:
                return
            self._told_speaking_at = now
        await super().broadcast_frame(frame_cls, **kwargs)

    async def plays(self, frame: OutputAudioRawFrame) -> bool:
        """Say that the bot has started, if a block is the first of its speech that is played.

        Args:
            frame: A block that is to be written now.

        Returns:
            Whether it is to be written; False if an interruption overtook it.
        """
        if frame.transport_destination is not None:
            return True
        # Nothing is told of other sounds: a start that is kept waits for speech.
        if isinstance(frame, TTSAudioRawFrame | SpeechOutputAudioRawFrame) and not self._interruptions.overtook(frame):
            await self._news.plays()
        return not self._interruptions.overtook(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Write a block, unless an interruption overtook it.

        Args:
            frame: The block.

        Returns:
            Whether it was taken.
        """
        return await self.plays(frame) and await super().write_audio_frame(frame)


def tell_as_played(output: BaseOutputTransport) -> None:
    """Let an output that somebody else has made be a `ToldAsPlayed`: the same object, of a class between.

    Args:
        output: Any of Pipecat's, before it runs; nothing happens to one that tells by itself.
    """
    if not isinstance(output, ToldAsPlayed | OwnLoudspeaker):
        made = type(output)
        output.__class__ = type(made.__name__, (ToldAsPlayed, made), {"__doc__": made.__doc__})
        cast("ToldAsPlayed", output)._begin_telling()
