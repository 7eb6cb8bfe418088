"""How much audio was given up with the words in it."""

from halfcascade.processors.google_stt.protocol.events import WordsLost
from halfcascade.processors.google_stt.protocol.words import Segment


class LostAudio:
    """Counts what nobody is going to recognize any more, each sample once."""

    def __init__(self, sample_rate: int):
        """Begin without a loss.

        Args:
            sample_rate: Samples per second.
        """
        self._rate = sample_rate
        self._samples = 0
        self._until = 0

    def given_up(self, segment: Segment) -> bool:
        """A segment is not tried any more.

        Args:
            segment: One that has ended.

        Returns:
            Whether speech was in it of which no words came.
        """
        if not segment.has_speech or segment.end is None or segment.interim.strip():
            return False
        # What overlaps the segment before was counted with it.
        self._samples += max(0, segment.end - max(segment.confirmed, self._until))
        self._until = segment.end
        return True

    def forgotten(self, start: int, end: int) -> None:
        """Audio was dropped although it was needed.

        Args:
            start: Position of its first sample.
            end: Position after its last.
        """
        self._samples += max(0, end - max(start, self._until))
        self._until = max(self._until, end)

    def take(self) -> WordsLost | None:
        """Take what is to be told.

        Returns:
            What was lost since the last time, or None if nothing was.
        """
        samples, self._samples = self._samples, 0
        return WordsLost(samples / self._rate) if samples else None
