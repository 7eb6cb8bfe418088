"""A wiretap on an audio device: what it captured and what it really played."""

from typing import Protocol


class AudioTap(Protocol):
    """Receives every block that a transport's device captured or played, in order, with its time.

    Calls may come from a device thread: implementations return at once and are thread-safe. Both directions are
    stamped with one clock (``time.monotonic()``), so that a recording of both is sample-aligned.
    """

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block.

        Args:
            audio: What the microphone gave, before echo cancelling: 16-bit little-endian mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the block's first sample.
        """

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block.

        Args:
            audio: What was handed to the loudspeaker, after volume and fades, silence left out or included:
                16-bit little-endian mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the block's first sample is heard (output latency included).
        """
