"""Cuts text into words: at spaces, and by ICU's dictionaries in scripts that write none."""

import re
from functools import lru_cache

from halfcascade.processors.language.marks import OPENERS
from halfcascade.processors.language.scripts import SMALL_KANA, has_unspaced, is_unspaced, is_word_character

_TOKEN = re.compile(r"\S+")


@lru_cache(maxsize=512)
def word_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Cut a text into words.

    Args:
        text: Any text, scripts may be mixed.

    Returns:
        Where each word begins and ends. Punctuation belongs to the word that it stands at; nothing but spaces is
        between words.
    """
    spans: list[tuple[int, int]] = []
    for token in _TOKEN.finditer(text):
        if has_unspaced(token.group()):
            spans += ((token.start() + start, token.start() + end) for start, end in _parts(token.group()))
        else:
            spans.append(token.span())
    return tuple(spans)


def clusters(text: str) -> list[str]:
    """Cut a text into what a reader takes for one character, vowel signs with what bears them.

    Args:
        text: Any text.

    Returns:
        Its grapheme clusters, each with the spaces after it.
    """
    out: list[str] = []
    from icu4py.breakers import CharacterBreaker

    for cluster in CharacterBreaker(text, "en"):
        if out and cluster.isspace():
            out[-1] += cluster
        else:
            out.append(cluster)
    return out


def _parts(token: str) -> list[tuple[int, int]]:
    """Cut a token that holds a script without spaces; what is not of such a script stays whole."""
    parts: list[tuple[int, int]] = []
    begin = 0
    # The dictionaries of all scripts are at work whatever the locale.
    for start, _ in _code_point_segments(token):
        if start > begin and _parts_words(token[begin:start], token[start:]):
            parts.append((begin, start))
            begin = start
    return [*parts, (begin, len(token))]


def _parts_words(head: str, tail: str) -> bool:
    """Whether a border found by ICU parts two words: not digits from letters, nor a word from its punctuation."""
    last = next((character for character in reversed(head) if is_word_character(character)), "")
    if (
        not last
        or head[-1] in OPENERS
        or tail[0] in SMALL_KANA
        or not is_word_character(tail.lstrip(OPENERS)[:1] or " ")
    ):
        return False
    first = tail.lstrip(OPENERS)[0]
    return is_unspaced(last) or is_unspaced(first)


def _code_point_segments(text: str) -> list[tuple[int, int]]:
    spans = []
    start = 0
    from icu4py.breakers import WordBreaker

    for segment in WordBreaker(text, "en"):
        spans.append((start, start + len(segment)))
        start += len(segment)
    return spans
