"""Lines of a talk whose words stay right of who says them, however many rows they take."""

import functools

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

LABEL_COLUMNS = 5
"""Columns for who speaks."""
_NARROWEST = 12


def hanging(line: Text, width: int) -> Text:
    """Wrap a line below its words instead of below its label.

    Args:
        line: A label of ``LABEL_COLUMNS``, or as many spaces, and the words.
        width: Of the terminal, in columns.

    Returns:
        The rows, separated by line breaks.
    """
    room = width - LABEL_COLUMNS
    if line.cell_len <= width or room < _NARROWEST:
        return line
    letters = 0
    while cell_len(line.plain[:letters]) < LABEL_COLUMNS:
        letters += 1
    rows = line[letters:].wrap(_console(), room)
    return line[:letters].append_text(Text("\n" + " " * LABEL_COLUMNS).join(rows))


@functools.cache
def _console() -> Console:
    # Rich asks one for the size of a tab, and nothing else.
    return Console()
