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


class _AudioEnd(FrameProcessor):
    """Keeps audio of one kind from going on downstream, to processors that have no use for it.

    Each processor would pass on fifty blocks a second, which costs a talk more than its networks do.
    """

    _audio: type[Frame]

    def __init__(self) -> None:
        """Initialize without a queue: it only passes on."""
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, unless it is such audio.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM or not isinstance(frame, self._audio):
            await self.push_frame(frame, direction)


class MicrophoneEnd(_AudioEnd):
    """Ends the microphone's audio. It belongs behind the last one that listens."""

    _audio = InputAudioRawFrame


class LoudspeakerEnd(_AudioEnd):
    """Ends audio that has been played. It belongs behind the output, which pushes on each block that the client got."""

    _audio = OutputAudioRawFrame
