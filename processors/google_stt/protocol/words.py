"""The order of words: parts of audio are recognized in any order, their words are delivered in one."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import reduce

from halfcascade.processors.google_stt.protocol.events import FinalText, InterimText, LikelyComplete, SpeechCovered
from halfcascade.processors.google_stt.protocol.text import join_text, merge_overlap

# A final that reaches this close to the end of speech covers it: voice activity detection reports speech a little
# longer than it lasts, and no word fits into the rest.
_COVERS_SECS = 0.15
# Delivered text that is kept to tell repeated words at a seam: more than two seconds of fast speech.
_SEAM_CHARACTERS = 200

WordEvent = FinalText | InterimText | LikelyComplete | SpeechCovered


@dataclass(eq=False)
class Part:
    """A consecutive piece of audio that one stream, or one after another, recognizes.

    Positions are samples since the first audio.

    Parameters:
        start: First sample.
        overlaps: Whether the previous part holds its beginning too.
        end: After the last sample, or None while it grows.
        ended_at: Clock reading at which it ended.
        speech_end: Where speech ended in it, if that is why it ended.
        has_speech: Whether anything is said in it.
        confirmed: Up to where finals reach; a new stream begins there.
        confirmed_at_cut: What ``confirmed`` was when the part ended.
        provisional: Whether its end may be taken back.
        finals: Certain words not yet delivered.
        interim: Uncertain words after those.
        interim_language: Their language code.
        interim_end: Where they end.
        stream: Number of the stream at work on it.
        retry_at: Clock reading at which the next stream is due.
        delivered: Whether the words of later parts may follow.
        done: Whether nothing more comes.
    """

    start: int
    overlaps: bool = False
    end: int | None = None
    ended_at: float = 0.0
    speech_end: int | None = None
    has_speech: bool = False
    confirmed: int = 0
    confirmed_at_cut: int = 0
    provisional: bool = False
    finals: "deque[Words]" = field(default_factory=deque)
    interim: str = ""
    interim_language: str = ""
    interim_end: int = 0
    stream: int | None = None
    retry_at: float | None = None
    delivered: bool = False
    done: bool = False

    def add(self, text: str, language: str) -> None:
        """Add certain words."""
        if text.strip():
            self.finals.append(Words(text.strip(), language, self, self.provisional))

    def reopen(self) -> None:
        """Let it grow again as if it had not ended."""
        self.finals = deque(words for words in self.finals if not words.provisional)
        self.confirmed = self.confirmed_at_cut
        self.end = self.speech_end = None
        self.provisional = self.delivered = self.done = False


@dataclass(frozen=True)
class Words:
    """Certain words.

    Parameters:
        text: The words.
        language: Their language code, or "".
        part: Where they were said.
        provisional: Whether they are void if the part is reopened.
    """

    text: str
    language: str
    part: Part
    provisional: bool


class WordQueue:
    """Delivers words in the order of their parts.

    The newest final is held until it is known whether it is the last: ``FinalText.finalized`` must be told with it.
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
        self._said = ""
        self._shown = ""
        self._complete = ""

    def next_event(self) -> WordEvent | None:
        """Take the next event, in order."""
        return self._events.popleft() if self._events else None

    def expect(self) -> None:
        """Speech has begun: a final, or word that there is none, is owed."""
        self._expected = True

    def take_back(self, part: Part) -> None:
        """Forget the words of a part that came after its provisional end."""
        self._held = [words for words in self._held if not (words.part is part and words.provisional)]

    def deliver(self, parts: Sequence[Part], *, speaking: bool, paused: bool) -> list[Part]:
        """Queue the events for what can be told now.

        Args:
            parts: All parts that are not over, in order.
            speaking: Whether the user speaks; short pauses included.
            paused: Whether there is a short pause.

        Returns:
            The parts that are still not over.
        """
        self._collect(parts)
        settled = not speaking and not any(part.has_speech and not part.delivered for part in parts)
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
        if settled:
            self._expected = False
        else:
            self._show_interim(parts, may_be_complete=paused or not speaking)
        return [part for part in parts if not part.done or part.finals]

    def _ready_count(self, settled: bool, paused: bool) -> int:
        if settled:
            return len(self._held)
        provisional = (i for i, words in enumerate(self._held) if paused and words.provisional)
        return max(0, min(len(self._held) - 1, next(provisional, len(self._held))))

    def _collect(self, parts: Sequence[Part]) -> None:
        for part in parts:
            while part.finals:
                self._hold(part.finals.popleft())
            part.delivered = part.done or self._covered(part)
            if not part.delivered:
                break

    def _covered(self, part: Part) -> bool:
        """Whether the finals of a half-closed part reach the end of its speech, so that no words can follow."""
        if part.speech_end is None or not part.has_speech:
            return False
        return part.confirmed > part.start and part.confirmed >= part.speech_end - self._slack

    def _hold(self, words: Words) -> None:
        text = words.text
        if words.part.overlaps and self._held:
            head = self._held.pop()
            kept, text = merge_overlap(join_text(self._said, head.text), text)
            kept = kept[len(self._said) :].strip() if kept.startswith(self._said) else ""
            if kept:
                self._held.append(Words(kept, head.language, head.part, head.provisional))
        words.part.overlaps = False
        if text:
            self._held.append(Words(text, words.language, words.part, words.provisional))

    def _show_interim(self, parts: Sequence[Part], *, may_be_complete: bool) -> None:
        text, language = "", ""
        for words in self._held:
            text, language = join_text(text, words.text), words.language or language
        for part in parts:
            for words in part.finals:
                text, language = join_text(text, words.text), words.language or language
            if part.interim:
                head, tail = merge_overlap(text, part.interim) if part.overlaps else (text, part.interim)
                text, language = join_text(head, tail), part.interim_language or language
            if part.has_speech and not part.delivered:
                may_be_complete = may_be_complete and self._interim_covers(part)
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

    def _interim_covers(self, part: Part) -> bool:
        return part.speech_end is not None and max(part.interim_end, part.confirmed) >= part.speech_end - self._slack
