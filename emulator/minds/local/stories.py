"""Chooses a story of ``stories.toml``, and tells from a reply how far into one it came."""

import functools
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from halfcascade.emulator.minds.local.history import plain

_CLAUSE = re.compile(r".+?(?:[.!?]+(?=\s|$)|[,:](?=\s)|$)\s*", re.DOTALL)
_OPENING_WORDS = 4


@dataclass(frozen=True)
class Story:
    """A story.

    Parameters:
        about: What it is about, to follow "about".
        words: Words that ask for it.
        text: All of it, on one line.
        korean: Whether it is in Korean.
    """

    about: str
    words: frozenset[str]
    text: str
    korean: bool = False


@functools.cache
def all_stories() -> tuple[Story, ...]:
    """Return the stories that are shipped."""
    entries = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))["stories"]
    return tuple(
        Story(
            about=entry["about"],
            words=frozenset(entry["words"].split()),
            text=" ".join(entry["text"].split()),
            korean=entry.get("korean", False),
        )
        for entry in entries
    )


def clauses(text: str) -> list[str]:
    """Cut a text at its commas, colons and sentence ends; joined they are the text."""
    return _CLAUSE.findall(text)


def choose(request: str, *, told: list[str], korean: bool = False) -> tuple[Story, bool]:
    """Choose a story to tell.

    Parameters:
        request: What the user said.
        told: Replies so far; a story is not told twice unless asked for.
        korean: Whether it must be in Korean.

    Returns:
        The story, and whether it is about what the user named.
    """
    candidates = [story for story in all_stories() if story.korean == korean]
    words = set(plain(request).split())
    for story in candidates:
        if words & story.words:
            return story, True
    before = plain(" ".join(told))
    fresh = [story for story in candidates if plain(clauses(story.text)[0]) not in before]
    return (fresh or candidates)[0], False


def is_request(text: str) -> bool:
    """Whether a user's turn asked for a story, and not about one."""
    words = plain(text)
    return bool(re.search(r"\bstory\b|\bstories\b|\btale\b|이야기|동화", words)) and not re.search(
        r"\bwas the\b|\bwas your\b|이었|였", words
    )


def outline(heard: str) -> tuple[str, str]:
    """Return the first sentence of what was heard, and the last clause, both without their end marks."""
    pieces = [piece.strip() for piece in clauses(heard)]
    end = next((number for number, piece in enumerate(pieces) if piece.endswith((".", "!", "?"))), len(pieces) - 1)
    return " ".join(pieces[: end + 1]).rstrip(".,:!? "), pieces[-1].rstrip(".,:!? ")


def find(heard: str) -> tuple[Story, str] | None:
    """Find the story that a reply, perhaps cut off, told.

    Returns:
        The story, and the part of it that the reply had not come to; None if the reply is no story.
    """
    words = plain(heard).split()
    for story in all_stories():
        pieces = clauses(story.text)
        opening = plain(pieces[0]).split()[:_OPENING_WORDS]
        starts = (i for i in range(len(words)) if words[i : i + _OPENING_WORDS] == opening)
        at = next(starts, None)
        if at is None:
            continue
        covered = len(words) - at
        for number, piece in enumerate(pieces):
            covered -= len(plain(piece).split())
            if covered < 0:
                return story, "".join(pieces[number:])
        return story, ""
    return None
