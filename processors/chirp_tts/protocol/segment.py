"""One segment of an utterance: its text, its words, its calls and how far it has come."""

from collections import deque
from dataclasses import dataclass, field, replace
from typing import Any

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.heard.text import SpeechRate, WordTimeEstimator
from halfcascade.processors.chirp_tts.protocol.events import Failure
from halfcascade.processors.language import SpokenWord, join_text, spoken_words


@dataclass(frozen=True)
class Piece:
    """What was given to be said in one go.

    Parameters:
        sent: As synthesized: what is said, or that with markup.
        frame: What announced it; the shell's business.
        end: Where it ends in the text of its segment.
    """

    sent: str
    frame: Any
    end: int


@dataclass(eq=False)
class Segment:
    """A segment of an utterance: what one call says.

    Parameters:
        text: As spoken.
        pieces: Its pieces: one, or several where they go into one call.
        words: Its words.
        estimator: Their times.
        trimmer: Cuts the silence around it.
        phrase: Whether it is a phrase that may be spoken often.
        attempt: Higher than 1 if it stands for the rest of a segment that broke off.
        start: Where its audio begins in the utterance, in seconds, once it does.
        released: How many of its words were reported as heard.
        begun_at: Clock reading of its first call.
        calls: Its calls under way, by number, with the clock readings at which they were made.
        open: Whether further pieces may join it.
        asked_at: Clock reading at which its calls were last given text, or closed.
        source: The call that gives its audio.
        audio_at: Clock reading of its newest audio.
        chunks: Audio that waits for its turn.
        over: Whether no more audio comes.
        broke: Why its audio broke off, if it did.
        failures: How often in a row it could not be had.
        last: The newest failure.
        retry_at: Clock reading at which it is asked for again.
        told: Whether the user's wait for it was told.
        error: Why it is given up, if it is.
    """

    text: str
    pieces: list[Piece]
    words: list[SpokenWord]
    estimator: WordTimeEstimator
    trimmer: SpeechTrimmer
    phrase: bool = False
    attempt: int = 1
    start: float | None = None
    released: int = 0
    begun_at: float | None = None
    calls: dict[int, float] = field(default_factory=dict)
    open: bool = False
    asked_at: float = 0.0
    source: int | None = None
    audio_at: float = 0.0
    chunks: deque[bytes] = field(default_factory=deque)
    over: bool = False
    broke: Failure | None = None
    failures: int = 0
    last: Failure | None = None
    retry_at: float | None = None
    told: bool = False
    error: Failure | None = None

    @property
    def fetching(self) -> bool:
        """Whether it was asked for and has not all come."""
        return self.begun_at is not None and not self.over and self.error is None

    @property
    def missing(self) -> float:
        """Seconds of its audio that are still to come, by what is known of its length."""
        return self.estimator.expected_duration() - self.estimator.duration

    def join(self, other: "Segment") -> None:
        """Take another segment in, behind what is there.

        Args:
            other: One that was not begun.
        """
        self.text = join_text(self.text, other.text)
        shift = len(self.text) - len(other.text)
        self.pieces += [replace(piece, end=piece.end + shift) for piece in other.pieces]
        self.words += [replace(word, start=word.start + shift, end=word.end + shift) for word in other.words]
        self.estimator.go_on(self.words)

    def frames(self, since: int) -> tuple[Any, ...]:
        """What announced its text.

        Args:
            since: Only of what ends behind this place in the text.
        """
        return tuple(piece.frame for piece in self.pieces if piece.end > since and piece.frame is not None)

    @property
    def unheard(self) -> str:
        """What was not reported as heard."""
        return self.text[self.words[self.released].start :] if self.released < len(self.words) else ""


@dataclass(frozen=True)
class SegmentMaker:
    """Makes the segments of an utterance.

    Parameters:
        language: Locale of the voice.
        rate: How fast the voice is.
        sample_rate: Of its audio.
    """

    language: str
    rate: SpeechRate
    sample_rate: int

    def segment(self, text: str, pieces: list[Piece], *, phrase: bool = False, attempt: int = 1) -> Segment:
        """Make a segment.

        Args:
            text: As spoken.
            pieces: Its pieces.
            phrase: Whether it is a phrase that may be spoken often.
            attempt: Higher than 1 if it stands for the rest of a segment that broke off.

        Returns:
            The segment, not begun.
        """
        words = spoken_words(text, self.language)
        return Segment(
            text=text,
            pieces=pieces,
            words=words,
            estimator=WordTimeEstimator(words, self.rate, self.sample_rate),
            trimmer=SpeechTrimmer(self.sample_rate),
            phrase=phrase,
            attempt=attempt,
        )

    def rest_of(self, segment: Segment, start: int) -> Segment:
        """Make a segment for the text from a place on, to be asked for without markup.

        Args:
            segment: The one that broke off.
            start: Where its rest begins in its text.

        Returns:
            A segment for the rest, not begun.
        """
        pieces, begin = [], start
        for piece in segment.pieces:
            if piece.end > start:
                pieces.append(Piece(segment.text[begin : piece.end].strip(), piece.frame, piece.end - start))
                begin = piece.end
        return self.segment(segment.text[start:], pieces, attempt=segment.attempt + 1)
