"""Trims the silence around a segment of synthesized speech, while it streams."""

import numpy as np

FRAME_SECS = 0.01
# Speech is what is louder than this: some 45 dB below full scale, or 34 dB below the loudest of what has come.
_FLOOR = 180.0
_RELATIVE_FLOOR = 0.02
# A pause within speech is more than 26 dB below the speech around it: breath and room are louder than nothing.
_PAUSE_LEVEL = 0.05
# Kept before the first and after the last sound, so that soft onsets and releases are not clipped.
_PRE_ROLL_SECS = 0.02
_RELEASE_SECS = 0.04


def frame_levels(samples: np.ndarray, frame: int) -> np.ndarray:
    """Peak level of each whole frame.

    Args:
        samples: 16-bit samples, shape (n,).
        frame: Samples per frame.

    Returns:
        Levels, shape (n // frame,).
    """
    whole = len(samples) - len(samples) % frame
    if not whole:
        return np.zeros(0)
    return np.abs(samples[:whole].astype(np.float32)).reshape(-1, frame).max(axis=1)


class SpeechTrimmer:
    """Drops leading silence and replaces trailing silence by a pause of known length.

    Fed with audio as it comes; silence is held back until it is known whether speech follows.
    """

    def __init__(self, sample_rate: int):
        """Initialize for one segment.

        Args:
            sample_rate: Samples per second of 16-bit mono PCM.
        """
        self._rate = sample_rate
        self._frame = int(sample_rate * FRAME_SECS)
        self._held = np.zeros(0, dtype=np.int16)
        self._odd = b""
        self._loudest = 0.0
        self._speaking = False

    def feed(self, pcm: bytes) -> bytes:
        """Take audio.

        Args:
            pcm: 16-bit little-endian mono PCM; may end in the middle of a sample.

        Returns:
            Audio that may be played now; empty while only silence has come.
        """
        pcm = self._odd + pcm
        self._odd = pcm[len(pcm) & ~1 :]
        fresh = np.frombuffer(pcm[: len(pcm) & ~1], dtype=np.int16)
        self._held = np.concatenate([self._held, fresh])
        levels = frame_levels(self._held, self._frame)
        if not len(levels):
            return b""
        self._loudest = max(self._loudest, float(levels.max()))
        loud = np.flatnonzero(levels >= max(_FLOOR, _RELATIVE_FLOOR * self._loudest))
        if not len(loud):
            return b""
        first = 0
        if not self._speaking:
            first = max(0, int(loud[0]) * self._frame - int(_PRE_ROLL_SECS * self._rate))
            self._speaking = True
        last = (int(loud[-1]) + 1) * self._frame
        out = self._held[first:last]
        self._held = self._held[last:]
        return out.tobytes()

    def finish(self, pause: float) -> tuple[bytes, bytes]:
        """End the segment.

        Args:
            pause: Seconds of silence wanted after its last sound.

        Returns:
            The fading end of the segment, which belongs to it, and the pause that may follow, made of the audio's own
            silence as far as it reaches. Both empty if there was no speech at all.
        """
        if not self._speaking:
            return b"", b""
        release = self._held[: int(_RELEASE_SECS * self._rate)]
        wanted = max(0, int(pause * self._rate) - len(release))
        tail = self._held[len(release) : len(release) + wanted]
        return release.tobytes(), tail.tobytes() + bytes(2 * (wanted - len(tail)))


class SpeechLevels:
    """Levels of a segment's audio, and the silences in it."""

    def __init__(self, sample_rate: int):
        """Initialize empty.

        Args:
            sample_rate: Samples per second of 16-bit mono PCM.
        """
        self._rate = sample_rate
        self._frame = int(sample_rate * FRAME_SECS)
        self._levels: list[float] = []
        self._rest = np.zeros(0, dtype=np.int16)
        self._samples = 0

    @property
    def duration(self) -> float:
        """Seconds of audio so far."""
        return self._samples / self._rate

    def feed(self, pcm: bytes) -> None:
        """Take audio.

        Args:
            pcm: 16-bit little-endian mono PCM, whole samples.
        """
        samples = np.concatenate([self._rest, np.frombuffer(pcm, dtype=np.int16)])
        self._samples += len(pcm) // 2
        self._levels.extend(frame_levels(samples, self._frame))
        self._rest = samples[len(samples) - len(samples) % self._frame :]

    def pauses(self, least: float) -> list[tuple[float, float]]:
        """Find silences between two sounds.

        Args:
            least: Seconds that a silence must last.

        Returns:
            Start and end of each, in seconds.
        """
        levels = np.array(self._levels)
        if not len(levels):
            return []
        threshold = max(_FLOOR, _PAUSE_LEVEL * float(np.percentile(levels, 90)))
        loud = np.flatnonzero(levels >= threshold)
        gaps = np.flatnonzero(np.diff(loud) > 1)
        found = [((int(loud[i]) + 1) * FRAME_SECS, int(loud[i + 1]) * FRAME_SECS) for i in gaps]
        return [(start, end) for start, end in found if end - start >= least - 1e-9]
