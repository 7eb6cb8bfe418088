"""A gate behind the microphone, and the places where audio ends."""

from collections.abc import Callable
from dataclasses import replace

from pipecat.frames.frames import Frame, InputAudioRawFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor


class MicrophoneGate(FrameProcessor):
    """Lets what the microphone hears pass, or silence of the same length while it is closed.

    Silence rather than nothing, so that a sentence that is cut off by closing it ends as one that was finished.

    Attributes:
        closed: Whether only silence passes; may be changed at any time.
        heard: Called with the audio that passes, before anybody hears it; must return at once.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.closed = False
        self.heard: Callable[[bytes], None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            if self.closed:
                frame = replace(frame, audio=bytes(len(frame.audio)))
            if self.heard:
                self.heard(frame.audio)
        await self.push_frame(frame, direction)


class MicrophoneEnd(FrameProcessor):
    """Keeps the microphone's audio from going on to processors that have no use for it.

    It belongs behind the last one that listens. Each further processor would pass on fifty blocks a second, which costs
    a talk more than its networks do.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, unless it is audio from the microphone.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM or not isinstance(frame, InputAudioRawFrame):
            await self.push_frame(frame, direction)


class LoudspeakerEnd(FrameProcessor):
    """Keeps audio that has been played from going on to processors that have no use for it.

    It belongs behind the output, which pushes on each block that it has handed to the client.
    """

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, unless it is audio that was played.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM or not isinstance(frame, OutputAudioRawFrame):
            await self.push_frame(frame, direction)
