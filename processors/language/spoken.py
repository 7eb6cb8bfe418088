"""Cuts text into the words a voice says, and says how long each should take.

Durations are in *units* of about one syllable: what a unit takes in seconds is a property of the voice and is measured
while it speaks (`chirp_tts/heard/text.py`).
"""

import re
from dataclasses import dataclass
from functools import cache

from halfcascade.processors.language.languages import language
from halfcascade.processors.language.marks import ends_clause, ends_sentence
from halfcascade.processors.language.scripts import SMALL_KANA, has_unspaced
from halfcascade.processors.language.words import word_spans

# Pauses that readers make after punctuation, in seconds at normal speed. Of use as expectations only: what is really
# heard comes from the audio.
SENTENCE_PAUSE = 0.35
CLAUSE_PAUSE = 0.18

_KANA = re.compile(r"[\u3040-\u30ff]")
_VOWEL_GROUPS = re.compile(r"[aeiouyà-öø-ÿ]+")
_LATIN_RUN = re.compile(r"[A-Za-zÀ-ɏ]+")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_SYMBOL_UNITS = {"%": 2.0, "$": 2.0, "€": 2.0, "£": 1.0, "₩": 1.0, "¥": 1.0, "&": 1.0, "+": 1.0, "=": 2.0, "@": 1.0}
# Letters of other scripts, by their first and last code point: an Indic consonant brings its vowel along, Semitic
# scripts leave most vowels out, and in Thai and Lao vowels are letters, some of them marks.
_LETTER_UNITS = (
    (0x0590, 0x08FF, 0.6),
    (0x0900, 0x0DFF, 0.85),
    (0x0E00, 0x0EFF, 0.42),
    (0x1000, 0x109F, 0.6),
    (0x1780, 0x17FF, 0.6),
)
_OTHER_LETTER_UNITS = 0.45
_VIRAMAS = frozenset("\u094d\u09cd\u0a4d\u0acd\u0b4d\u0bcd\u0c4d\u0ccd\u0d4d\u1039\u17d2")


@dataclass(frozen=True)
class SpokenWord:
    """A word as the captions show it.

    Parameters:
        text: The characters, punctuation included; in scripts without spaces with the spaces after it.
        start: Where it begins in the piece's text.
        end: Where it ends.
        units: Expected length, in units of about a syllable.
        pause: Pause expected after it, in seconds at normal speed; 0.0 within a clause.
    """

    text: str
    start: int
    end: int
    units: float
    pause: float = 0.0


def spoken_words(text: str, locale: str = "en-US") -> list[SpokenWord]:
    """Cut a piece of text into words.

    Args:
        text: Text as it is synthesized.
        locale: Locale of the voice; decides how numbers are read.

    Returns:
        The words in order. Tokens that hold nothing to say (a lone dash) belong to the word before them, so every
        word has a length. Where a script writes no spaces between words, a word carries the spaces after it, so that
        the words' texts joined without anything are the text; else the spaces are between the words.
    """
    merged: list[tuple[int, int]] = []
    for start, end in word_spans(text):
        silent = not any(character.isalnum() or character in _SYMBOL_UNITS for character in text[start:end])
        if silent and merged:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    if has_unspaced(text):
        following = [*(start for start, _ in merged[1:]), len(text)]
        merged = [(start, end) for (start, _), end in zip(merged, following, strict=True)]
    return [
        SpokenWord(text[start:end], start, end, word_units(text[start:end], locale), expected_pause(text[start:end]))
        for start, end in merged
    ]


def word_units(word: str, locale: str = "en-US") -> float:
    """Estimate how long a word takes to say.

    Args:
        word: One word, punctuation included.
        locale: Locale of the voice.

    Returns:
        Length in units, at least half a one.
    """
    units = 0.0
    rest = _NUMBER.sub(lambda match: f" {_number_words(match.group(), locale)} ", word)
    for character in rest:
        if "\uac00" <= character <= "\ud7a3":
            # A syllable with a final consonant takes longer.
            units += 0.85 if (ord(character) - 0xAC00) % 28 == 0 else 1.15
        elif _KANA.match(character):
            units += 0.0 if character in SMALL_KANA and character not in "っッ" else 0.75
        elif "\u3400" <= character <= "\u9fff":
            # A kanji is read as one or two morae; a Chinese character is one syllable.
            units += 1.4 if locale.startswith("ja") else 1.0
        elif character in _VIRAMAS:
            # Takes the vowel of the consonant before it away.
            units -= 0.5
        else:
            units += _SYMBOL_UNITS.get(character, 0.0) or _letter_units(character)
    short = language(locale).short
    units += sum(_latin_units(run, short) for run in _LATIN_RUN.findall(rest))
    return max(units, 0.5)


def _letter_units(character: str) -> float:
    """Units of a letter of a script of which little is known; none of digits and of letters counted elsewhere."""
    if not character.isalpha() or _LATIN_RUN.match(character):
        return 0.0
    for first, last, units in _LETTER_UNITS:
        if first <= ord(character) <= last:
            return units
    return _OTHER_LETTER_UNITS


def _latin_units(run: str, short: frozenset[str]) -> float:
    """Units of a run of Latin letters: syllables, drawn out by the consonants around them; less for short words."""
    if len(run) > 1 and run.isupper() and (len(run) <= 3 or not _VOWEL_GROUPS.search(run.lower())):
        return float(len(run))
    lowered = run.lower()
    syllables = len(_VOWEL_GROUPS.findall(lowered))
    if syllables > 1 and lowered.endswith("e") and not lowered.endswith(("le", "ee", "ie", "ye")):
        syllables -= 1
    if lowered in short:
        return 0.3 * max(syllables, 1) + 0.15 * len(run)
    return 0.22 + 0.33 * max(syllables, 1) + 0.16 * len(run)


@cache
def _number_words(number: str, locale: str) -> str:
    """A number as it is read aloud, or the digits where the language is not known."""
    from num2words import num2words

    digits = number.replace(",", "").rstrip(".")
    try:
        return str(num2words(float(digits) if "." in digits else int(digits), lang=locale.split("-", maxsplit=1)[0]))
    except (NotImplementedError, ValueError, OverflowError, ArithmeticError):
        return " ".join("one" for _ in digits)


def expected_pause(word: str) -> float:
    """Pause a reader makes after a word, from its last punctuation mark.

    Args:
        word: A word, or any text that ends with one.

    Returns:
        Seconds at normal speed; 0.0 where no pause is expected.
    """
    if ends_sentence(word):
        return SENTENCE_PAUSE
    return CLAUSE_PAUSE if ends_clause(word) else 0.0
