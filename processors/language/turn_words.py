"""What words alone tell about a turn: whether it can be over, and whether it is one at all."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, lru_cache
from itertools import product, takewhile
from typing import Any, Protocol

from halfcascade.processors.language.languages import known, language
from halfcascade.processors.language.scripts import has_unspaced, is_word_character
from halfcascade.processors.language.sentence_end import SentenceEnd

_APOSTROPHES = frozenset("'\u2019\u02bc")
# What recognizers with punctuation write where a sentence goes on.
_GOES_ON = (",", "…", "...", "-", "–", "、", ":", ";", "،", "，")
# A full stop says nothing: recognizers put one after whatever the stream ended with.
_ASKS = ("?", "!", "？", "！", "؟")
_LONGEST_PHRASE = 5
# From how many digits or letters on somebody reads them out, and for how many words after "my number is".
_SHORTEST_READ_OUT, _ANNOUNCED_WORDS = 2, 4
_LONG_NUMBER = 3
# Letters that are words of their own.
_SHORT_WORDS = frozenset("ai")
# Recognizers put one of these behind whatever a half-closed stream ended with.
_END_MARKS = " .?!。？！؟।"
_ENDINGS = ("open", "closed", "asking")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d\d)\b")
# Final consonants of Hangul syllables in the order of Unicode, from U+11A8 on.
_FINALS, _FIRST_FINAL = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ", 0x11A8
# Where the question word is that a stranded word belongs to ("so where is it from"), and not just before it ("how to").
_QUESTION_REACH = slice(-9, -2)
# How many of the last words may hold the question word of an ending that asks.
_ASKED_WORDS = 5
# In how many words those of ``announcing`` announce something; behind more they end it.
_ANNOUNCING_WORDS = 2
# Of how many words a fragment consists at most; where no spaces part them, of how many letters.
_FRAGMENT_WORDS, _FRAGMENT_LETTERS = 3, 6
# Scripts in which listeners' words are written together.
_SYLLABLES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


class TurnWords(Protocol):
    """What the words of a turn tell."""

    def is_open_ended(self, text: str) -> bool:
        """Whether a sentence cannot end like this, so that a silence after it is a pause.

        Args:
            text: Everything said in the turn so far.
        """

    def is_answer(self, text: str) -> bool:
        """Whether the text is a complete turn by itself, however short.

        Args:
            text: The turn.
        """

    def is_backchannel(self, text: str) -> bool:
        """Whether the text only means "go on": a listed phrase, or nothing but listed words and sounds.

        Args:
            text: What was said.
        """

    def is_sound(self, text: str) -> bool:
        """Whether the text holds no words at all, nothing but listed sounds.

        Args:
            text: What was said.
        """

    def sentence_end(self, text: str) -> SentenceEnd:
        """How the text ends, for somebody who must know whether more will follow.

        Args:
            text: Everything said in the turn so far. A full stop or question mark behind it tells nothing.
        """

    def marks_ends(self, text: str) -> bool:
        """Whether the language of the text marks the ends of its sentences, and the endings are known.

        Args:
            text: Everything said in the turn so far.
        """


@dataclass(frozen=True)
class LanguageTurnWords:
    """The lists of one language; ``docs/languages.md`` says what each means."""

    open_words: frozenset[str] = frozenset()
    open_phrases: frozenset[str] = frozenset()
    closed_phrases: frozenset[str] = frozenset()
    question_words: frozenset[str] = frozenset()
    stranded_words: frozenset[str] = frozenset()
    open_suffixes: tuple[str, ...] = ()
    answers: frozenset[str] = frozenset()
    backchannels: frozenset[str] = frozenset()
    backchannel_sounds: frozenset[str] = frozenset()
    assessments: frozenset[str] = frozenset()
    assessment_frames: frozenset[str] = frozenset()
    assessment_degrees: frozenset[str] = frozenset()
    assessment_words: frozenset[str] = frozenset()
    closed_suffixes: tuple[str, ...] = ()
    closed_words: frozenset[str] = frozenset()
    asking_suffixes: tuple[str, ...] = ()
    trailing_words: frozenset[str] = frozenset()
    announcing: frozenset[str] = frozenset()
    digits: frozenset[str] = frozenset()
    read_out: frozenset[str] = frozenset()
    dependent_starts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, table: Mapping[str, Sequence[str]]) -> "LanguageTurnWords":
        """Make the lists of a language file's table.

        Args:
            table: Its ``turns``; what is left out is empty.
        """
        endings = {f"{kind}_suffixes": tuple(map(_ending, table.get(f"{kind}_suffixes", ()))) for kind in _ENDINGS}
        sets = {
            item.name: frozenset(map(normalize, table.get(item.name, ())))
            for item in fields(cls)
            if item.name not in endings
        }
        parts = product(
            *(("", *sets[f"assessment_{part}"]) for part in ("frames", "degrees")), sets["assessment_words"]
        )
        sets["assessments"] |= {" ".join(part for part in phrase if part) for phrase in parts}
        lists: dict[str, Any] = {**endings, **sets}
        return cls(**lists)

    @property
    def vocabulary(self) -> frozenset[str]:
        """All single words of the lists; by them the language of a text is guessed."""
        together = self.open_words | self.question_words | self.answers | self.backchannels
        return frozenset(word for entry in together | self.open_phrases for word in entry.split())

    def is_open_ended(self, text: str) -> bool:
        """Whether a sentence cannot end like this, so that a silence after it is a pause.

        Args:
            text: Everything said in the turn so far.
        """
        plain = normalize(text)
        if not plain or plain in self.answers or text.rstrip().endswith(_ASKS):
            return False
        if text.rstrip().endswith(_GOES_ON):
            return True
        words = plain.split()
        asked = words[0] in self.question_words or not self.question_words.isdisjoint(words[_QUESTION_REACH])
        if (asked and words[-1] in self.stranded_words) or self._ends_with(words, self.closed_phrases):
            return False
        if words[-1] in self.open_words or self._ends_with(words, self.open_phrases):
            return True
        if words[-1] in self.announcing:
            return len(words) <= _ANNOUNCING_WORDS
        # A particle alone is a word of its own; after a stem it is an ending.
        last = _parts(words[-1])
        return any(len(last) > len(suffix) and last.endswith(suffix) for suffix in self.open_suffixes)

    @staticmethod
    def _ends_with(words: list[str], phrases: frozenset[str]) -> bool:
        return any(" ".join(words[-count:]) in phrases for count in range(2, _LONGEST_PHRASE + 1))

    def is_answer(self, text: str) -> bool:
        """Whether the text is a complete turn by itself, however short.

        Args:
            text: The turn.
        """
        return normalize(text) in self.answers

    def is_backchannel(self, text: str) -> bool:
        """Whether the text only means "go on": a listed phrase, or nothing but listed words and sounds.

        Args:
            text: What was said.
        """
        return _consists_of(normalize(text), self.backchannels | self.backchannel_sounds | self.assessments)

    def is_sound(self, text: str) -> bool:
        """Whether the text is nothing but sounds that are no words, so that it answers nothing.

        Args:
            text: What was said.
        """
        return _consists_of(normalize(text), self.backchannel_sounds)

    def sentence_end(self, text: str) -> SentenceEnd:
        """How the text ends, for somebody who must know whether more will follow.

        Args:
            text: Everything said in the turn so far. A full stop or question mark behind it tells nothing.
        """
        text = text.rstrip()
        if not text.endswith(_GOES_ON):
            text = text.rstrip(_END_MARKS)
        words = normalize(_CLOCK.sub(r"\1\2", text)).split()
        if not words:
            return SentenceEnd.NOTHING
        if self.is_answer(text):
            return SentenceEnd.ANSWER
        if self._is_reading_out(words, is_clock=bool(_CLOCK.search(text))):
            return SentenceEnd.READING_OUT
        if self.closed_suffixes and self._is_marked_closed(words) and not text.endswith(_GOES_ON):
            return SentenceEnd.CLOSED
        if self.is_open_ended(text):
            return SentenceEnd.OPEN
        return self._unmarked_end(words)

    def marks_ends(self, text: str) -> bool:
        """Whether the language marks the ends of its sentences, and the endings are known.

        Args:
            text: Everything said in the turn so far.
        """
        return bool(self.closed_suffixes)

    def _is_dependent(self, words: list[str]) -> bool:
        """Whether the text begins with a clause that another one has to follow, behind "so" or "well" perhaps."""
        first = next((number for number, word in enumerate(words) if not self._is_lead(word)), 0)
        begins = {" ".join(words[first : first + count]) for count in range(1, _LONGEST_PHRASE + 1)}
        return bool(begins & self.dependent_starts)

    def _unmarked_end(self, words: list[str]) -> SentenceEnd:
        if not self.closed_suffixes and self._is_dependent(words):
            return SentenceEnd.DEPENDENT
        if self._is_fragment(words):
            return SentenceEnd.FRAGMENT
        return SentenceEnd.HANGING if self.closed_suffixes else SentenceEnd.UNKNOWN

    def _is_fragment(self, words: list[str]) -> bool:
        """Whether the words are few, and nothing among them has to be gone on from; or a "yes" closes what was open.

        In a language that marks the parts of its sentences, particles and words of listeners begin one ("저는 서울",
        "네 서울"). In others anything may stand before a noun ("a cheap one"), so that only the last word tells.
        """
        if words[-1] in self.answers & self.trailing_words:
            return True
        if len(words) > _FRAGMENT_WORDS or (has_unspaced(words[0]) and len("".join(words)) > _FRAGMENT_LETTERS):
            return False
        if not self.closed_suffixes:
            return len(words) > 1 or not self._is_lead(words[0])
        leads = any(self._is_lead(word) for word in (words[0], words[-1]))
        goes_on = _parts(words[-1]) in self.open_suffixes or any(map(self.is_open_ended, words[:-1]))
        return not leads and not goes_on

    def _is_lead(self, word: str) -> bool:
        return word in self.backchannels or word in self.backchannel_sounds

    def _is_marked_closed(self, words: list[str]) -> bool:
        """Whether the words end as a sentence does, perhaps with something that may trail behind its end."""
        word = words[-1]
        if word in self.closed_words or self._ends_with(words, self.closed_phrases):
            return True
        if word in self.trailing_words and len(words) > 1:
            return self._is_marked_closed(words[:-1])
        if word in self.open_words or (word in self.announcing and len(words) <= _ANNOUNCING_WORDS):
            return False
        closed, opened, asking = (
            _longest_of(word, endings) for endings in (self.closed_suffixes, self.open_suffixes, self.asking_suffixes)
        )
        return closed > opened or (asking > 0 and any(map(self._is_question_word, words[-_ASKED_WORDS:])))

    def _is_question_word(self, word: str) -> bool:
        return any(word.startswith(start) for start in self.question_words)

    def _is_reading_out(self, words: list[str], *, is_clock: bool) -> bool:
        """Whether the last words are digits or letters, or the beginning of what "my address is" announced."""
        read = takewhile(bool, (self._read_out_share(word, is_clock=is_clock) for word in reversed(words)))
        return sum(read) >= _SHORTEST_READ_OUT or self._is_announced(words)

    def _read_out_share(self, word: str, *, is_clock: bool) -> int:
        """How many digits or letters a word stands for, at most as many as make it certain that somebody reads out."""
        spelled = len(word) >= _LONG_NUMBER and all(letter in self.digits for letter in word)
        if spelled or (word.isdigit() and len(word) >= _LONG_NUMBER and not is_clock):
            return _SHORTEST_READ_OUT
        is_letter = len(word) == 1 and word.isascii() and word.isalpha() and word not in _SHORT_WORDS
        return int(word.isdigit() or word in self.digits or is_letter)

    def _is_announced(self, words: list[str]) -> bool:
        """Whether few words follow those that announce something to be read out."""
        recent = " ".join(words[-_ANNOUNCED_WORDS - 3 :])
        return any(
            f" {announced} " in f" {recent} " and len(recent.rpartition(announced)[2].split()) <= _ANNOUNCED_WORDS
            for announced in self.read_out
        )


class MixedTurnWords:
    """The words of several languages, where the text does not say which one it is in.

    An ending that is open in one language may be the end of a sentence in another ("do" is Portuguese for "of the"),
    so the text's words choose the languages that are asked.
    """

    def __init__(self, languages: Sequence[LanguageTurnWords]):
        """Initialize.

        Args:
            languages: At least one.
        """
        self._languages = tuple(languages)

    def is_open_ended(self, text: str) -> bool:
        """Whether a sentence cannot end like this in any language that the text may be in.

        Args:
            text: Everything said in the turn so far.
        """
        return all(words.is_open_ended(text) for words in self._likely(text))

    def is_answer(self, text: str) -> bool:
        """Whether the text is a complete turn in one of the languages.

        Args:
            text: The turn.
        """
        return any(words.is_answer(text) for words in self._languages)

    def is_backchannel(self, text: str) -> bool:
        """Whether the text only means "go on" in one of the languages.

        Args:
            text: What was said.
        """
        return any(words.is_backchannel(text) for words in self._languages)

    def is_sound(self, text: str) -> bool:
        """Whether the text is nothing but sounds in one of the languages.

        Args:
            text: What was said.
        """
        return any(words.is_sound(text) for words in self._languages)

    def sentence_end(self, text: str) -> SentenceEnd:
        """How the text ends in the language that it is most likely in; the surest end if there are several.

        Args:
            text: Everything said in the turn so far.
        """
        return min((words.sentence_end(text) for words in self._likely(text)), key=list(SentenceEnd).index)

    def marks_ends(self, text: str) -> bool:
        """Whether the language that the text is most likely in marks the ends of its sentences.

        Args:
            text: Everything said in the turn so far.
        """
        return all(words.marks_ends(text) for words in self._likely(text))

    def _likely(self, text: str) -> list[LanguageTurnWords]:
        said = normalize(text).split()
        counts = [sum(word in _vocabulary(words) for word in said) for words in self._languages]
        # Endings tell a language that writes its particles onto words.
        counts = [
            count + bool(said and words.open_suffixes and _parts(said[-1]).endswith(words.open_suffixes))
            for count, words in zip(counts, self._languages, strict=True)
        ]
        return [words for count, words in zip(counts, self._languages, strict=True) if count == max(counts)]


def turn_words(*languages: str) -> TurnWords:
    """Load the words of some languages.

    Args:
        *languages: Locales such as ``ko-KR``; what is not known adds nothing. ``auto`` and no language at all stand
            for every known one.

    Returns:
        All their words together.
    """
    wanted = {language(code).code for code in languages if code != "auto"}
    if not languages or "auto" in languages:
        wanted = set(known())
    lists = [LanguageTurnWords.of(language(code).turns) for code in sorted(wanted)]
    return lists[0] if len(lists) == 1 else MixedTurnWords(lists)


def normalize(text: str) -> str:
    """Lower case, no punctuation, single spaces; ``it's`` becomes ``its``.

    Args:
        text: What was said.

    Returns:
        Its words as the lists hold them. Vowel signs belong to words; Arabic vowel points, which some write and most
        leave out, do not.
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    kept = (
        character if is_word_character(character) and character != "_" else " "
        for character in plain
        if character not in _APOSTROPHES and not "\u064b" <= character <= "\u0652"
    )
    return " ".join("".join(kept).split())


