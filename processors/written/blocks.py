"""Finds what a reply shows rather than says: code, tables, pictures, formulas; and comments, which are neither."""

import re
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["code", "table", "picture", "formula", "silent"]

# Each opener with the kind of its block and what closes it. Tables end with the first line that is none of theirs.
_OPENERS: tuple[tuple[str, BlockKind, str], ...] = (
    (r"```", "code", r"```"),
    (r"(?:(?<=\n)|^)[ \t]*~~~", "code", r"\n[ \t]*~~~[^\n]*"),
    (r"(?:(?<=\n)|^)[ \t]*\|", "table", r"\n(?![ \t]*(?:\||$))"),
    # Right behind a word the mark ends a sentence.
    (r"(?<!\w)!\[", "picture", r"\]\([^)\n]*\)|\](?!\()(?=.)|\n"),
    (r"<img\b", "picture", r">"),
    (r"<!--", "silent", r"-->"),
    (r"\$\$", "formula", r"\$\$"),
    (r"\\\[", "formula", r"\\\]"),
)
_ANY_OPENER = re.compile("|".join(f"(?P<o{number}>{opener})" for number, (opener, _, _) in enumerate(_OPENERS)))
_CLOSERS = tuple(re.compile(closer) for _, _, closer in _OPENERS)
# What may be the beginning of an opener, at the end of what has come so far.
_PARTIAL = re.compile(r"(?:`{1,2}|(?:(?<=\n)|^)[ \t]*~{1,2}|(?:(?<=\n)|^)[ \t]+|(?<!\w)!|<(?:i|im|img|!|!-)?|\$|\\)$")


@dataclass(frozen=True)
class Block:
    """A block in a text.

    Parameters:
        start: Where it begins.
        end: Where it ends, or None if that has not come yet.
        kind: What it is.
    """

    start: int
    end: int | None
    kind: BlockKind


def find_block(text: str, *, line_start: bool, complete: bool = False) -> Block | None:
    """Find the first block of a text.

    Args:
        text: What has come so far.
        line_start: Whether the text begins a line.
        complete: Whether no more will come, so that what is open ends here.

    Returns:
        The block, or None if there is none yet.
    """
    # An anchor must not take the middle of a line for its beginning.
    padded, shift = (text, 0) if line_start else (f" {text}", 1)
    match = _find_opener(padded, shift)
    if match is None:
        return None
    number = int(str(match.lastgroup)[1:])
    kind = _OPENERS[number][1]
    start = match.start() - shift
    closing = _CLOSERS[number].search(padded, match.end())
    end = closing.end() - shift if closing else len(text) if complete else None
    return Block(start, end, kind)


def _find_opener(padded: str, shift: int) -> re.Match[str] | None:
    for match in _ANY_OPENER.finditer(padded, shift):
        at_start = match.start() == 0 or padded[match.start() - 1] == "\n"
        if _OPENERS[int(str(match.lastgroup)[1:])][0].startswith("(?:") and not at_start:
            continue
        return match
    return None


def partial_opener(text: str, *, line_start: bool) -> int:
    """Tell from where on a text may be the beginning of a block.

    Args:
        text: What has come so far, without any block.
        line_start: Whether the text begins a line.

    Returns:
        That place; the text's length if nothing of it may.
    """
    padded, shift = (text, 0) if line_start else (f" {text}", 1)
    match = _PARTIAL.search(padded, shift)
    return max(0, match.start() - shift) if match else len(text)
