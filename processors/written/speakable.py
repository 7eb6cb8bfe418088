"""Turns a stretch of a reply into what the voice is to say."""

import re

from halfcascade.processors.written.korean import speak_counters
from halfcascade.processors.written.markup import (
    PAUSE_TAGS,
    readable_characters,
    without_markup,
    without_pictures,
)
from halfcascade.processors.written.signs import speak_signs

_SPACES = re.compile(r"[ \t]{2,}")
_LINE_END = re.compile(r"\s*\n\s*")
_UNENDED = re.compile(r"(?<=[^\W_])\s*\n\s*(?=\S)")
_SPACE_BEFORE_MARK = re.compile(r"[ \t]+(?=[,.!;:。、，；：！।؟،](?:\s|$|[^\w\s]))")
_REPEATED = re.compile(r"([,;:、，])(?:\s*[,;:、，])+")
_EMPTY_BRACKETS = re.compile(r"[(\[{（]\s*[)\]}）]")
_SQUARE = re.compile(r"[\[\]{}]")


def speakable(text: str, locale: str = "en-US") -> str:
    """Write a stretch of a reply as the voice is to say it.

    Args:
        text: As written, without blocks.
        locale: Locale of the voice.

    Returns:
        Words to synthesize; empty if there is nothing to say. Numbers, dates, currencies and units stay: the voice
        reads them by itself.
    """
    text = without_pictures(without_markup(readable_characters(text)))
    text = speak_signs(text, locale)
    if locale.startswith("ko"):
        text = speak_counters(text)
    text = _EMPTY_BRACKETS.sub("", _SQUARE.sub(" ", text))
    # A line's end without a mark is a pause all the same.
    text = _LINE_END.sub(" ", _UNENDED.sub(", ", text))
    text = _REPEATED.sub(r"\1", _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", text))).strip()
    return text if any(character.isalnum() for character in text) else ""


def speakable_markup(text: str, locale: str = "en-US") -> str:
    """Like :func:`speakable`, for the API's ``markup`` field: pause tags stay, other brackets do not.

    Args:
        text: As written.
        locale: Locale of the voice.

    Returns:
        Markup to synthesize.
    """
    tags = PAUSE_TAGS.findall(text)
    parts = [speakable(part, locale) for part in PAUSE_TAGS.split(text)]
    out = parts[0]
    for tag, part in zip(tags, parts[1:], strict=True):
        out += f" {tag} {part}"
    return out.strip()


def without_pause_tags(text: str) -> str:
    """Take pause markup out of a text.

    Args:
        text: Written text.

    Returns:
        The text without ``[pause short]``, ``[pause]`` and ``[pause long]``.
    """
    return _SPACES.sub(" ", PAUSE_TAGS.sub("", text)).strip(" ")
