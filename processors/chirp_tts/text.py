"""Cuts a reply, while it is being written, into the segments that are synthesized one by one.

The first segment ends at the first good clause, so that the voice starts early; every later one is a whole sentence,
because whole sentences give the best prosody (facts/tts#voices). No character is lost, added or moved.
"""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pipecat.utils.string import match_endofsentence
from pipecat.utils.text.base_text_aggregator import Aggregation, BaseTextAggregator, TextType

from halfcascade.processors.language import has_unspaced, is_unspaced, language, normalize, spoken_words, word_spans
from halfcascade.processors.language.marks import CLAUSE_END, POSSIBLE_END, SURE_END

CODE: Literal["code"] = "code"
"""Text type of fenced code: written to the context, never spoken."""

_FENCE = "```"
_BREAK = re.compile(r"[ \t]*\n\s*")
_HIRAGANA = re.compile(r"[\u3041-\u309f]")
_WORD_BEFORE_SPACE = re.compile(r"\S+(?=\s)")
# A full stop after a digit or a single letter, at the end of what has come so far, proves nothing yet.
_NUMBER_OR_INITIAL = re.compile(r"(?:\d|(?<![^\W_])[^\W\d_])\.$")
_ORDINAL = re.compile(r"\d{1,2}")
_LAST_WORD = re.compile(r"[^\s\"'(\[]+(?=\.$)")
_SPACE_AFTER_WORD = re.compile(r"(?<=\S)[ \t]+(?=\S)")
# Where spaces part phrases (Thai, Lao), a phrase of this many units may stand alone.
_PHRASE_UNITS = 12.0
# A sentence that has not ended by then is cut, in characters: the server refuses very long ones.
_MAX_SENTENCE = 400


@dataclass(frozen=True)
class FirstSegment:
    """When a segment that is wanted early is good enough.

    Lengths are in units of about a syllable (0.2 s). A segment shorter than the time that the next one takes to be
    synthesized would leave a gap after it.

    Parameters:
        sentence: Least length of a sentence.
        clause: Least length before a comma or its like.
        conjunction: Least length before a conjunction.
        enough: Length at which any space between words will do.
        forced: Least length when time is up.
        wait: Seconds after the reply's first text at which time is up. Longer waits find better places to cut and
            delay the voice by as much; text that has come already is always taken in.
    """

    sentence: float = 0.8
    clause: float = 3.5
    conjunction: float = 6.0
    enough: float = 11.0
    forced: float = 2.0
    wait: float = 0.0


