"""README.md and README.ko.md say the same: commands, names, links, tables and numbers."""

import re
from collections import Counter

import typer

from halfcascade.bot import cli
from tests.docs.blocks import ROOT, commands, fenced

ENGLISH, KOREAN = ROOT / "README.md", ROOT / "README.ko.md"
_HANGUL = re.compile("[\uac00-\ud7a3]")
# Where words are needed within code, they are translated.
_WORDS = {"TEXT": "글", "FILE.wav": "파일.wav", "WORDS": "낱말", "DIR": "폴더"}


def spans(text: str) -> Counter[str]:
    """Code spans outside of fences; words that are translated are left out."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    found = re.findall(r"`([^`\n]+)`", text)
    translated = {*_WORDS, *_WORDS.values()}
    return Counter(" ".join(w for w in re.split(r"[\s\[\]]+", span) if w and w not in translated) for span in found)


def links(text: str) -> Counter[str]:
    return Counter(target for target in re.findall(r"\]\(([^)\s]+)\)", text) if not target.startswith("README"))


def shape(text: str) -> list[str]:
    """Headings, tables' rows and fences, in order."""
    kinds = (("# ", "heading 1"), ("## ", "heading 2"), ("|", "row"), ("```", "fence"), ("1. ", "step"))
    return [kind for line in text.splitlines() for start, kind in kinds if line.startswith(start)]


def test_both_have_the_same_commands_and_code() -> None:
    assert [line for _, line in commands(ENGLISH) if not _HANGUL.search(line)] == [
        line for _, line in commands(KOREAN) if not _HANGUL.search(line)
    ]
    assert [block.text for block in fenced(ENGLISH)] == [block.text for block in fenced(KOREAN)]


def test_both_name_the_same_things() -> None:
    english, korean = spans(ENGLISH.read_text("utf-8")), spans(KOREAN.read_text("utf-8"))
    assert set(english) == set(korean), f"only English: {english - korean}; only Korean: {korean - english}"


def test_both_link_to_the_same_places_and_have_the_same_shape() -> None:
    assert links(ENGLISH.read_text("utf-8")) == links(KOREAN.read_text("utf-8"))
    assert shape(ENGLISH.read_text("utf-8")) == shape(KOREAN.read_text("utf-8"))


def test_every_command_is_named() -> None:
    named = set(re.findall(r"[\w-]+", " ".join(spans(ENGLISH.read_text("utf-8")))))
    known = set(typer.main.get_command(cli.app).commands)  # type: ignore[attr-defined]
    assert known <= named, f"README.md does not name {known - named}"
