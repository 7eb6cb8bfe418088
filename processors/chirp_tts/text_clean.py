"""Makes written text speakable: what is sent to the voice, while the conversation keeps what was written."""

import re
import unicodedata

from pipecat.utils.text.transforms.strip_markdown import strip_markdown

PAUSE_TAGS = re.compile(r"\[pause(?: short| long)?\]")
"""Pause markup of Chirp 3 HD (facts/tts#voices)."""

_URL = re.compile(r"(?:https?://|www\.)[^\s<>()\[\]]+", re.IGNORECASE)
_HTML_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,80}>")
_TABLE_RULE = re.compile(r"^[ \t]*\|?(?:[ \t]*:?-{2,}:?[ \t]*\|)+[ \t:-]*$", re.MULTILINE)
_LEFTOVER = re.compile(r"[*_`#~|\\^<>{}]+")
_SPACES = re.compile(r"[ \t]{2,}")
_SPACE_BEFORE_MARK = re.compile(r"\s+(?=[,.!?;:](?:\s|$))")


def _spoken_url(match: re.Match[str]) -> str:
    """An address as a person would say it: the host, without scheme, path and query."""
    url = match.group()
    trailing = url[len(url.rstrip(".,;:!?\"'")) :]
    host = re.sub(r"^(?:https?://)?(?:www\.)?", "", url[: len(url) - len(trailing)], flags=re.IGNORECASE)
    return re.split(r"[/?#:]", host, maxsplit=1)[0] + trailing


def _is_spoken(character: str) -> bool:
    """Whether a character is text; emoji, their joiners and other symbols have no sound."""
    category = unicodedata.category(character)
    if category in ("So", "Sk", "Cf", "Co", "Cs", "Cn"):
        return character in "°№℃℉™®©"
    return character != "\ufe0f"


async def speakable(text: str, text_type: str) -> str:
    """Turn written text into what the voice is to say; a Pipecat text transform.

    Markdown loses its marks, addresses are cut to their host, emoji and markup vanish. Numbers, dates, units and
    abbreviations stay: the voice reads them by itself, in its own language.

    Args:
        text: Written text.
        text_type: Pipecat's type of the text.

    Returns:
        Text to synthesize; empty if there is nothing to say.
    """
    text = _TABLE_RULE.sub("", text)
    text = await strip_markdown(text, text_type)
    text = _URL.sub(_spoken_url, text)
    text = _HTML_TAG.sub("", text)
    text = _LEFTOVER.sub(" ", text)
    text = "".join(character if _is_spoken(character) else " " for character in text)
    text = _SPACE_BEFORE_MARK.sub("", _SPACES.sub(" ", text)).strip()
    return text if any(character.isalnum() for character in text) else ""


def without_pause_tags(text: str) -> str:
    """Take pause markup out of a text.

    Args:
        text: Written text.

    Returns:
        The text without ``[pause short]``, ``[pause]`` and ``[pause long]``.
    """
    return _SPACES.sub(" ", PAUSE_TAGS.sub("", text)).strip(" ")


async def speakable_markup(text: str, text_type: str) -> str:
    """Like :func:`speakable`, for the API's ``markup`` field: pause tags stay, other brackets do not.

    Args:
        text: Written text.
        text_type: Pipecat's type of the text.

    Returns:
        Markup to synthesize.
    """
    out = ""
    for number, part in enumerate(PAUSE_TAGS.split(text)):
        clean = (await speakable(part, text_type)).replace("[", "").replace("]", "")
        out += (f" {tags[number - 1]} " if number and (tags := PAUSE_TAGS.findall(text)) else "") + clean
    return out.strip()
