"""Cuts a reply, while it is being written, into the segments that are synthesized one by one.

The first segment ends at the first place where a speaker would draw breath, so that the voice starts early; every later
segment is a whole sentence, because whole sentences give the best prosody (facts/tts#input). What is only shown
(code, tables, pictures, formulas) is a segment of its own. No character is lost, added or moved, and wherever the
server cuts the text into deltas, the segments are the same, unless the clock forces one.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

from halfcascade.processors.chirp_tts.boundaries import (
    SURE_AT_END,
    Boundary,
    Strength,
    clause_ends,
    in_aside,
    last_word_end,
    may_go_on,
    sentence_ends,
    units,
)
from halfcascade.processors.language import is_unspaced, word_spans
from halfcascade.processors.written import BlockKind, find_block
from halfcascade.processors.written.blocks import partial_opener

CODE: Literal["code"] = "code"
"""Kind of fenced code: shown, never spoken."""

# A sentence that has not ended by then is cut, in characters: the server refuses very long ones.
_MAX_SENTENCE = 400
# Deltas in a row that must begin with a space before whole words are counted on.
_CLEAN_DELTAS = 6


@dataclass(frozen=True)
class FirstSegment:
    """When a segment that is wanted early is good enough.

    Lengths are in units of about a syllable (0.2 s). A segment shorter than the time that the next one takes to be
    synthesized would leave a gap after it.

    Parameters:
        sentence: Least length of a sentence.
        clause: Length at which the end of a clause will do, however much more has come.
        joint: The same before a connective.
        phrase: The same at the end of a phrase.
        early_clause: Least length before a comma or its like, the best of what has come.
        early: Least length before any other place, the best of what has come.
        settle: Seconds after the reply's last text at which a sentence that seems to be over is taken to be so. Half a
            number or an address would be read wrongly, so it is longer than deltas are apart.
        enough: Length of pending text in which a phrase would have ended, if one were to end soon: nothing more is
            awaited. Counted in text, because a model that writes slowly needs longer to end a phrase.
        wait: Seconds after the reply's first text at which a cut in mid-phrase will do, even of less.
        slack: Seconds that later segments may be late, most of which the lead of synthesis makes up for, rather than be
            cut in mid-phrase.
        whole_words: Whether the model is known to end its pieces of text with whole words, so that this need not be
            learned from its first replies; it counts until one is seen that splits a word.
    """

    sentence: float = 0.8
    clause: float = 3.5
    joint: float = 6.0
    phrase: float = 8.0
    early_clause: float = 1.0
    early: float = 1.5
    settle: float = 0.25
    enough: float = 8.0
    wait: float = 0.6
    slack: float = 0.45
    whole_words: bool = False

    @classmethod
    def fast(cls) -> "FirstSegment":
        """The earliest voice, wherever the cut falls."""
        return cls(settle=0.0, enough=0.0, wait=0.0)


class Place(IntEnum):
    """Where text may be cut that ends in no place good enough by itself."""

    PHRASE = 1
    """Where a phrase surely ends."""
    SENTENCE = 2
    """Also where a sentence seems to be over."""
    ANY = 3
    """Behind any word."""


@dataclass(frozen=True)
class Segment:
    """A segment of a reply.

    Parameters:
        text: The characters exactly as written, spaces included.
        kind: How it ends, or what it shows; ``silent`` is a comment, neither spoken nor shown.
    """

    text: str
    kind: Literal["clause", "sentence"] | BlockKind


class WordSplits:
    """Learns whether a model's deltas end with whole words, so that the last word that has come is known to be whole.

    Gemini Live's do (docs/facts/live.md); a model that is found to split a word is not trusted for a while.
    """

    def __init__(self, *, known: bool = False) -> None:
        """Initialize without having seen any.

        Args:
            known: Whether the model is known for it.
        """
        self._clean = _CLEAN_DELTAS if known else 0

    @property
    def only_between_words(self) -> bool:
        """Whether the last deltas began with a space, all of them."""
        return self._clean >= _CLEAN_DELTAS

    def note(self, before: str, delta: str) -> None:
        """A delta came.

        Args:
            before: What is pending before it.
            delta: The delta.
        """
        if not delta or not before or before[-1].isspace():
            return
        if delta[0].isspace():
            self._clean = min(self._clean + 1, _CLEAN_DELTAS)
        elif not is_unspaced(before[-1]):
            self._clean = 0


class SpeechSegmenter:
    """The cutting itself, as a state machine without clock or I/O.

    Feed it text as it comes; the concatenated segments are the concatenated text.
    """

    def __init__(self, language: str = "en-US", first: FirstSegment | None = None):
        """Initialize for a reply.

        Args:
            language: Locale of the text.
            first: When the first segment is good enough.
        """
        self.language = language
        self._first = first or FirstSegment()
        self._buffer = ""
        self._started = False
        self._line_start = True
        self._splits = WordSplits(known=self._first.whole_words)

    @property
    def pending(self) -> str:
        """Text that has come and is in no segment yet."""
        return self._buffer

    @property
    def awaits_first(self) -> bool:
        """Whether text is pending and nothing of the reply has been cut yet."""
        return not self._started and bool(self._prose().strip())

    @property
    def awaits_more(self) -> bool:
        """Whether text is pending that comes after a segment that was cut."""
        return self._started and bool(self._prose().strip())

    @property
    def seems_over(self) -> bool:
        """Whether what is pending ends like a sentence, and may be one."""
        prose = self._prose()
        last = [boundary for boundary in sentence_ends(prose, self.language, closed=False)][-1:]
        return bool(last) and last[0].end == len(prose.rstrip()) and not may_go_on(prose, self.language)

    @property
    def is_surely_over(self) -> bool:
        """Whether what is pending ends with a mark behind which no number, name, address or quotation goes on."""
        prose = self._prose()
        bare = prose.rstrip()
        ended = bool(bare) and (bare[-1] in SURE_AT_END or self._splits.only_between_words)
        return ended and self.seems_over and not in_aside(prose)

    @property
    def has_enough(self) -> bool:
        """Whether so much is pending that waiting for a better place is of no use."""
        prose = self._prose()
        whole = self._splits.only_between_words or prose[-1:].isspace()
        if not whole and (spans := word_spans(prose)):
            prose = prose[: spans[-1][0]]
        return units(prose, self.language) >= self._first.enough

    def feed(self, text: str) -> list[Segment]:
        """Take text.

        Args:
            text: The next characters of the reply.

        Returns:
            Segments that are complete now.
        """
        self._splits.note(self._buffer, text)
        self._buffer += text
        segments = []
        while (segment := self._cut()) is not None:
            segments.append(segment)
        return segments

    def force(self, place: Place = Place.ANY) -> Segment | None:
        """Cut now, because the voice is wanted or about to fall silent: the best place there is will do.

        Args:
            place: Where a cut will do.

        Returns:
            What has come up to that place, or None if that is too short to be worth it.
        """
        prose = self._prose()
        for boundary in sentence_ends(prose, self.language, closed=False):
            sure = boundary.certain or self.is_surely_over
            if not sure and (place < Place.SENTENCE or may_go_on(prose[: boundary.end], self.language)):
                break
            if self._units(boundary.end) >= self._first.sentence:
                return self._take(boundary.end, "sentence")
        # The strongest place; of equal ones the last, which keeps the voice busy longest.
        if self._splits.only_between_words:
            prose += " "
        places = [(found.strength, found.end) for found in clause_ends(prose, self.language) if self._is_early(found)]
        if places:
            return self._take(max(places)[1], "clause")
        end = last_word_end(prose, self.language) if place is Place.ANY else 0
        return self._take(end, "clause") if end and self._units(end) >= self._first.early else None

    def _is_early(self, found: Boundary) -> bool:
        least = self._first.early_clause if found.strength == Strength.CLAUSE else self._first.early
        return self._units(found.end) >= least

    def flush(self) -> list[Segment]:
        """End the reply.

        Returns:
            All that is pending; afterwards a new reply may begin.
        """
        segments = []
        while self._buffer and (segment := self._cut(closed=True)) is not None:
            segments.append(segment)
        if self._buffer:
            segments.append(Segment(self._buffer, "sentence"))
        self.reset()
        return segments

    def reset(self) -> None:
        """Forget what is pending; a new reply may begin."""
        self._buffer = ""
        self._started = False
        self._line_start = True

    def _prose(self) -> str:
        """What is pending before any block, as far as it is known to be no block's beginning."""
        block = find_block(self._buffer, line_start=self._line_start)
        return self._buffer[: block.start if block else partial_opener(self._buffer, line_start=self._line_start)]

    def _cut(self, *, closed: bool = False) -> Segment | None:
        block = find_block(self._buffer, line_start=self._line_start, complete=closed)
        if block and not self._buffer[: block.start].strip():
            return self._take(block.end, block.kind) if block.end is not None else None
        ended = closed or block is not None
        prose = self._buffer[: block.start] if block else self._buffer
        if not prose.strip():
            return None
        if boundary := self._boundary(prose, closed=ended):
            return self._take(boundary.end, "sentence" if boundary.strength == Strength.SENTENCE else "clause")
        if block:
            return self._take(block.start, "sentence")
        return self._take(self._long_cut(), "clause") if len(self._buffer) > _MAX_SENTENCE else None

    def _boundary(self, prose: str, *, closed: bool) -> Boundary | None:
        """The first place at which to cut, if it is certain."""
        first = self._first
        for boundary in sentence_ends(prose, self.language, closed=closed):
            if not self._started and (clause := self._early(prose[: boundary.end])):
                return clause
            if not boundary.certain:
                return None
            if self._started or self._units(boundary.end) >= first.sentence:
                return boundary
        return None if self._started else self._early(prose)

    def _early(self, prose: str) -> Boundary | None:
        """The first place within the first sentence that is good enough."""
        least = {
            Strength.CLAUSE: self._first.clause,
            Strength.JOINT: self._first.joint,
            Strength.PHRASE: self._first.phrase,
        }
        for place in clause_ends(prose, self.language):
            if self._units(place.end) >= least[place.strength] and prose[place.end :].strip():
                return place
        return None

    def _take(self, end: int, kind: Literal["clause", "sentence"] | BlockKind) -> Segment:
        # Spaces stay with the text before them, so that a segment begins with a word.
        while end < len(self._buffer) and self._buffer[end].isspace():
            end += 1
        segment = Segment(self._buffer[:end], kind)
        self._buffer = self._buffer[end:]
        if segment.text:
            self._line_start = segment.text.rstrip(" \t").endswith("\n")
        if kind in ("clause", "sentence") and segment.text.strip():
            self._started = True
        return segment

    def _units(self, end: int) -> float:
        return units(self._buffer[:end], self.language)

    def _long_cut(self) -> int:
        """A place to cut a sentence that does not end: the last good one, else the last word, else anywhere."""
        text = self._buffer[:_MAX_SENTENCE]
        places = [place for place in clause_ends(text, self.language) if place.end > _MAX_SENTENCE // 3]
        if places:
            return max(places, key=lambda place: (place.strength, place.end)).end
        return last_word_end(text, self.language) or _MAX_SENTENCE
