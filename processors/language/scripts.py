"""Scripts and spacing: which scripts write words without spaces, and where two pieces of text need one."""

import re
import unicodedata

# Kana, CJK ideographs, bopomofo, and the full-width forms and marks that go with them. Hangul is written with spaces;
# its full-width forms and marks are of the block above U+FFA0.
_CJK = (
    "\u3001-\u303f\u3040-\u30ff\u3100-\u312f\u31f0-\u31ff\u3400-\u9fff\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff"
)
# Thai, Lao, Myanmar, Khmer and their marks: no space between words, one between sentences and around foreign words.
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\ua9e0-\ua9ff\uaa60-\uaa7f"
SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉゎっャュョァィゥェォヮッ")
"""Kana that belong to the one before them."""

_CJK_CHARACTER = re.compile(f"[{_CJK}]")
_UNSPACED_CHARACTER = re.compile(f"[{_CJK}{_SOUTH_EAST}]")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")


def is_unspaced(text: str) -> bool:
    """Tell whether a text ends in a script that puts no space between words.

    Args:
        text: Any text; its last character decides.

    Returns:
        True for Chinese, Japanese, Thai, Lao, Khmer, Burmese and their punctuation; False for Korean and all others.
    """
    return bool(text) and bool(_UNSPACED_CHARACTER.match(text[-1]))


def has_unspaced(text: str) -> bool:
    """Tell whether a text holds words that no space parts.

    Args:
        text: Any text.

    Returns:
        True if any letter of it belongs to a script written without spaces.
    """
    return any(is_word_character(match.group()) for match in _UNSPACED_CHARACTER.finditer(text))


def needs_space(head: str, tail: str, *, sentence: bool = False) -> bool:
    """Tell whether two pieces of one text are to be parted by a space.

    Args:
        head: What came first.
        tail: What follows.
        sentence: Whether a sentence ends between them.

    Returns:
        True unless the script is written without one, or one of them brings it.
    """
    if not head or not tail or head[-1].isspace() or tail[0].isspace():
        return False
    left, right = head[-1], tail[0]
    if _HANGUL.match(left) or _HANGUL.match(right):
        return True
    if _CJK_CHARACTER.match(left) or _CJK_CHARACTER.match(right):
        return False
    both = bool(_UNSPACED_CHARACTER.match(left) and _UNSPACED_CHARACTER.match(right))
    return sentence or not both


def join_text(head: str, tail: str) -> str:
    """Join two consecutive pieces of one transcript.

    Args:
        head: What came first.
        tail: What follows.

    Returns:
        Both, with one space between them unless the script is written without.
    """
    head, tail = head.rstrip(), tail.lstrip()
    return f"{head} {tail}" if needs_space(head, tail) else head + tail


def is_word_character(character: str) -> bool:
    """Tell whether a character belongs to a word: a letter, a digit, or a mark that is written on one.

    Args:
        character: One character.

    Returns:
        True for letters and digits of every script, and for vowel signs, which Python's ``isalnum`` leaves out.
    """
    return character.isalnum() or unicodedata.category(character) in ("Mn", "Mc")
