"""The one function through which text from outside passes before a person or a document sees it."""

import re

# C0 without tab and newline, DEL, C1; lone surrogates, which no encoding takes; what turns the direction of writing
# around or hides (bidi controls, zero-width characters but the joiner, which emoji and scripts need); private escapes.
_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u061c\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
# A whole escape sequence: CSI, or a string (OSC, DCS, ...) with its end. Without them their innards would stay behind.
_SEQUENCE = re.compile(
    "\x1b\\[[0-?]*[ -/]*[@-~]|\x1b[\\]PX^_].{0,4096}?(?:\x07|\x1b\\\\|\x9c|$)|\x9b[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
LONGEST = 20_000
"""Characters of one text that are shown; a document that holds everything passes its own limit."""


def harmless(text: str, *, lines: bool = False, longest: int = LONGEST) -> str:
    """Take out what a terminal or a browser would act on instead of showing it.

    Args:
        text: Any text.
        lines: Whether newlines and tabs stay; otherwise they become spaces.
        longest: Characters that are kept.

    Returns:
        The text without escape sequences, control, bidi and invisible characters, cut with a note if it is long.
    """
    if len(text) > longest:
        text = f"{text[:longest]} … ({len(text) - longest:,} more characters)"
    text = _HARMFUL.sub("", _SEQUENCE.sub("", text.replace("\r\n", "\n")))
    return text if lines else text.replace("\n", " ").replace("\t", " ")
