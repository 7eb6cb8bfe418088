"""The languages themselves: one TOML file each, read when the language is first asked for."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from types import MappingProxyType
from typing import Any

from halfcascade.processors.errors import ConfigurationError

# BCP 47 lets a macrolanguage and its main member stand for each other; Google's locales use the member.
_SAME = {"cmn": "zh", "yue": "zh", "iw": "he", "no": "nb", "nn": "nb", "fil": "tl", "in": "id"}
_DEFAULT = "en"
_SECS_PER_UNIT = 0.19
_SIGN_LIST = (
    "plus minus times divided equals not_equal less greater at_most at_least about power squared cubed plus_minus root "
    "to per and at dot slash dash underscore number hashtag sharp point arrow over backslash infinity digits"
)
_SIGNS = frozenset(_SIGN_LIST.split())
_TABLES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "sentences": frozenset({"abbreviations", "marks", "final_words", "ordinals"}),
        "clauses": frozenset({"before", "after", "phrase_before", "phrase_after"}),
        "words": frozenset({"short"}),
        "turns": frozenset(
            {
                "open_words",
                "open_phrases",
                "closed_phrases",
                "question_words",
                "stranded_words",
                "open_suffixes",
                "answers",
                "backchannels",
                "backchannel_sounds",
                "assessments",
                "assessment_frames",
                "assessment_degrees",
                "assessment_words",
                "closed_suffixes",
                "closed_words",
                "asking_suffixes",
                "trailing_words",
                "announcing",
                "digits",
                "read_out",
                "dependent_starts",
            }
        ),
        "signs": _SIGNS,
        "phrases": frozenset(
            {
                "fillers",
                "apology",
                "budget_spent",
                "deaf",
                "offline",
                "recovered",
                "listening",
                "openers",
                "request_words",
                "shown",
            }
        ),
    }
)


@dataclass(frozen=True)
class Openers:
    """What may be said while an answer is on its way, by the kind of turn; neutral words only.

    Parameters:
        question: After a question.
        request: After a request.
        statement: After anything else.
    """

    question: tuple[str, ...] = ()
    request: tuple[str, ...] = ()
    statement: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shown:
    """What is said in place of what can only be looked at; empty: nothing.

    Parameters:
        code: A block of code.
        table: A table.
        picture: A picture.
        formula: A formula.
        nothing: A reply that holds nothing to say.
    """

    code: str = ""
    table: str = ""
    picture: str = ""
    formula: str = ""
    nothing: str = ""


@dataclass(frozen=True)
class Phrases:
    """What the bot itself says in a language.

    Parameters:
        fillers: While a function runs.
        apology: When a turn gets no answer.
        listening: A listener's sounds.
        request_words: A turn that begins with one of these, or ends with one, asks for something to be done.
        openers: While an answer is on its way.
        shown: In place of what can only be looked at.
        budget_spent: When a talk ends because it may cost no more.
        deaf: When speech was heard and cannot be recognized for a while.
        offline: When the conversation's server cannot be reached for a while.
        recovered: When either works again.
    """

    fillers: tuple[str, ...] = ()
    apology: str = ""
    listening: tuple[str, ...] = ()
    request_words: tuple[str, ...] = ()
    openers: Openers = field(default_factory=Openers)
    shown: Shown = field(default_factory=Shown)
    budget_spent: str = ""
    deaf: str = ""
    offline: str = ""
    recovered: str = ""


@dataclass(frozen=True)
class Language:
    """What is known of a language; a language without a file has the marks that all share and no words.

    Parameters:
        code: Primary subtag, such as ``ko``.
        name: What the language calls itself; empty if it has no file.
        secs_per_unit: Seconds that a voice takes for about a syllable.
        abbreviations: Words after which a full stop does not end a sentence.
        marks: Marks that end a sentence besides those that all languages share.
        final_words: Words after which a space ends a sentence, where no mark does.
        ordinals: Whether a full stop after a number makes it an ordinal.
        before: Words before which a clause may end.
        after: Endings of words after which a clause may end.
        phrase_before: Words before which a phrase may end.
        phrase_after: Endings of words after which a phrase may end.
        short: Words spoken faster than their letters tell.
        signs: How signs are spoken: a word, or a form with ``{a}`` and ``{b}`` for what stands on either side.
        turns: Lists for ``turn_words``.
        phrases: What the bot says.
    """

    code: str
    name: str = ""
    secs_per_unit: float = _SECS_PER_UNIT
    abbreviations: frozenset[str] = frozenset()
    marks: str = ""
    final_words: tuple[str, ...] = ()
    ordinals: bool = False
    before: frozenset[str] = frozenset()
    after: tuple[str, ...] = ()
    phrase_before: frozenset[str] = frozenset()
    phrase_after: tuple[str, ...] = ()
    short: frozenset[str] = frozenset()
    signs: Mapping[str, str] = field(default_factory=dict)
    turns: Mapping[str, list[str]] = field(default_factory=dict)
    phrases: Phrases = field(default_factory=Phrases)


_folders: list[Path] = []


def add_languages(folder: str | Path) -> None:
    """Read language files of one's own besides those of the project.

    Args:
        folder: Holds files such as ``sv.toml``.

    Raises:
        ConfigurationError: If there is no such folder, or it holds a language that another one holds too.
    """
    path = Path(folder)
    if not path.is_dir():
        raise ConfigurationError(f"There is no folder {path} to read languages from.")
    if path in _folders:
        return
    _folders.append(path)
    _forget()
    try:
        _files()
    except ConfigurationError:
        _folders.remove(path)
        _forget()
        raise


def known() -> tuple[str, ...]:
    """Name the languages that have a file.

    Returns:
        Primary subtags, sorted.
    """
    return tuple(sorted(_files()))


def language(locale: str) -> Language:
    """Look up a language.

    Args:
        locale: BCP 47 tag such as ``ko-KR``; only its first part counts.

    Returns:
        What is known of it. Of a language without a file: nothing but what all languages share.

    Raises:
        ConfigurationError: If its file is broken.
    """
    return _load(_canonical(locale))


def phrases(locale: str) -> Phrases:
    """Look up what the bot says where it must say something.

    Args:
        locale: BCP 47 tag.

    Returns:
        The language's phrases; English ones stand in for what a language must say and has no words for.
    """
    own, default = language(locale).phrases, language(_DEFAULT).phrases
    return Phrases(
        own.fillers or default.fillers,
        own.apology or default.apology,
        own.listening,
        own.request_words,
        own.openers,
        own.shown if own.shown.nothing else replace(own.shown, nothing=default.shown.nothing),
        own.budget_spent or default.budget_spent,
        own.deaf or default.deaf,
        own.offline or default.offline,
        own.recovered or default.recovered,
    )


def _canonical(locale: str) -> str:
    code = locale.replace("_", "-").split("-", maxsplit=1)[0].lower()
    return _SAME.get(code, code)


def _forget() -> None:
    _files.cache_clear()
    _load.cache_clear()


@cache
def _files() -> dict[str, Traversable]:
    files: dict[str, Traversable] = {}
    for folder in (resources.files("halfcascade.processors.language").joinpath("data"), *_folders):
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
            if not file.name.endswith(".toml"):
                continue
            code = _canonical(file.name.removesuffix(".toml"))
            if code in files:
                raise ConfigurationError(
                    f"Two files describe the language '{code}': {files[code]} and {file}. Remove one of them."
                )
            files[code] = file
    return files


@cache
def _load(code: str) -> Language:
    file = _files().get(code)
    if file is None:
        return Language(code)
    try:
        return _parse(code, tomllib.loads(file.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise ConfigurationError(f"The language file {file} is not valid: {error}.") from error


def _parse(code: str, data: dict[str, Any]) -> Language:
    if unknown := sorted(set(data) - set(_TABLES) - {"name", "secs_per_unit"}):
        raise ValueError(f"there is no '{unknown[0]}', only name, secs_per_unit, {', '.join(_TABLES)}")
    for name, keys in _TABLES.items():
        if unknown := sorted(set(data.get(name, {})) - keys):
            raise ValueError(f"[{name}] has no '{unknown[0]}', only {', '.join(sorted(keys))}")
    sentences, clauses, words = data.get("sentences", {}), data.get("clauses", {}), data.get("words", {})
    return Language(
        code,
        name=str(data.get("name", code)),
        secs_per_unit=float(data.get("secs_per_unit", _SECS_PER_UNIT)),
        abbreviations=frozenset(_strings(sentences, "abbreviations")),
        marks=str(sentences.get("marks", "")),
        final_words=_strings(sentences, "final_words"),
        ordinals=bool(sentences.get("ordinals", False)),
        before=frozenset(_strings(clauses, "before")),
        after=_strings(clauses, "after"),
        phrase_before=frozenset(_strings(clauses, "phrase_before")),
        phrase_after=_strings(clauses, "phrase_after"),
        short=frozenset(_strings(words, "short")),
        signs=MappingProxyType({key: str(text) for key, text in data.get("signs", {}).items()}),
        turns=MappingProxyType({key: list(_strings(data.get("turns", {}), key)) for key in data.get("turns", {})}),
        phrases=_parse_phrases(data.get("phrases", {})),
    )


def _parse_phrases(table: dict[str, Any]) -> Phrases:
    openers, shown = table.get("openers", {}), table.get("shown", {})
    return Phrases(
        _strings(table, "fillers"),
        str(table.get("apology", "")),
        _strings(table, "listening"),
        _strings(table, "request_words"),
        Openers(**{key: _strings(openers, key) for key in openers}),
        Shown(**{key: str(text) for key, text in shown.items()}),
        *(str(table.get(key, "")) for key in ("budget_spent", "deaf", "offline", "recovered")),
    )


def _strings(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list) or not all(isinstance(value, str) and value for value in values):
        raise ValueError(f"'{key}' must be a list of texts")
    return tuple(values)
