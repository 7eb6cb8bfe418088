"""When a loudspeaker is heard. No I/O."""

from collections.abc import Iterator

import numpy as np

from halfcascade.bot.session.events import EventType

# -46 dBFS: above a voice's noise floor, below its quietest beginnings.
_AUDIBLE = 160
# Pauses between words and sentences are shorter than this.
_PAUSE_SECS = 0.4

SoundEdge = tuple[EventType, float]


class SoundEdges:
    """Finds the first and the last audible sample of each stretch of speech."""

    def __init__(self) -> None:
        self._last_heard: float | None = None

    def feed(self, audio: bytes, sample_rate: int, at: float) -> Iterator[SoundEdge]:
        """Take one played block.

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: Time of the first sample, in seconds.

        Yields:
            What began or ended, and when.
        """
        loud = np.flatnonzero(np.abs(np.frombuffer(audio, dtype="<i2").astype(np.int32)) >= _AUDIBLE)
        if self._last_heard is not None:
            next_heard = at + (loud[0] if len(loud) else len(audio) // 2) / sample_rate
            if next_heard - self._last_heard > _PAUSE_SECS:
                yield EventType.SOUND_ENDED, self._last_heard
                self._last_heard = None
        if len(loud):
            if self._last_heard is None:
                yield EventType.SOUND_BEGAN, at + loud[0] / sample_rate
            self._last_heard = at + loud[-1] / sample_rate
