"""Lines for people in their own language: gettext catalogues, a ``.po`` file each, English where there is none."""

import ast
import errno
import functools
import gettext
import locale
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from halfcascade.particles import choose_particles

_VALUE = re.compile(r"\{(\w+)[^}]*\}")
_QUOTE = re.compile(r" \(.*\)$", re.DOTALL)
# A template of fewer letters fits too much.
_SHORTEST = 5
# A value may be a line that was made of a template itself.
_DEPTH = 3

_ENGLISH = "en"
# What a system says of a call that it refused, wherever it stands in a line.
_SYSTEMS_WORDS = frozenset(map(os.strerror, errno.errorcode))

CATALOGUES = Path(__file__).parent / "locale"


class _Template(str):
    """A translated line; particles behind its values are chosen when those are put in."""

    __slots__ = ()

    def format(self, *args: object, **values: object) -> str:
        return choose_particles(super().format(*args, **values))


class Catalogue(gettext.NullTranslations):
    """The lines of one language, read from its ``.po`` file as translators' tools write it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path):
        super().__init__()
        self._nested = read_nested(path)
        self.lines = {line: told for line, told in read_catalogue(path).items() if line and told}

    def gettext(self, message: str) -> str:
        """Translate a line.

        Args:
            message: In English.
        """
        return _Template(self.lines.get(message, message))

    def told(self, line: str) -> str:
        """Translate a line by the templates that it may be made of (see ``tr_error``).

        Args:
            line: In English.
        """
        told = self._told(line, _DEPTH)
        return choose_particles(told) if told else line

    def _told(self, line: str, depth: int) -> str:
        """The translation, or nothing."""
        for end in ("", "."):
            bare = line.removesuffix(end)
            if bare in self.lines:
                return self.lines[bare] + line[len(bare) :]
        if not depth or not line.strip():
            return ""
        for template in self._templates:
            if filled := self._filled(template, line, depth - 1):
                return filled
        return self._by_parts(line, depth - 1)

    def _filled(self, template: "_Pattern", line: str, depth: int) -> str:
        """The translation by one template, or nothing."""
        if not (found := template.pattern.fullmatch(line)):
            return ""
        values = found.groupdict()
        # What a person has typed, or a server has said, stays as it is, be it a word of the catalogue.
        told = {
            name: self._told(value, depth) if name in template.nested or value in _SYSTEMS_WORDS else ""
            for name, value in values.items()
        }
        last = next((name for name in values if found.end(name) == len(line)), None)
        if last and not told[last] and values[last].endswith(".") and values[last] != ".":
            # What stands last is no sentence, so that the full stop is the line's own.
            return f"{self._filled(template, line[:-1], depth)}."
        # Not by str.format: a line may hold braces of its own.
        return _VALUE.sub(lambda value: told[value[1]] or values[value[1]], template.translation)

    def _by_parts(self, line: str, depth: int) -> str:
        cause, colon, remedy = line.partition(": ")
        # A single word is a name that somebody gave.
        parts = [part if " " in part.strip() else "" for part in (cause, remedy)]
        if colon and (told := [self._told(part, depth) for part in parts]) and any(told):
            return f"{told[0] or cause}: {told[1] or remedy}"
        if (quote := _QUOTE.search(line)) and (told_cause := self._told(line[: quote.start()], depth)):
            return told_cause + quote[0]
        return ""

    @functools.cached_property
    def _templates(self) -> "list[_Pattern]":
        """Of the lines with values, those with the most words of their own first."""
        found = sorted(self.lines, key=lambda line: len(_VALUE.sub("", line)), reverse=True)
        return [
            _Pattern(
                re.compile("".join(_pattern(line)), re.DOTALL),
                _VALUE.sub(r"{v\1}", self.lines[line]),
                frozenset(f"v{name}" for name in self._nested.get(line, ())),
            )
            for line in found
            if _VALUE.search(line) and len(_VALUE.sub("", line)) >= _SHORTEST
        ]


@dataclass(frozen=True)
class _Pattern:
    """What lines a template can become, its translation, and which of its values are lines of the catalogue too."""

    pattern: re.Pattern[str]
    translation: str
    nested: frozenset[str]


def _pattern(line: str) -> Iterator[str]:
    """A regular expression for what a template can become; a value that comes twice is the same each time."""
    seen: set[str] = set()
    for number, part in enumerate(_VALUE.split(line)):
        if number % 2 == 0:
            yield re.escape(part)
        else:
            yield f"(?P=v{part})" if part in seen else f"(?P<v{part}>.+?)"
            seen.add(part)


def read_catalogue(path: Path) -> dict[str, str]:
    """Read a ``.po`` file: messages without plurals and contexts.

    Args:
        path: The file.

    Returns:
        Translations by English line; the head of the file under "".
    """
    entries: dict[str, str] = {}
    parts: dict[str, str] = {}
    field = ""
    for line in [*path.read_text(encoding="utf-8").splitlines(), 'msgid ""']:
        keyword, _, rest = line.strip().partition(" ")
        if keyword in ("msgid", "msgstr"):
            if keyword == "msgid" and "msgstr" in parts:
                entries[parts["msgid"]] = parts.pop("msgstr")
            field = keyword
            parts[field] = ast.literal_eval(rest)
        elif line.startswith('"') and field:
            parts[field] += ast.literal_eval(line)
    return entries


def read_nested(path: Path) -> dict[str, list[str]]:
    """Read which values of a catalogue's templates are lines themselves, such as a remedy; all others stay as they are.

    Args:
        path: The file. A comment ``#. lines: 0 2`` before a template names them.

    Returns:
        Names of values by English line.
    """
    found: dict[str, list[str]] = {}
    for entry in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
        if (comment := re.search(r"^#\. lines: (.+)$", entry, re.MULTILINE)) and "msgid " in entry:
            message = entry.partition("msgid ")[2].partition("\nmsgstr ")[0]
            found["".join(map(ast.literal_eval, message.splitlines()))] = comment[1].split()
    return found


_catalogue = functools.cache(Catalogue)
_chosen: gettext.NullTranslations = gettext.NullTranslations()


def use_language(language: str | None = None) -> None:
    """Choose the language of all lines from now on.

    Args:
        language: BCP 47 tag of the talk. The locale of this machine counts if it is None, or one that no lines are in.
    """
    global _chosen  # noqa: PLW0603 one process speaks one language to its terminal
    codes = [tag.replace("_", "-").split("-")[0].lower() for tag in (language or "", _locale())]
    code = next((code for code in codes if code == _ENGLISH or (CATALOGUES / f"{code}.po").is_file()), _ENGLISH)
    catalogue = None if code == _ENGLISH else _catalogue(CATALOGUES / f"{code}.po")
    # Question marks in a person's own language say less than English does.
    _chosen = catalogue if catalogue and _can_write(catalogue) else gettext.NullTranslations()


def _can_write(catalogue: Catalogue) -> bool:
    """Whether standard output has the letters of a language."""
    try:
        "".join(filter(str.isalpha, "".join(catalogue.lines.values()))).encode(
            getattr(sys.stdout, "encoding", None) or "utf-8"
        )
    except UnicodeEncodeError:
        return False
    return True


def _locale() -> str:
    """The locale that the environment names, installed or not, or else this machine's own."""
    named = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    chosen = next((name for name in named if name), "").split(".")[0]
    return chosen if chosen not in ("", "C", "POSIX") else locale.getlocale()[0] or ""


def tr_error(line: str) -> str:
    """Translate a line that came ready-made from where nothing is known of languages, such as a service's error.

    It is recognized by the template that it was made of, whole or by its parts: the cause, what a server said in
    parentheses, and behind a colon the remedy. What is not recognized stays as it is, and so do the values of a
    template unless the catalogue says that they are lines too (see ``read_nested``).

    Args:
        line: In English.
    """
    return _chosen.told(line) if isinstance(_chosen, Catalogue) else line


def tr(line: str) -> str:
    """Translate a line; values are put in afterwards with ``str.format``.

    Args:
        line: In English.
    """
    return _chosen.gettext(line)
