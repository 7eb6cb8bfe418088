"""Rows of a listing that a narrow terminal can show."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len

GAP, INDENT = "  ", "    "


def side_by_side(cells: Sequence[str], width: int) -> Iterator[str]:
    """Put cells side by side; those that have no room stand below, indented.

    Args:
        cells: Of one row; the first is what the row is about, and may be empty.
        width: Of the terminal, in columns.

    Yields:
        Lines. One is wider than the terminal only if a single cell is.
    """
    line = cells[0]
    for cell in cells[1:]:
        if line and cell_len(line + GAP + cell) <= width:
            line += GAP + cell
            continue
        if line.strip():
            yield line.rstrip()
        line = INDENT + cell
    yield line.rstrip()
