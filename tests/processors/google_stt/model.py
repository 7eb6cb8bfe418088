"""Speech whose words can be read off the samples, and a recognizer that reads them.

Word k is a run of samples of value k, silence is 0. A word is recognized by a stream only if the whole run reached it;
a run cut short is not a word, as with real recognizers.
"""

from dataclasses import dataclass, field

import numpy as np

RATE = 16_000
BLOCK = 320


@dataclass(frozen=True)
class Word:
    """A word: its number, which is also its sample value, and how long it lasts."""

    number: int
    samples: int

    @property
    def text(self) -> str:
        return f"word{self.number}"


def speak(words: list[Word], gap: int = 0) -> np.ndarray:
    """Samples of words with ``gap`` samples of silence between them."""
    pieces = []
    for i, word in enumerate(words):
        if i and gap:
            pieces.append(np.zeros(gap, "<i2"))
        pieces.append(np.full(word.samples, word.number, "<i2"))
    return np.concatenate(pieces) if pieces else np.zeros(0, "<i2")


@dataclass
class Recognizer:
    """One stream: fed audio, it knows the complete words in it and where they end."""

    vocabulary: dict[int, int]
    audio: bytearray = field(default_factory=bytearray)

    def words(self) -> list[tuple[str, float]]:
        """Complete words so far, with the seconds at which each ends."""
        samples = np.frombuffer(bytes(self.audio), "<i2")
        if not len(samples):
            return []
        edges = np.flatnonzero(np.diff(samples)) + 1
        starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(samples)]])
        return [
            (f"word{samples[a]}", b / RATE)
            for a, b in zip(starts, ends, strict=True)
            if samples[a] and b - a == self.vocabulary[int(samples[a])]
        ]
