"""How text from outside reaches a person or a document: harmless, cut with a note, in lines where they are wanted."""

from halfcascade.processors.harmless import shown

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
    text = shown(text)
    return text if lines else text.replace("\n", " ").replace("\t", " ")
