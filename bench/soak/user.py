"""Somebody who talks all day: sentences of ``bench.turn_corpus`` with pauses between them, made as they are needed."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random

import numpy as np

from bench.turn_corpus.corpus import RATE, Turn
from halfcascade.bot.replay.ears import Word

_NOISE = 12.0
_GAP_SECS = (6.0, 14.0)
_LEAD_SECS = 1.0
_PAUSE_SECS = (0.6, 1.2)
# Longer than what the recognizer finds again in what was sent (``halfcascade.bot.replay.hearing``): a noise that came
# twice in it would have it take one moment for another.
_NOISE_SAMPLES = 97 * RATE
# Of a stop at the end of a word: how long nothing is heard before it, and how short it is.
_CLOSURE_SECS, _RELEASE_SECS = 0.08, 0.08
# How much of a word a recognizer needs.
_KNOWN_FROM = 0.9
_SILENCE = np.zeros(2 * RATE, np.int16)


@dataclass(frozen=True)
class Said:
    """One sentence of the day.

    Parameters:
        begin: Number of its first sample.
        end: Number of the sample behind its last.
        parts: Its sound, part by part.
        words: Its words, each with the sample at which it is over.
    """

    begin: int
    end: int
    parts: tuple[np.ndarray, ...]
    words: tuple[Word, ...]

    @cached_property
    def samples(self) -> np.ndarray:
        """All of its sound."""
        return np.concatenate(self.parts)

    def forget(self) -> None:
        """Let its sound go; it is made again where it is needed."""
        self.__dict__.pop("samples", None)


class TalkingUser:
    """The user's part (see ``WavTransportParams.user_audio``).

    Parameters:
        said: All sentences.
        words: All words.

    Args:
        said: What is said when, in order.
        secs: How long the talk is.
        room: What is heard besides, again and again; nothing for a room without any sound.
    """

    def __init__(self, said: Sequence[Said], secs: float, room: np.ndarray | None = None):
        self._length = round(secs * RATE)
        self._room = np.zeros(1, np.int16) if room is None else room
        self.said = said
        self.words = [word for one in said for word in one.words]
        self._ends = [word.end for word in self.words]
        self._begins = [one.begin for one in said]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, span: slice) -> np.ndarray:
        first, last, _ = span.indices(self._length)
        block = np.take(self._room, range(first, last), mode="wrap").astype(np.int32)
        for said in self.said[max(0, bisect_left(self._begins, first) - 1) : bisect_left(self._begins, last)]:
            begin, end = max(first, said.begin), min(last, said.end)
            if said.end <= first:
                said.forget()
            elif begin < end:
                block[begin - first : end - first] += said.samples[begin - said.begin : end - said.begin]
        return np.clip(block, -32768, 32767).astype(np.int16)

    def words_between(self, begin: int, end: int) -> list[Word]:
        """What is over within a range.

        Args:
            begin: First sample.
            end: The sample behind the last.
        """
        return self.words[bisect_left(self._ends, begin + 1) : bisect_left(self._ends, end + 1)]


def chatter(turns: Sequence[Turn], secs: float, seed: int) -> TalkingUser:
    """Somebody who says one thing after another, in a quiet room.

    Args:
        turns: Sentences to choose from.
        secs: How long the talk is; the last sentence ends well before.
        seed: Decides what is said when.
    """
    random = Random(seed)
    said: list[Said] = []
    at = round(_LEAD_SECS * RATE)
    while (one := say(random.choice(turns), at, random.uniform(*_PAUSE_SECS))).end < RATE * (secs - _GAP_SECS[1]):
        said.append(one)
        at = one.end + round(random.uniform(*_GAP_SECS) * RATE)
    room = np.random.default_rng(seed).standard_normal(_NOISE_SAMPLES) * _NOISE
    return TalkingUser(said, secs, room.astype(np.int16))


def say(turn: Turn, at: int, pause_secs: float) -> Said:
    """Say a sentence.

    Args:
        turn: The sentence.
        at: Number of its first sample.
        pause_secs: How long a hesitation in it is.
    """
    samples: list[np.ndarray] = []
    words: list[Word] = []
    place = at
    for number, (part, text) in enumerate(zip(turn.parts, turn.words, strict=True)):
        if number:
            samples.append(_SILENCE[: round(pause_secs * RATE)])
            place += len(samples[-1])
        tokens = text.split()
        words += [
            Word(f" {token}", place + end, turn.language)
            for token, end in zip(tokens, _ends(part, tokens), strict=True)
        ]
        samples.append(part)
        place += len(part)
    return Said(at, place, tuple(samples), tuple(words))


def _ends(samples: np.ndarray, tokens: Sequence[str]) -> list[int]:
    """Where a recognizer knows each word of a part, which is a little before its end.

    Words take their share of what is loud, by their letters: nothing is said in the gaps between spelled letters, nor
    where a voice trails off for half a second, nor in the release of a last stop, the "t" of "left", which may come
    so long after the rest that the ears have ended the segment.
    """
    loudness = np.abs(samples.astype(np.float32))
    loud = np.flatnonzero(loudness > loudness.max() / 16)
    runs = np.split(loud, np.flatnonzero(np.diff(loud) > _CLOSURE_SECS * RATE) + 1)
    if len(runs) > 1 and np.ptp(runs[-1]) < _RELEASE_SECS * RATE:
        runs.pop()
    spoken = np.concatenate([np.arange(run[0], run[-1] + 1) for run in runs])
    sizes = np.array([len(token) + 1 for token in tokens])
    known = np.cumsum(sizes) - (1 - _KNOWN_FROM) * sizes
    return [int(spoken[int(share * (len(spoken) - 1))]) + 1 for share in known / sizes.sum()]
