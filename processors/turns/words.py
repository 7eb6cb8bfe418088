"""What words alone tell about a turn: whether it can be over, and whether it is one at all."""

import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import resources

_APOSTROPHES = re.compile(r"['\u2019\u02bc]")
_NOT_WORD = re.compile(r"[^\w\s]", re.UNICODE)
# What recognizers with punctuation write where a sentence goes on.
_GOES_ON = (",", "…", "...", "-", "–", "、", ":", ";")
# A full stop says nothing: recognizers put one after whatever the stream ended with.
_ASKS = ("?", "!", "？", "！")
_LONGEST_PHRASE = 4


@dataclass(frozen=True)
class TurnWords:
    """Words of one or several languages; see ``data/turn_words.toml`` for what each list means."""

    open_words: frozenset[str] = frozenset()
    open_phrases: frozenset[str] = frozenset()
    closed_phrases: frozenset[str] = frozenset()
    question_words: frozenset[str] = frozenset()
    stranded_words: frozenset[str] = frozenset()
    open_suffixes: tuple[str, ...] = ()
    answers: frozenset[str] = frozenset()
    backchannels: frozenset[str] = frozenset()
    backchannel_sounds: frozenset[str] = frozenset()

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
        """Whether the text is a complete turn by itself, however short."""
        return normalize(text) in self.answers

    def is_backchannel(self, text: str) -> bool:
        """Whether the text only means "go on": a listed phrase, or nothing but listed words and sounds."""
        plain = normalize(text)
        listed = self.backchannels | self.backchannel_sounds
        return bool(plain) and (plain in listed or all(word in listed for word in plain.split()))


def turn_words(*languages: str) -> TurnWords:
    """Load the words of some languages.

    Args:
        *languages: Locales such as ``ko-KR``; what is not listed adds nothing. ``auto`` and no language at all stand
            for every listed one.

    Returns:
        All their words together.
    """
    tables = _tables()
    wanted = {language.split("-")[0].lower() for language in languages}
    if not wanted or "auto" in wanted:
        wanted = set(tables)
    return _combined([table for name, table in tables.items() if name in wanted])


def normalize(text: str) -> str:
    """Lower case, no punctuation, single spaces; ``it's`` becomes ``its``."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(_NOT_WORD.sub(" ", _APOSTROPHES.sub("", plain)).split())


def _combined(tables: list[dict[str, list[str]]]) -> TurnWords:
    def together(name: str) -> list[str]:
        return [word for table in tables for word in table.get(name, [])]

    return TurnWords(
        open_words=frozenset(together("open_words")),
        open_phrases=frozenset(together("open_phrases")),
        closed_phrases=frozenset(together("closed_phrases")),
        question_words=frozenset(together("question_words")),
        stranded_words=frozenset(together("stranded_words")),
        open_suffixes=tuple(together("open_suffixes")),
        answers=frozenset(together("answers")),
        backchannels=frozenset(together("backchannels")),
        backchannel_sounds=frozenset(together("backchannel_sounds")),
    )


@cache
def _tables() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads(
        resources.files("halfcascade.processors.turns").joinpath("data/turn_words.toml").read_text("utf-8")
    )
