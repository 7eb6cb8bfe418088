"""Where sentences and clauses end: the marks of all scripts."""

import re

SURE_ENDS = "。！？｡．।॥؟۔။។៕։።፧"
"""Marks that end a sentence wherever they stand."""

ENDS = ".!?…‽" + SURE_ENDS
"""Marks that may end a sentence; those that are not sure stand in numbers, names and addresses too."""

CLAUSE_ENDS = ",;:、，；：،؛၊፣፤–—"
"""Marks at which a reader draws breath within a sentence."""

SURE_CLAUSE_ENDS = "、，；：،؛၊፣፤"
"""Those that need no space after them."""

CLOSERS = "\"'”’»)]}」』）】》〉›*_~"
"""What may stand between a mark and the space after it."""

OPENERS = "\"'“‘«([{「『（【《〈‹¿¡*_~"
"""What may stand before the first word of a sentence."""

_CLOSED = re.escape(CLOSERS)

SURE_END = re.compile(rf"[{re.escape(SURE_ENDS)}]+[{_CLOSED}]*")
"""A sentence's end that needs nothing after it."""

POSSIBLE_END = re.compile(rf"[.!?…‽]+[{_CLOSED}]*")
"""A sentence's end if a space and a new sentence follow."""

CLAUSE_END = re.compile(
    rf"(?:[,;:][{_CLOSED}]*(?=\s)|[{re.escape(SURE_CLAUSE_ENDS)}][{_CLOSED}]*|\s[–—-](?=\s)|—(?!\s|$))"
)
"""Where a clause ends."""


def ends_sentence(text: str, marks: str = "") -> bool:
    """Tell whether a text ends where a sentence may end.

    Args:
        text: What came so far.
        marks: Further marks that end a sentence in its language.

    Returns:
        True after sentence punctuation, closing quotes and brackets skipped.
    """
    last = text.rstrip().rstrip(CLOSERS)[-1:]
    return bool(last) and (last in ENDS or last in marks)


def ends_clause(text: str) -> bool:
    """Tell whether a text ends with a mark within a sentence.

    Args:
        text: What came so far.

    Returns:
        True after a comma, a colon, a dash and their like, closing quotes and brackets skipped.
    """
    last = text.rstrip().rstrip(CLOSERS)[-1:]
    return bool(last) and last in CLAUSE_ENDS
