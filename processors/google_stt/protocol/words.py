"""The order of words: segments of audio are recognized in any order, their words are delivered in one."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from halfcascade.processors.google_stt.protocol.events import FinalText, InterimText, LikelyComplete, SpeechCovered
from halfcascade.processors.google_stt.protocol.text import merge_overlap
from halfcascade.processors.language import join_text

# A final that reaches this close to the end of speech covers it: voice activity detection reports speech a little
# longer than it lasts, and no word fits into the rest.
_COVERS_SECS = 0.15
# Delivered text that is kept to tell repeated words at a seam: more than two seconds of fast speech.
_SEAM_CHARACTERS = 200

WordEvent = FinalText | InterimText | LikelyComplete | SpeechCovered


@dataclass(eq=False)
class Segment:
    """A consecutive stretch of audio that one stream, or one after another, recognizes.

    Positions are samples since the first audio.

    Parameters:
        start: First sample.
        overlaps: Whether its first words are still to be compared with the last ones of the segment before, which holds
            its beginning too.
        compared_tentatively: Whether words were compared that are void if the segment is reopened.
        end: After the last sample, or None while it grows.
        ended_at: Clock reading at which it ended.
        speech_end: Where speech ended in it, if that is why it ended.
        has_speech: Whether anything is said in it.
        confirmed: Up to where finals reach; a new stream begins there.
        confirmed_at_endpoint: What ``confirmed`` was when the segment ended.
        provisional: Whether its end may be revoked.
        finals: Certain words not yet delivered.
        interim: Uncertain words after those.
        interim_language: Their language code.
        interim_end: Where they end.
        retry_at: Clock reading at which the next stream is due.
        renewed: Whether a stream that said nothing to it was replaced.
        delivered: Whether the words of later segments may follow.
        done: Whether nothing more comes.
    """

    start: int
    overlaps: bool = False
    compared_tentatively: bool = False
    end: int | None = None
    ended_at: float = 0.0
    speech_end: int | None = None
    has_speech: bool = False
    confirmed: int = 0
    confirmed_at_endpoint: int = 0
    provisional: bool = False
    finals: "deque[Words]" = field(default_factory=deque)
    interim: str = ""
    interim_language: str = ""
    interim_end: int = 0
    retry_at: float | None = None
    renewed: bool = False
    delivered: bool = False
    done: bool = False

    def add(self, text: str, language: str) -> None:
        """Add certain words."""
        if text.strip():
            self.finals.append(Words(text.strip(), language, self, self.provisional))

    def finish(self) -> None:
        """Nothing more comes for it. Words that never became final are better than none (facts/stt#half-close)."""
        self.add(self.interim, self.interim_language)
        self.interim = ""
        self.retry_at = None
        self.done = True

    def reopen(self) -> None:
        """Let it grow again as if it had not ended."""
        self.finals = deque(words for words in self.finals if not words.provisional)
        self.confirmed = self.confirmed_at_endpoint
        self.end = self.speech_end = None
        self.overlaps = self.overlaps or self.compared_tentatively
        self.compared_tentatively = False
        self.provisional = self.delivered = self.done = False


@dataclass(frozen=True)
class Words:
    """Certain words.

    Parameters:
        text: The words.
        language: Their language code, or "".
        segment: Where they were said.
        provisional: Whether they are void if the segment is reopened.
    """

    text: str
    language: str
    segment: Segment
    provisional: bool


class WordQueue:
    """Delivers words in the order of their segments.

    The newest final is held until it is known whether it is the last: ``FinalText.finalized`` must be told with it.

    Parameters:
        settled: Whether nobody speaks and nothing is still to come.
    """

    def __init__(self, sample_rate: int):
        """Begin with nothing said.

        Args:
            sample_rate: Samples per second, for positions.
        """
        self._slack = round(_COVERS_SECS * sample_rate)
        self._events: deque[WordEvent] = deque()
        self._held: list[Words] = []
        self._expected = False
        self.settled = True
        self._said = ""
        self._shown = ""
        self._complete = ""

    def next_event(self) -> WordEvent | None:
        """Take the next event, in order."""
        return self._events.popleft() if self._events else None

    def expect(self) -> None:
        """Speech has begun: a final, or word that there is none, is pending."""
        self._expected = True

    def revoke(self, segment: Segment) -> None:
        """Forget the words of a segment that came after its provisional end."""
        self._held = [words for words in self._held if not (words.segment is segment and words.provisional)]

    def withdraw(self, segment: Segment) -> None:
        """Forget all words of a segment whose audio another one sends again."""
        self._held = [words for words in self._held if words.segment is not segment]

    def deliver(self, segments: Sequence[Segment], *, speaking: bool, paused: bool) -> list[Segment]:
        """Queue the events for what can be told now.

        Args:
            segments: All segments that are not over, in order.
            speaking: Whether the user speaks; short pauses included.
            paused: Whether there is a short pause.

        Returns:
            The segments that are still not over.
        """
        self._collect(segments)
        settled = not speaking and not any(segment.has_speech and not segment.delivered for segment in segments)
        ready = self._held[: self._ready_count(settled, paused)]
        for i, words in enumerate(ready):
            self._events.append(FinalText(words.text, words.language, finalized=settled and i == len(ready) - 1))
        if ready:
            self._held = self._held[len(ready) :]
            self._shown = self._complete = ""
            said = reduce(join_text, (words.text for words in ready), self._said)
            self._said = "" if settled else said[-_SEAM_CHARACTERS:].strip()
        elif settled and self._expected:
            self._events.append(SpeechCovered())
        self.settled = settled
        if settled:
            self._expected = False
        else:
            self._show_interim(segments, may_be_complete=paused or not speaking)
        return [segment for segment in segments if not segment.done or segment.finals]

    def _ready_count(self, settled: bool, paused: bool) -> int:
        if settled:
            return len(self._held)
        provisional = (i for i, words in enumerate(self._held) if paused and words.provisional)
        return max(0, min(len(self._held) - 1, next(provisional, len(self._held))))

    def _collect(self, segments: Sequence[Segment]) -> None:
        for segment in segments:
            while segment.finals:
                self._hold(segment.finals.popleft())
            segment.delivered = segment.done or self._covered(segment)
            if not segment.delivered:
                break

    def _covered(self, segment: Segment) -> bool:
        """Whether the finals of a half-closed segment reach the end of its speech, so that no words can follow."""
        if segment.speech_end is None or not segment.has_speech:
            return False
        return segment.confirmed > segment.start and segment.confirmed >= segment.speech_end - self._slack

    def _hold(self, words: Words) -> None:
        text = words.text
        if words.segment.overlaps:
            text = self._without_overlap(text)
            words.segment.compared_tentatively = words.provisional
        words.segment.overlaps = False
        if text:
            self._held.append(Words(text, words.language, words.segment, words.provisional))

    def _without_overlap(self, text: str) -> str:
        """Take off what the words before say already; of those, the newest may still be corrected."""
        if not self._held:
            return merge_overlap(self._said, text)[1]
        head = self._held.pop()
        kept, text = merge_overlap(join_text(self._said, head.text), text)
        kept = kept[len(self._said) :].strip() if kept.startswith(self._said) else ""
        if kept:
            self._held.append(Words(kept, head.language, head.segment, head.provisional))
        return text

    def _show_interim(self, segments: Sequence[Segment], *, may_be_complete: bool) -> None:
        text, language = "", ""
        for words in self._held:
            text, language = join_text(text, words.text), words.language or language
        for segment in segments:
            for words in segment.finals:
                text, language = join_text(text, words.text), words.language or language
            if segment.interim:
                head, tail = merge_overlap(text, segment.interim) if segment.overlaps else (text, segment.interim)
                text, language = join_text(head, tail), segment.interim_language or language
            if segment.has_speech and not segment.delivered:
                may_be_complete = may_be_complete and self._interim_covers(segment)
        if not may_be_complete:
            self._complete = ""
        if not text:
            return
        if text != self._shown:
            self._shown = text
            self._events.append(InterimText(text, language))
        if may_be_complete and text != self._complete:
            self._complete = text
            self._events.append(LikelyComplete(text, language))

    def _interim_covers(self, segment: Segment) -> bool:
        return (
            segment.speech_end is not None
            and max(segment.interim_end, segment.confirmed) >= segment.speech_end - self._slack
        )