@dataclass(frozen=True)
class Segment:
    """A segment of a reply.

    Parameters:
        text: The characters exactly as written, spaces included.
        kind: How it ends; ``code`` is a fenced block that is not spoken.
    """

    text: str
    kind: Literal["clause", "sentence", "code"]


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

    @property
    def pending(self) -> str:
        """Text that has come and is in no segment yet."""
        return self._buffer

    @property
    def awaits_first(self) -> bool:
        """Whether text is pending and nothing of the reply has been cut yet."""
        return not self._started and bool(self._buffer.strip())

    @property
    def awaits_more(self) -> bool:
        """Whether text is pending that comes after a segment that was cut."""
        return self._started and bool(self._buffer.strip()) and not self._in_code()

    def feed(self, text: str) -> list[Segment]:
        """Take text.

        Args:
            text: The next characters of the reply.

        Returns:
            Segments that are complete now.
        """
        self._buffer += text
        segments = []
        while (segment := self._cut()) is not None:
            segments.append(segment)
        return segments

    def force(self) -> Segment | None:
        """Cut now, because the voice is about to fall silent: the best place there is will do.

        Returns:
            What has come up to a clause or the last complete word, or None if that is too short to be worth it.
        """
        if self._in_code():
            return None
        if end := self._sentence_end(eager=True):
            return self._take(end, "sentence") if self._units(end) >= self._first.sentence else None
        end = self._clause_end(self._first.forced) or self._last_word_end()
        if not end or self._units(end) < self._first.forced:
            return None
        return self._take(end, "clause")

    def flush(self) -> list[Segment]:
        """End the reply.

        Returns:
            All that is pending; afterwards a new reply may begin.
        """
        segments = []
        if self._buffer:
            segments.append(Segment(self._buffer, CODE if self._in_code() else "sentence"))
        self.reset()
        return segments

    def reset(self) -> None:
        """Forget what is pending; a new reply may begin."""
        self._buffer = ""
        self._started = False

    def _cut(self) -> Segment | None:
        if self._in_code():
            end = self._buffer.find(_FENCE, self._code_start() + len(_FENCE))
            return self._take(end + len(_FENCE), CODE) if end >= 0 else None
        if (end := self._sentence_end()) and (self._started or self._units(end) >= self._first.sentence):
            return self._take(end, "sentence")
        if not self._started and (end := self._clause_end()):
            return self._take(end, "clause")
        fence = self._buffer.find(_FENCE)
        if fence > 0:
            return self._take(fence, "sentence")
        if len(self._buffer) > _MAX_SENTENCE:
            return self._take(self._long_cut(), "clause")
        return None

    def _take(self, end: int, kind: Literal["clause", "sentence", "code"]) -> Segment:
        # Spaces stay with the text before them, so that a segment begins with a word.
        while end < len(self._buffer) and self._buffer[end].isspace():
            end += 1
        segment = Segment(self._buffer[:end], kind)
        self._buffer = self._buffer[end:]
        if kind != CODE and segment.text.strip():
            self._started = True
        return segment

    def _in_code(self) -> bool:
        return self._buffer.lstrip().startswith(_FENCE)

    def _code_start(self) -> int:
        return len(self._buffer) - len(self._buffer.lstrip())

    def _units(self, end: int) -> float:
        return sum(word.units for word in spoken_words(self._buffer[:end], self.language))

    def _limit(self) -> int:
        fence = self._buffer.find(_FENCE)
        return fence if fence >= 0 else len(self._buffer)

    def _sentence_end(self, *, eager: bool = False) -> int:
        """Where the first sentence ends, or 0 when it cannot be told yet."""
        text = self._buffer[: self._limit()]
        start = len(text) - len(text.lstrip())
        known = language(self.language)
        candidates = []
        if match := SURE_END.search(text, start):
            candidates.append(match.end())
        if (match := _BREAK.search(text, start)) and match.end() < len(self._buffer):
            candidates.append(match.end())
        if end := self._spaced_end(text, start):
            candidates.append(end)
        possible = re.compile(rf"[{re.escape(known.marks)}]+(?=\s)") if known.marks else None
        if possible and (match := possible.search(text, start)):
            candidates.append(match.end())
        for match in POSSIBLE_END.finditer(text, start):
            if candidates and match.end() >= min(candidates):
                break
            if self._is_abbreviation(text[: match.end()]) and text[match.end() :].strip():
                start = match.end()
            elif self._ends_sentence(text[start:], match.end() - start, eager):
                candidates.append(match.end())
                break
        return min(candidates, default=0)

    def _ends_sentence(self, text: str, end: int, eager: bool) -> bool:
        after = text[end:]
        if not after.strip():
            # Nothing follows yet: it may be an abbreviation or half of a number, unless it is clear or time is up.
            if not (eager or not self._started):
                return False
            return not self._may_go_on(text[:end])
        if not after[0].isspace():
            return False
        next_word = after.lstrip().split(maxsplit=1)[0]
        lead = end + after.index(next_word[0])
        return match_endofsentence(text[: lead + len(next_word)], language=self.language) == end

    def _may_go_on(self, text: str) -> bool:
        """Whether a full stop at the end of what has come may belong to an abbreviation or a number."""
        return bool(_NUMBER_OR_INITIAL.search(text)) or self._is_abbreviation(text)

    def _is_abbreviation(self, text: str) -> bool:
        """Whether the full stop that a text ends with belongs to its last word."""
        if not (last := _LAST_WORD.search(text)):
            return False
        known = language(self.language)
        return last[0] in known.abbreviations or (known.ordinals and bool(_ORDINAL.fullmatch(last[0])))

    def _spaced_end(self, text: str, start: int) -> int:
        """Where a space ends a sentence, in scripts that part sentences and phrases by nothing else; or 0."""
        final = language(self.language).final_words
        for match in _SPACE_AFTER_WORD.finditer(text, start):
            said = text[start : match.start()]
            if not (is_unspaced(said) and is_unspaced(text[: match.end() + 1])):
                continue
            if said.endswith(final) or self._units(match.start()) >= _PHRASE_UNITS:
                return match.end()
        return 0

    def _clause_end(self, least: float | None = None) -> int:
        """Where the first good clause ends, or 0.

        Args:
            least: Length that is good enough, in units; None for what a first segment needs.
        """
        text = self._buffer[: self._limit()]
        for match in CLAUSE_END.finditer(text):
            if self._units(match.end()) >= (least or self._first.clause):
                return match.end()
        for end in self._joints(text):
            if self._units(end) >= (least or self._first.conjunction):
                return end
        end = self._last_word_end()
        return end if least is None and end and self._units(end) >= self._first.enough else 0

    def _last_word_end(self) -> int:
        """End of the last word that is certainly complete, or 0."""
        text = self._buffer[: self._limit()]
        if has_unspaced(text):
            # The last word may be the beginning of a longer one.
            return self._phrase_ends(text)[-1] if self._phrase_ends(text) else 0
        ends = [match.end() for match in _WORD_BEFORE_SPACE.finditer(text)]
        return ends[-1] if ends else 0

    def _joints(self, text: str) -> list[int]:
        """Where a connective lets one clause end and another begin."""
        known = language(self.language)
        spans = word_spans(text)
        joints = []
        for (start, end), (following, last) in pairwise(spans):
            starts_clause = normalize(text[following:last]) in known.before and last < len(text.rstrip())
            if starts_clause or (known.after and text[start:end].endswith(known.after) and _ends_phrase(text, end)):
                joints.append(following)
        return joints

    def _phrase_ends(self, text: str) -> list[int]:
        """Where a word ends and another begins that is no particle of it, in scripts without spaces."""
        return [end for (_, end), (start, _) in pairwise(word_spans(text)) if _ends_phrase(text, start)]

    def _long_cut(self) -> int:
        """A place to cut a sentence that does not end: the last clause, else the last word, else anywhere."""
        text = self._buffer[:_MAX_SENTENCE]
        if ends := [match.end() for match in CLAUSE_END.finditer(text)]:
            return ends[-1]
        space = text.rstrip().rfind(" ")
        return space if space > 0 else _MAX_SENTENCE


