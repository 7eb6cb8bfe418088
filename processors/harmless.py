"""Makes text of others harmless for a person's screen and files: one line, no controls, no disguise, bounded."""

import re
import unicodedata
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
# Controls that turn writing around: what is read is then not what is there.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Joiners shape Persian, Indic words and emoji; they are part of the text.
_KEPT_FORMATS = frozenset("\u200c\u200d")
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
    text = _ESCAPES.sub("", text)
    kept = _SPACES.sub(" ", "".join(c for c in _SPACES.sub(" ", text) if _is_shown(c)))
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
    return "\n".join("".join(c for c in line.replace("\t", "    ") if _is_shown(c)) for line in lines)


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


def _is_shown(character: str) -> bool:
    if character in _BIDI:
        return False
    if character in _KEPT_FORMATS:
        return True
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn")
