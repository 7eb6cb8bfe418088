"""The most recent audio, addressed by its position since the microphone opened."""

import numpy as np

_FRAME_SECS = 0.02
_DIP_FRAMES = 3


class AudioHistory:
    """A bounded history of 16-bit mono audio.

    Positions count samples since the first audio and never restart, so that a position stays valid for as long as the
    audio is kept.
    """

    def __init__(self, sample_rate: int, max_secs: float):
        """Begin empty.

        Args:
            sample_rate: Samples per second.
            max_secs: How much audio is kept at most.
        """
        self._rate = sample_rate
        self._max_samples = round(max_secs * sample_rate)
        self._buffer = bytearray()
        self._start = 0

    @property
    def start(self) -> int:
        """Position of the oldest sample kept."""
        return self._start

    @property
    def end(self) -> int:
        """Position after the newest sample."""
        return self._start + len(self._buffer) // 2

    def append(self, pcm: bytes) -> None:
        """Add audio at the end: 16-bit little-endian mono."""
        self._buffer += pcm

    def forget(self, before: int) -> int:
        """Drop audio that is not needed, and what exceeds the limit even if it is.

        Args:
            before: Position before which no audio is needed.

        Returns:
            How many needed samples had to be dropped.
        """
        limit = self.end - self._max_samples
        start = max(self._start, min(self.end, max(before, limit)))
        # Moving a long buffer for every 20 ms block would cost more than the memory is worth.
        if start - self._start > self._rate or limit > self._start:
            lost = max(0, start - max(before, self._start))
            del self._buffer[: (start - self._start) * 2]
            self._start = start
            return lost
        return 0

    def read(self, start: int, stop: int) -> bytes:
        """Copy audio between two positions; what is not kept is left out."""
        first = max(0, start - self._start) * 2
        last = max(0, stop - self._start) * 2
        return bytes(self._buffer[first:last])

    def quietest(self, start: int, stop: int) -> int:
        """Find the middle of the quietest 60 ms between two positions: most likely a gap between words.

        Args:
            start: Earliest position.
            stop: Latest position.

        Returns:
            A position; ``start`` if there is too little audio to choose from.
        """
        frame = round(_FRAME_SECS * self._rate)
        samples = np.frombuffer(self.read(start, stop), dtype="<i2").astype(np.float32)
        count = len(samples) // frame
        if count < 2 * _DIP_FRAMES:
            return start
        energy = np.square(samples[: count * frame]).reshape(count, frame).sum(axis=1)
        smooth = np.convolve(energy, np.ones(_DIP_FRAMES), mode="valid")
        # The newest third is left out, so that both segments hold at least that much in common.
        quiet = int(np.argmin(smooth[: max(1, 2 * len(smooth) // 3)]))
        return start + quiet * frame + _DIP_FRAMES * frame // 2