def _ending(entry: str) -> str:
    """Bring an ending of a list to the form of ``_parts``; a lone consonant before it is the final of a syllable."""
    final = _FINALS.find(entry[0])
    return _parts(normalize(entry)) if final < 0 else chr(_FIRST_FINAL + final) + _parts(normalize(entry[1:]))


@lru_cache(maxsize=256)
def _parts(word: str) -> str:
    """Take the syllables of Hangul apart, since endings begin within them: ``합니까`` ends with ``ㅂ니까``."""
    return unicodedata.normalize("NFD", word)


def _longest_of(word: str, endings: tuple[str, ...]) -> int:
    """Length of the longest of some endings that a word has, 0 if it has none."""
    parts = _parts(word)
    return max((len(ending) for ending in endings if parts.endswith(ending)), default=0)


def _consists_of(plain: str, listed: frozenset[str]) -> bool:
    """Whether a normalized text can be cut into listed phrases, in any way: "yeah that's great", "네네네"."""
    if not plain:
        return False
    pieces, joint = plain.split(), " "
    if _SYLLABLES.search(plain):
        pieces, joint, listed = list(plain.replace(" ", "")), "", _without_spaces(listed)
    longest = max((len(entry) for entry in listed), default=0) if not joint else _LONGEST_PHRASE
    reached = {0}
    for end in range(1, len(pieces) + 1):
        starts = range(max(0, end - longest), end)
        if any(start in reached and joint.join(pieces[start:end]) in listed for start in starts):
            reached.add(end)
    return len(pieces) in reached


@cache
def _without_spaces(listed: frozenset[str]) -> frozenset[str]:
    return frozenset(entry.replace(" ", "") for entry in listed)


@cache
def _vocabulary(words: LanguageTurnWords) -> frozenset[str]:
    return words.vocabulary
