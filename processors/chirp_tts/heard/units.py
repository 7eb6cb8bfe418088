"""Cuts text into the words a voice says, and says how long each should take.

Durations are in *units* of about one syllable: what a unit takes in seconds is a property of the voice and is measured
while it speaks (`heard_text.py`).
"""

import re
from dataclasses import dataclass
from functools import cache

from num2words import num2words

# Pauses that readers make after punctuation, in seconds at normal speed. Of use as expectations only: what is really
# heard comes from the audio.
SENTENCE_PAUSE = 0.35
CLAUSE_PAUSE = 0.18

_SENTENCE_END = frozenset(".!?…。！？｡")
_CLAUSE_END = frozenset(",;:、，；：–—")
_CLOSERS = frozenset("\"'”’)]}」』）】》〉*_")

_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_HAN = re.compile(r"[\u3400-\u9fff]")
_SMALL_KANA = frozenset("ゃゅょぁぃぅぇぉゎャュョァィゥェォヮ")
_VOWEL_GROUPS = re.compile(r"[aeiouyà-öø-ÿ]+")
_LATIN_RUN = re.compile(r"[A-Za-zÀ-ɏ]+")
_OTHER_RUN = re.compile(r"[^\W\d_A-Za-zÀ-ɏ\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_TOKEN = re.compile(r"\S+")
# One group of characters is what a listener can tell apart in scripts without spaces; two kana or kanji are about as
# long as a short word.
_GROUP = re.compile(
    r"[\u3040-\u309f]{1,3}|[\u30a0-\u30ff]{1,4}|[\u3400-\u9fff]{1,2}|[^\u3040-\u30ff\u3400-\u9fff]+", re.UNICODE
)
# Unstressed words of English, spoken faster than their letters tell.
_FUNCTION_WORD_LIST = (
    "a an the of to in on at it is its and or but i you he we be as if so for with from by was are that there this my "
    "your her his she they them our us me do does can could would will have has had not than then what"
)
_FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())
_SYMBOL_UNITS = {"%": 2.0, "$": 2.0, "€": 2.0, "£": 1.0, "₩": 1.0, "¥": 1.0, "&": 1.0, "+": 1.0, "=": 2.0, "@": 1.0}


@dataclass(frozen=True)
class SpokenWord:
    """A word as the captions show it.

    Parameters:
        text: The characters, punctuation included; in scripts without spaces a group of characters with its spaces.
        start: Where it begins in the segment's text.
        end: Where it ends.
        units: Expected length, in units of about a syllable.
        pause: Pause expected after it, in seconds at normal speed; 0.0 within a clause.
    """

    text: str
    start: int
    end: int
    units: float
    pause: float = 0.0


def script_of(text: str) -> str:
    """Tell which script decides how a text is cut into words.

    Args:
        text: Any text.

    Returns:
        ``ko``, ``ja``, ``zh`` or ``latin`` (everything that separates words by spaces and is not Korean).
    """
    if _KANA.search(text):
        return "ja"
    if _HANGUL.search(text):
        return "ko"
    return "zh" if _HAN.search(text) else "latin"


def is_spaceless(text: str) -> bool:
    """Whether the text's script writes no spaces between words."""
    return script_of(text) in ("ja", "zh")


def spoken_words(text: str, language: str = "en-US") -> list[SpokenWord]:
    """Cut a segment of text into words.

    Args:
        text: Text as it is synthesized.
        language: Locale of the voice; decides how numbers are read.

    Returns:
        The words in order. Their texts, with the spaces between them, are the whole text; tokens that hold nothing
        to say (a lone dash) belong to the word before them, so every word has a length.
    """
    spans = _spaceless_spans(text) if is_spaceless(text) else [match.span() for match in _TOKEN.finditer(text)]
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        silent = not any(character.isalnum() or character in _SYMBOL_UNITS for character in text[start:end])
        if silent and merged:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    return [
        SpokenWord(text[start:end], start, end, word_units(text[start:end], language), expected_pause(text[start:end]))
        for start, end in merged
    ]


def _spaceless_spans(text: str) -> list[tuple[int, int]]:
    # A group never begins at a space: spaces inside mixed text stay within the group, so that joining groups
    # without spaces gives the text back.
    spans: list[tuple[int, int]] = []
    for match in _GROUP.finditer(text):
        start, end = match.span()
        if not match.group().strip():
            if spans:
                spans[-1] = (spans[-1][0], end)
            continue
        spans.append((start, end))
    return spans


def word_units(word: str, language: str = "en-US") -> float:
    """Estimate how long a word takes to say.

    Args:
        word: One word, punctuation included.
        language: Locale of the voice.

    Returns:
        Length in units, at least half a one.
    """
    units = 0.0
    rest = _NUMBER.sub(lambda match: f" {_number_words(match.group(), language)} ", word)
    for character in rest:
        if "\uac00" <= character <= "\ud7a3":
            # A syllable with a final consonant takes longer.
            units += 0.85 if (ord(character) - 0xAC00) % 28 == 0 else 1.15
        elif "\u3040" <= character <= "\u30ff":
            units += 0.0 if character in _SMALL_KANA else 0.75
        elif "\u3400" <= character <= "\u9fff":
            # A kanji is read as one or two morae; a Chinese character is one syllable.
            units += 1.4 if language.startswith("ja") else 1.0
        else:
            units += _SYMBOL_UNITS.get(character, 0.0)
    units += sum(_latin_units(run) for run in _LATIN_RUN.findall(rest))
    # Scripts of which nothing is known: about two letters a syllable.
    units += sum(0.45 * len(run) for run in _OTHER_RUN.findall(rest))
    return max(units, 0.5)


def _latin_units(run: str) -> float:
    """Units of a run of Latin letters: syllables, drawn out by the consonants around them."""
    if len(run) > 1 and run.isupper() and (len(run) <= 3 or not _VOWEL_GROUPS.search(run.lower())):
        return float(len(run))
    lowered = run.lower()
    syllables = len(_VOWEL_GROUPS.findall(lowered))
    if syllables > 1 and lowered.endswith("e") and not lowered.endswith(("le", "ee", "ie", "ye")):
        syllables -= 1
    if lowered in _FUNCTION_WORDS:
        return 0.3 * max(syllables, 1) + 0.15 * len(run)
    return 0.22 + 0.33 * max(syllables, 1) + 0.16 * len(run)


@cache
def _number_words(number: str, language: str) -> str:
    """A number as it is read aloud, or the digits where the language is not known."""
    digits = number.replace(",", "").rstrip(".")
    try:
        return str(num2words(float(digits) if "." in digits else int(digits), lang=language.split("-", maxsplit=1)[0]))
    except (NotImplementedError, ValueError, OverflowError, ArithmeticError):
        return " ".join("one" for _ in digits)


def expected_pause(word: str) -> float:
    """Pause a reader makes after a word, from its last punctuation mark.

    Args:
        word: A word, or any text that ends with one.

    Returns:
        Seconds at normal speed; 0.0 where no pause is expected.
    """
    for character in reversed(word.rstrip()):
        if character in _SENTENCE_END:
            return SENTENCE_PAUSE
        if character in _CLAUSE_END:
            return CLAUSE_PAUSE
        if character not in _CLOSERS:
            return 0.0
    return 0.0
