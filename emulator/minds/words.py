"""Words with their times, and how long words take to say."""

import re
from typing import NamedTuple

_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_OTHER_SYLLABIC = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
# Runs of vowels; a final "e" is silent as in "take", unless it is the only vowel as in "me".
_VOWELS = re.compile(r"[aeiouy\u00e0-\u00ff]+(?<![^aeiouy]e(?=\b))", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_WORD_CHARACTER = re.compile(r"\w")


class WordTiming(NamedTuple):
    """A word and when it is said.

    Parameters:
        word: As written, punctuation included.
        start: Seconds since the beginning of the audio.
        end: Seconds.
        speaker: Who says it, from 1; 0 = they are not told apart.
        sounds_like: Other spellings of the same sound, which adaptation may prefer.
    """

    word: str
    start: float
    end: float
    speaker: int = 0
    sounds_like: tuple[str, ...] = ()


def count_syllables(word: str) -> int:
    """Estimate how many syllables a word has.

    Args:
        word: In any script. Korean, Japanese and Chinese count a syllable a character, digits too.

    Returns:
        At least 1 for anything that is said, 0 for mere punctuation.
    """
    if not _WORD_CHARACTER.search(word):
        return 0
    count = len(_HANGUL.findall(word)) + len(_OTHER_SYLLABIC.findall(word)) + len(_DIGIT.findall(word))
    return max(1, count + len(_VOWELS.findall(word)))
