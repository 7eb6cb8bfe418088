"""What a door hears, on its way into the pipeline: in fewer pieces while nobody speaks."""

from collections.abc import Iterator

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport

# Clients send fifty blocks a second, and each wakes up a network and a dozen processors whose memory the machine has
# lent to others meanwhile: that is most of what a talk costs. Nobody is told of a beginning before 60 ms of speech, and
# the ears keep what was before it; within speech every 10 ms count, since it may be over.
_SOUND_SECS = 0.04
_QUIET_SECS = 0.08
# -40 dBFS: what makes no greater samples is no speech, or too little of it to be taken for some.
_QUIET_PEAK = 328


class Gathering:
    """Joins blocks of audio until there is enough: 40 ms of sound, 80 ms of what is quiet."""

    def __init__(self) -> None:
        self._held: InputAudioRawFrame | None = None

    def take(self, frame: InputAudioRawFrame, *, speech: bool) -> Iterator[InputAudioRawFrame]:
        """Take a block.

        Args:
            frame: The block, 16 bit.
            speech: Whether somebody speaks, so that it is to go on at once, with all that is held.

        Yields:
            What goes on now, in order.
        """
        held, self._held = self._held, None
        enough = 0.0 if speech else _QUIET_SECS if _is_quiet(frame.audio) else _SOUND_SECS
        if held and (held.sample_rate, held.num_channels) != (frame.sample_rate, frame.num_channels):
            yield held
        elif held:
            frame = InputAudioRawFrame(held.audio + frame.audio, frame.sample_rate, frame.num_channels)
        if frame.num_frames >= enough * frame.sample_rate:
            yield frame
        else:
            self._held = frame


def _is_quiet(audio: bytes) -> bool:
    samples = np.frombuffer(audio, "<i2")
    return bool(len(samples)) and samples.max() < _QUIET_PEAK and samples.min() > -_QUIET_PEAK


class PromptInput(BaseInputTransport):
    """Pushes audio as it is received; Pipecat queues it for another task, with a timer for each block.

    For inputs of Pipecat that come behind it among the bases. It takes no audio filter.
    """

    _gathering: Gathering | None = None
    _user_speaks = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Learn whether the user speaks, which the detector tells everybody.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._user_speaks = True
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._user_speaks = False
        await super().process_frame(frame, direction)

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push a block, or hold it until the next if nobody speaks.

        Args:
            frame: The block.
        """
        if self._paused:
            return
        self._gathering = self._gathering or Gathering()
        for block in self._gathering.take(frame, speech=self._user_speaks):
            await self.push_frame(block)
