"""One segment of an utterance: its text, its words, its calls and how far it has come."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from halfcascade.processors.chirp_tts.audio import SpeechTrimmer
from halfcascade.processors.chirp_tts.heard.text import WordTimeEstimator
from halfcascade.processors.chirp_tts.protocol.events import Failure
from halfcascade.processors.language import SpokenWord


@dataclass(eq=False)
class Segment:
    """A segment of an utterance.

    Parameters:
        text: As spoken.
        sent: As synthesized: the same, or with markup.
        frame: What announced it; the shell's business.
        words: Its words.
        estimator: Their times.
        trimmer: Cuts the silence around it.
        phrase: Whether it is a phrase that may be spoken often.
        attempt: Higher than 1 if it stands for the rest of a segment that broke off.
        start: Where its audio begins in the utterance, in seconds, once it does.
        released: How many of its words were reported as heard.
        begun_at: Clock reading of its first call.
        calls: Its calls under way, by number, with the clock readings at which they were made.
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
    sent: str
    frame: Any
    words: list[SpokenWord]
    estimator: WordTimeEstimator
    trimmer: SpeechTrimmer
    phrase: bool = False
    attempt: int = 1
    start: float | None = None
    released: int = 0
    begun_at: float | None = None
    calls: dict[int, float] = field(default_factory=dict)
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
    def unheard(self) -> str:
        """What was not reported as heard."""
        return self.text[self.words[self.released].start :] if self.released < len(self.words) else ""
