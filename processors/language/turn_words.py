"""What words alone tell about a turn: whether it can be over, and whether it is one at all."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Protocol

from halfcascade.processors.language.languages import known, language
from halfcascade.processors.language.scripts import is_word_character

_APOSTROPHES = frozenset("'\u2019\u02bc")
# What recognizers with punctuation write where a sentence goes on.
_GOES_ON = (",", "…", "...", "-", "–", "、", ":", ";", "،", "，")
# A full stop says nothing: recognizers put one after whatever the stream ended with.
_ASKS = ("?", "!", "？", "！", "؟")
_LONGEST_PHRASE = 4


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

    @classmethod
    def of(cls, table: Mapping[str, Sequence[str]]) -> "LanguageTurnWords":
        """Make the lists of a language file's table.

        Args:
            table: Its ``turns``; what is left out is empty.
        """
        lists = {item.name: [normalize(entry) for entry in table.get(item.name, ())] for item in fields(cls)}
        suffixes = tuple(lists.pop("open_suffixes"))
        return cls(open_suffixes=suffixes, **{name: frozenset(entries) for name, entries in lists.items()})

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
        endings = {" ".join(words[-count:]) for count in range(2, _LONGEST_PHRASE + 1)}
        stranded = words[0] in self.question_words and words[-1] in self.stranded_words
        if stranded or endings & self.closed_phrases:
            return False
        if words[-1] in self.open_words or endings & self.open_phrases:
            return True
        # A particle alone is a word of its own; after a stem it is an ending.
        return any(len(words[-1]) > len(suffix) and words[-1].endswith(suffix) for suffix in self.open_suffixes)

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
        plain = normalize(text)
        listed = self.backchannels | self.backchannel_sounds
        return bool(plain) and (plain in listed or all(word in listed for word in plain.split()))

    def is_sound(self, text: str) -> bool:
        """Whether the text holds no words at all, nothing but listed sounds.

        Args:
            text: What was said.
        """
        plain = normalize(text)
        return plain in self.backchannel_sounds or all(word in self.backchannel_sounds for word in plain.split())


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

    def _likely(self, text: str) -> list[LanguageTurnWords]:
        said = normalize(text).split()
        counts = [sum(word in _vocabulary(words) for word in said) for words in self._languages]
        # Endings tell a language that writes its particles onto words.
        counts = [
            count + bool(said and words.open_suffixes and said[-1].endswith(words.open_suffixes))
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


@cache
def _vocabulary(words: LanguageTurnWords) -> frozenset[str]:
    return words.vocabulary
