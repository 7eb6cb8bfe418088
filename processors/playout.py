"""What a loudspeaker of one's own does, for any of Pipecat's output transports: ducking at once, and a fade at the end.

Pipecat queues speech seconds ahead, and its own volume frames wait in that queue. A `Playout` acts behind it: its
`filter` is the transport's ``audio_out_filter``, which sees each chunk just before it leaves; its `processor` goes into
the pipeline before the output and tells the filter what to do::

    playout = Playout()
    transport = SmallWebRTCTransport(params=TransportParams(..., audio_out_filter=playout.filter), ...)
    pipeline = Pipeline([..., voice, playout.processor, transport.output(), assistant])
"""

import time
from collections.abc import Callable

import numpy as np
from pipecat.audio.filters.base_audio_filter import BaseAudioFilter
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    FilterControlFrame,
    Frame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.processors.frames import DuckFrame

# Speech that is cut off is faded out over this long, or it would click.
_FADE_SECS = 0.01

Played = Callable[[bytes, int, float], None]


class PlayoutFilter(BaseAudioFilter):
    """Applies a gain to 16-bit mono audio as it leaves, and remembers how it ended.

    Args:
        played: Told each block with its rate and the ``time.monotonic()`` seconds at which it left, or None.
    """

    def __init__(self, played: Played | None = None):
        self._played = played
        self._rate = 0
        self._gain = self._target = 1.0
        self._step = 0.0
        self._last = b""

    async def start(self, sample_rate: int) -> None:
        """Learn the sample rate.

        Args:
            sample_rate: Samples per second of the transport.
        """
        self._rate = sample_rate

    async def stop(self) -> None:
        """Forget what was played."""
        self._last = b""

    async def process_frame(self, frame: FilterControlFrame) -> None:
        """Do nothing: control frames come in order with the audio, which is too late for ducking.

        Args:
            frame: The frame.
        """

    async def filter(self, audio: bytes) -> bytes:
        """Apply the gain.

        Args:
            audio: 16-bit mono PCM that leaves now.

        Returns:
            As many samples.
        """
        self._last = audio
        shaped = audio if self._gain == self._target == 1.0 else self._shape(audio)
        if self._played:
            self._played(shaped, self._rate, time.monotonic())
        return shaped

    def set_gain(self, gain: float, ramp_secs: float) -> None:
        """Change the loudness of everything that leaves from now on.

        Args:
            gain: Multiplier on the samples.
            ramp_secs: Time over which it is approached.
        """
        self._target = max(0.0, gain)
        self._step = (self._target - self._gain) / max(1, int(ramp_secs * self._rate))

    def catch_up(self, audio: bytes) -> bytes:
        """Let a change of loudness begin in what has left already but is not on its way yet.

        Args:
            audio: 16-bit mono PCM that left last, right before ``set_gain``.

        Returns:
            As many samples, which replace it.
        """
        before = self._gain
        return self._shape(audio, made_with=before) if before not in (0.0, self._target) else audio

    def fade_out(self) -> OutputAudioRawFrame | None:
        """Make an end for speech that is cut off behind the last block.

        What would have followed is gone, so the last samples are played backwards while they fade: they go on from
        where the block ended, without a step.

        Returns:
            One block, to be played next, or None if nothing was played.
        """
        block = np.frombuffer(self._last, dtype="<i2")[::-1]
        self._last = b""
        if not len(block):
            return None
        count = min(len(block), int(_FADE_SECS * self._rate))
        # Exactly as long as a block: what is left of one would wait in the transport until it speaks again.
        ending = block * np.concatenate([np.linspace(1.0, 0.0, count), np.zeros(len(block) - count)])
        frame = OutputAudioRawFrame(ending.astype("<i2").tobytes(), sample_rate=self._rate, num_channels=1)
        frame.interruptible = False
        return frame

    def _shape(self, audio: bytes, made_with: float = 1.0) -> bytes:
        samples = np.frombuffer(audio, dtype="<i2")
        ramp = self._gain + self._step * np.arange(1, len(samples) + 1)
        low, high = sorted((self._gain, self._target))
        gains = np.clip(ramp, low, high)
        if len(gains):
            self._gain = float(gains[-1])
        if abs(self._gain - self._target) <= abs(self._step) / 2:
            self._gain = self._target
        return np.clip(np.rint(samples * (gains / made_with)), -32768, 32767).astype("<i2").tobytes()


class PlayoutProcessor(FrameProcessor):
    """Carries ``DuckFrame``s and interruptions to a `PlayoutFilter`; sits right before the output transport.

    Args:
        shaping: The filter of the transport that follows.
    """

    def __init__(self, shaping: PlayoutFilter):
        super().__init__(enable_direct_mode=True)
        self._filter = shaping
        self._speaking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Duck, fade, and pass everything on.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        await super().process_frame(frame, direction)
        cut = isinstance(frame, InterruptionFrame) and self._speaking and direction is FrameDirection.DOWNSTREAM
        match frame:
            case DuckFrame():
                self._filter.set_gain(frame.gain, frame.ramp_secs)
            case BotStartedSpeakingFrame():
                self._speaking = True
            case BotStoppedSpeakingFrame():
                self._speaking = False
        await self.push_frame(frame, direction)
        if cut:
            self._speaking = False
            if ending := self._filter.fade_out():
                await self.push_frame(ending)


class Playout:
    """The two halves for one transport.

    Args:
        played: Told each block that leaves with its rate and time, or None.
    """

    def __init__(self, played: Played | None = None):
        self.filter = PlayoutFilter(played)
        self.processor = PlayoutProcessor(self.filter)
