"""When text that ends in no good place is cut all the same; no I/O: fed clock readings, tells when something is due."""

from dataclasses import dataclass

from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Place, SpeechSegmenter


@dataclass(frozen=True)
class Due:
    """When to cut.

    Parameters:
        at: Clock reading, in seconds.
        place: Where a cut will do.
    """

    at: float
    place: Place


class CutClock:
    """Watches the pending text of a segmenter, which its owner feeds and cuts.

    Before a reply's first segment the wait is for the voice to begin: where a phrase surely ends the text is cut at
    once, what seems to be over is taken soon, and any place will do after a while. Afterwards the voice must not fall
    silent: what is there goes on at the end of a phrase, and in mid-phrase only if the silence would be longer than a
    speaker's.
    """

    def __init__(self, segmenter: SpeechSegmenter, first: FirstSegment):
        """Initialize for a reply.

        Args:
            segmenter: Holds the text.
            first: When the first segment is good enough.
        """
        self._segmenter = segmenter
        self._first = first
        self._began_at: float | None = None
        self._last_at = 0.0
        self._tried: set[Place] = set()

    def reset(self) -> None:
        """Forget the reply."""
        self._began_at = None
        self._tried.clear()

    def text_came(self, now: float) -> None:
        """The segmenter was fed, or has cut.

        Args:
            now: Clock reading.
        """
        if not self._segmenter.pending.strip():
            self.reset()
            return
        self._last_at = now
        self._tried.clear()
        if self._began_at is None:
            self._began_at = now

    def tried(self, due: Due) -> None:
        """A moment has come, whether or not something could be cut.

        Args:
            due: The moment.
        """
        self._tried.add(due.place)

    def due(self, dry_at: float | None = None) -> Due | None:
        """Tell when to cut next.

        Args:
            dry_at: Clock reading at which the next segment must go to synthesis for the voice not to fall silent.

        Returns:
            The next moment, perhaps past; None if only more text helps.
        """
        if self._segmenter.awaits_first:
            moments = self._first_moments()
        elif self._segmenter.awaits_more:
            dry = self._last_at if dry_at is None else dry_at
            moments = {Place.SENTENCE: dry, Place.ANY: dry + self._first.slack}
        else:
            return None
        left = [Due(at, place) for place, at in moments.items() if place not in self._tried]
        return min(left, key=lambda due: (due.at, due.place), default=None)

    def _first_moments(self) -> dict[Place, float]:
        first, began = self._first, self._last_at if self._began_at is None else self._began_at
        last = self._last_at if self._segmenter.has_enough else max(self._last_at, began + first.wait)
        return {Place.PHRASE: self._last_at, Place.SENTENCE: self._last_at + first.settle, Place.ANY: last}
