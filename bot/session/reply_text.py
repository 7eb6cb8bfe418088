"""What of a reply's text is said, only shown, or was heard: functions of texts alone."""

import difflib
import functools
from collections.abc import Iterator
from dataclasses import dataclass

from halfcascade.processors.written import find_block


@dataclass(frozen=True)
class Part:
    """A stretch of a reply.

    Parameters:
        text: As it is written, without white space around it.
        shown: Whether it is only looked at: code, a table, a picture, a formula.
    """

    text: str
    shown: bool


def parts_of(text: str) -> Iterator[Part]:
    """Tell apart what of a reply is said and what is only looked at.

    Args:
        text: A reply, or the beginning or the end of one.

    Yields:
        Its parts, in order; comments, which are neither, are left out.
    """
    while text.strip():
        block = find_block(text, line_start=True, complete=True)
        start, end = (block.start, block.end or len(text)) if block else (len(text), len(text))
        if prose := text[:start].strip():
            yield Part(prose, shown=False)
        if block and block.kind != "silent" and (shown := text[start:end].strip()):
            yield Part(shown, shown=True)
        text = text[end:]


def reached_length(text: str, reached: str) -> int | None:
    """Find how far into a text a part of it reaches that was told piece by piece.

    Args:
        text: The reply.
        reached: Its beginning, spaces not counted.

    Returns:
        Number of the text's characters, or None if it does not begin like that.
    """
    place = 0
    for character in reached:
        if character.isspace():
            continue
        while place < len(text) and text[place].isspace():
            place += 1
        if text[place : place + 1] != character:
            return None
        place += 1
    return place if place else None


@functools.lru_cache(maxsize=512)
def heard_length(text: str, heard: str) -> int:
    """Find how far into a text its speech was heard.

    The voice reports words as it spoke them, which may differ from the text in case, punctuation and spacing, or
    where numbers and symbols were written out.

    Args:
        text: The reply.
        heard: The words reported.

    Returns:
        Number of the text's characters heard, punctuation that closes the last word included.
    """
    wanted, (key, places) = letters(heard)[0], letters(text)
    if key.startswith(wanted):
        count = len(wanted)
    else:
        blocks = difflib.SequenceMatcher(None, key, wanted, autojunk=False).get_matching_blocks()
        # A block of a letter or two at the far end is chance; the last real one says how far the speech came.
        count = max((block.a + block.size for block in blocks if block.size > 2), default=0)
    if not count:
        return 0
    end = places[count - 1] + 1
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return end


def find_part(part: str, text: str) -> tuple[int, int] | None:
    """Find a part of a text by its letters, and give its place with the punctuation that closes it."""
    wanted, (key, places) = letters(part)[0], letters(text)
    at = key.find(wanted) if wanted else -1
    if at < 0:
        return None
    end = places[at + len(wanted) - 1] + 1
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return places[at], end


def letters(text: str) -> tuple[str, list[int]]:
    """Letters and digits alone, in one case, and the place of each in the text."""
    found = [(letter, index) for index, character in enumerate(text) for letter in character.casefold()]
    kept = [(letter, index) for letter, index in found if letter.isalnum()]
    return "".join(letter for letter, _ in kept), [index for _, index in kept]
