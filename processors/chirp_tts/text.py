"""The segmenter in Pipecat's shape, and texts cut to what a request may hold."""

import copy
import re
from collections.abc import AsyncIterator

from pipecat.utils.text.base_text_aggregator import Aggregation, BaseTextAggregator, TextType

from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Place, Segment, SpeechSegmenter
from halfcascade.processors.language.marks import CLAUSE_END, SURE_END


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
        for segment in self.cut(text):
            yield segment

    def cut(self, text: str) -> list[Aggregation]:
        """Take text.

        Args:
            text: The next characters of the reply.

        Returns:
            Segments that are complete now.
        """
        return [_aggregation(segment) for segment in self.segmenter.feed(text)]

    def twin(self) -> "SpeechTextAggregator":
        """Make another that would cut the next reply just as this one; what one is given the other does not see."""
        twin = copy.deepcopy(self)
        twin.segmenter.reset()
        return twin

    def force(self, place: Place = Place.ANY) -> Aggregation | None:
        """Cut now.

        Args:
            place: Where a cut will do.

        Returns:
            The segment, or None if there is none worth it.
        """
        segment = self.segmenter.force(place)
        return _aggregation(segment) if segment else None

    def finish(self) -> list[Aggregation]:
        """End the reply.

        Returns:
            All that is pending.
        """
        return [_aggregation(segment) for segment in self.segmenter.flush() if segment.text.strip()]

    async def flush(self) -> Aggregation | None:
        """End the reply; what is a block of its own at its end is for :meth:`finish`.

        Returns:
            What is pending, or None.
        """
        pending = "".join(segment.text for segment in self.segmenter.flush())
        return Aggregation(pending.strip(), TextType.SENTENCE) if pending.strip() else None

    async def handle_interruption(self) -> None:
        """Drop what is pending."""
        self.segmenter.reset()

    async def reset(self) -> None:
        """Drop what is pending."""
        self.segmenter.reset()


class Clause(Aggregation):
    """A part of a sentence that goes on."""


def _aggregation(segment: Segment) -> Aggregation:
    spoken = segment.kind in ("clause", "sentence")
    kind = Clause if segment.kind == "clause" else Aggregation
    return kind(segment.text.strip(), TextType.SENTENCE if spoken else segment.kind)


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