class SpeechTextAggregator(BaseTextAggregator):
    """The segmenter in the shape Pipecat's TTS services expect."""

    def __init__(self, language: str = "en-US", first: FirstSegment | None = None):
        """Initialize.

        Args:
            language: Locale of the text.
            first: When the first segment of a reply is good enough.
        """
        super().__init__(aggregation_type=TextType.SENTENCE, language=language)
        self.segmenter = SpeechSegmenter(language, first)

    @property
    def text(self) -> Aggregation:
        """Text that is pending."""
        return Aggregation(self.segmenter.pending.strip(" "), TextType.SENTENCE)

    def set_language(self, language: str | None) -> None:
        """Change the language of text that comes from now on.

        Args:
            language: Locale.
        """
        super().set_language(language)
        self.segmenter.language = language or "en-US"

    async def aggregate(self, text: str) -> AsyncIterator[Aggregation]:
        """Take text.

        Args:
            text: The next characters of the reply.

        Yields:
            Segments that are complete now.
        """
        for segment in self.segmenter.feed(text):
            yield _aggregation(segment)

    def force(self) -> Aggregation | None:
        """Cut the reply's first segment now; None if there is none worth it."""
        segment = self.segmenter.force()
        return _aggregation(segment) if segment else None

    async def flush(self) -> Aggregation | None:
        """End the reply.

        Returns:
            What is pending, or None.
        """
        segments = self.segmenter.flush()
        return _aggregation(segments[0]) if segments and segments[0].text.strip() else None

    async def handle_interruption(self) -> None:
        """Drop what is pending."""
        self.segmenter.reset()

    async def reset(self) -> None:
        """Drop what is pending."""
        self.segmenter.reset()


def _ends_phrase(text: str, end: int) -> bool:
    """Whether a place between two words may part phrases: in Japanese no particle or ending follows there."""
    return text[end - 1 : end].isspace() or text[end : end + 1].isspace() or not _HIRAGANA.match(text[end : end + 1])


def _aggregation(segment: Segment) -> Aggregation:
    return Aggregation(segment.text.strip(), CODE if segment.kind == CODE else TextType.SENTENCE)


def split_utf8(text: str, limit: int) -> list[str]:
    """Cut text into parts of at most ``limit`` bytes in UTF-8.

    Args:
        text: Any text.
        limit: Bytes, at least 4.

    Returns:
        Parts whose concatenation is the text, cut after sentences where possible, else after clauses, else at spaces,
        else between characters.
    """
    parts = []
    while len(text.encode()) > limit:
        head = text.encode()[:limit].decode(errors="ignore")
        cut = 0
        for pattern in (SURE_END, re.compile(r"[.!?…]+(?=\s)"), CLAUSE_END, re.compile(r"\s+")):
            if ends := [match.end() for match in pattern.finditer(head) if match.end() > len(head) // 3]:
                cut = ends[-1]
                break
        cut = cut or len(head)
        parts.append(text[:cut])
        text = text[cut:]
    return [*parts, text] if text else parts
