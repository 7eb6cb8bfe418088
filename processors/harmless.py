"""Makes text of others harmless for a person's screen and files: one line, no controls, no disguise, bounded."""

import re
from collections.abc import Mapping
from typing import Any

LONGEST_LINE = 4_000
"""Characters of one text that are shown at most."""

# CSI, OSC (which may set the clipboard), DCS, SOS, PM and APC strings, then two-character escapes; 7 and 8 bit forms.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]).*?(?:\x1b\\|[\x07\x9c]|$)"
    r"|\x1b[ -/]*[0-~]?",
    re.DOTALL,
)
_LINE_BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile(r"\s+")
# A flag of a part of a country is spelled with tags, which alone are invisible letters.
_TAGGED_FLAG = "\U0001f3f4[\U000e0020-\U000e007e]+\U000e007f"
_NO_CHARACTERS = "\ufdd0-\ufdef" + "".join(
    f"{chr(plane | 0xFFFE)}{chr(plane | 0xFFFF)}" for plane in range(0, 0x110000, 0x10000)
)
# Controls but tab and newline; what turns writing around, so that what is read is not what is there, or hides, but the
# joiners, which shape Persian, Indic words and emoji; halves of characters, which no encoding takes; what is none. What
# a later Unicode may assign stays.
_UNSHOWN = re.compile(
    f"({_TAGGED_FLAG})|[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    f"\ud800-\udfff\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f{_NO_CHARACTERS}]"
)
_CUT = " …"


def harmless(text: str, limit: int = LONGEST_LINE) -> str:
    """Make one harmless line of a text.

    Args:
        text: Of a recognizer, a model, a tool, a server, a file.
        limit: Characters at most.

    Returns:
        The text without escape sequences, control, bidirectional and other invisible characters and lone surrogates;
        line breaks and other white space become single spaces, but not at its ends, where texts may join.
    """
    if text.isascii() and text.isprintable() and len(text) <= limit:
        return text
    kept = _SPACES.sub(" ", shown(_SPACES.sub(" ", _ESCAPES.sub("", text))))
    return kept if len(kept) <= limit else kept[:limit] + _CUT


def harmless_lines(text: str) -> str:
    """Make a text of several lines harmless, such as a traceback or a block of code; lines and their spaces stay.

    Args:
        text: Any text.

    Returns:
        The lines without what ``harmless`` takes out.
    """
    if text.isascii() and text.isprintable():
        return text
    lines = _LINE_BREAKS.split(_ESCAPES.sub("", text))
    return "\n".join(shown(line.replace("\t", "    ")) for line in lines)


def shown(text: str) -> str:
    """Take out what a terminal or a browser would act on instead of showing it, or what hides.

    Args:
        text: Any text.

    Returns:
        The text with its tabs and newlines, without escape sequences, control, bidirectional and other invisible
        characters and lone surrogates.
    """
    return _UNSHOWN.sub(r"\1", _ESCAPES.sub("", text))


def harmless_value(value: Any) -> Any:
    """Make all texts within a JSON-like value harmless.

    Args:
        value: A text, or mappings and lists of them; anything else is returned as it is.

    Returns:
        The value.
    """
    if isinstance(value, str):
        return harmless_lines(value)
    if isinstance(value, Mapping):
        return {harmless(str(key)): harmless_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [harmless_value(item) for item in value]
    return value
