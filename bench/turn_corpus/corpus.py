"""The turns of ``bench.turns``: words, sound, and the two halves, of which only one is ever reported."""

import json
import tomllib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

RATE = 16_000
HERE = Path(__file__).parent
LANGUAGES = {"english": "en-US", "korean": "ko-KR"}
HALVES = ("report", "tune")
"""Everything that was chosen by measurement was chosen on ``tune``; ``report`` is what bench/README.md tells."""


@dataclass(frozen=True)
class Turn:
    """One turn of a user.

    Parameters:
        text: Its words; of a hesitating one, both parts.
        language: Locale.
        voice: Who says it, ``engine:name``.
        parts: Its sound, trimmed, as int16 at ``RATE``: one part, or what is before and after the pause.
        words: The words of each part.
    """

    text: str
    language: str
    voice: str
    parts: tuple[np.ndarray, ...]
    words: tuple[str, ...]

    @property
    def hesitates(self) -> bool:
        """Whether it has a pause within."""
        return len(self.parts) > 1


def half_of(name: str) -> str:
    """The half that a sentence or a voice belongs to, by a hash of it."""
    return HALVES[zlib.crc32(name.encode()) % 2]


def sentences() -> list[tuple[str, str]]:
    """All sentences with their locale; a hesitating one has a bar where its pause is."""
    table = tomllib.loads((HERE / "sentences.toml").read_text("utf-8"))
    return [
        (text, LANGUAGES[language]) for language, kinds in table.items() for texts in kinds.values() for text in texts
    ]


def read(half: str, folder: Path = HERE) -> list[Turn]:
    """Read one half.

    Args:
        half: One of ``HALVES``.
        folder: Where ``make`` wrote it.

    Raises:
        FileNotFoundError: It has not been made; one line that says how.
    """
    index = folder / f"{half}.json"
    if not index.is_file():
        raise FileNotFoundError(f"{index} is missing: make it with bench/turn_corpus/make.py.")
    samples = soundfile.read(index.with_suffix(".ogg"), dtype="int16")[0]
    return [_turn(entry, samples) for entry in json.loads(index.read_text("utf-8"))]


def _turn(entry: dict[str, Any], samples: np.ndarray) -> Turn:
    parts = tuple(samples[first:last] for first, last in entry["parts"])
    words = tuple(part.strip() for part in entry["text"].split("|"))
    return Turn(" ".join(words), entry["language"], entry["voice"], parts, words)
