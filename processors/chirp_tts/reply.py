"""What of one reply is said, shown and silent."""

from dataclasses import dataclass, field

from pipecat.frames.frames import AggregatedTextFrame
from pipecat.utils.text.base_text_aggregator import Aggregation

from halfcascade.processors.chirp_tts.text import Clause
from halfcascade.processors.language import is_unspaced, phrases
from halfcascade.processors.written.markup import PAUSE_TAGS
from halfcascade.processors.written.speakable import speakable, speakable_markup, without_pause_tags

SHOWN_KINDS = frozenset(("code", "table", "picture", "formula"))
"""Text types of what is only looked at; a short phrase is said in its place, once for each kind."""

SILENT = "silent"
"""Text type of what is neither said nor looked at."""

MARKUP = "markup"
"""Key in a frame's metadata: what is said, with pause tags."""
WORDS = "words"
"""Key in a frame's metadata: what is said of its text; empty if nothing is."""
GOES_ON = "goes on"
"""Key in a frame's metadata: whether it is a part of a sentence that goes on."""


def spoken_form(text: str, locale: str, *, goes_on: bool) -> str:
    """Put a segment into the words in which it is said.

    Args:
        text: As written.
        locale: Of the voice.
        goes_on: Whether its sentence goes on behind it.

    Returns:
        What is said; empty if that is nothing.
    """
    words = speakable(without_pause_tags(text), locale)
    if goes_on and words[-1:].isalnum() and not is_unspaced(words):
        # Without a mark the voice would end a sentence here (bench.joins).
        words += ","
    return words


def foreseen_words(segment: Aggregation, locale: str) -> str:
    """Tell what will be said of a segment of an answer that may be withdrawn.

    Args:
        segment: The segment.
        locale: Of the voice.

    Returns:
        What is said; empty for one that is only shown.
    """
    if str(segment.type) in SHOWN_KINDS:
        return ""
    return spoken_form(segment.text, locale, goes_on=isinstance(segment, Clause))


@dataclass
class ReplyAccount:
    """What happened to a reply so far.

    Parameters:
        spoken: Whether anything was given to the voice.
        silent: Text without anything to say, which goes with what follows it.
    """

    spoken: bool = False
    silent: str = ""
    _announced: set[str] = field(default_factory=set)

    def take(self, frame: AggregatedTextFrame, locale: str, *, phrase: bool) -> bool:
        """Note in a segment's metadata what is said of it.

        Args:
            frame: The segment.
            locale: Of the voice.
            phrase: Whether it is a phrase of its own, which belongs to no reply.

        Returns:
            Whether it is to go on now; one without anything to say waits for what follows.
        """
        kind = str(frame.text_type)
        if kind in SHOWN_KINDS:
            frame.metadata[WORDS] = self._announcement(kind, locale)
        else:
            if not phrase:
                frame.text = frame.raw_text = self.silent + frame.text
            frame.metadata[WORDS] = spoken_form(frame.text, locale, goes_on=bool(frame.metadata.get(GOES_ON)))
            if not frame.metadata[WORDS] and not phrase:
                self.silent = f"{frame.text} "
                return False
        if not phrase:
            self.silent = ""
        if frame.metadata[WORDS]:
            self.spoken = True
            _split_pauses(frame, locale)
        return True

    def rest(self, locale: str) -> AggregatedTextFrame | None:
        """What is left at the end of the reply; one that holds nothing to say is answered by a short phrase.

        Args:
            locale: Of the voice.
        """
        if not self.silent:
            return None
        frame = AggregatedTextFrame(self.silent.strip(), SILENT, raw_text=self.silent.strip())
        frame.metadata[WORDS] = "" if self.spoken else phrases(locale).shown.nothing
        self.silent, self.spoken = "", True
        return frame

    def _announcement(self, kind: str, locale: str) -> str:
        """What is said in place of something that is shown; nothing if it was said before in this reply."""
        if kind in self._announced:
            return ""
        self._announced.add(kind)
        return str(getattr(phrases(locale).shown, kind))


def _split_pauses(frame: AggregatedTextFrame, locale: str) -> None:
    """Pauses are for the voice only: captions and conversation hold the words."""
    if PAUSE_TAGS.search(frame.text):
        frame.metadata[MARKUP] = speakable_markup(frame.text, locale)
        frame.text = frame.raw_text = without_pause_tags(frame.text)
