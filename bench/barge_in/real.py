"""What real people's sounds do to a bot that speaks: words, sentences, laughter, coughs, sneezes.

python -m bench.barge_in.real --recordings FOLDER [--half report|tune]

``FOLDER`` holds ``index.json``: a list of ``file``, ``kind`` and ``stops`` (whether the sound should stop the bot).
Such recordings are not part of the project (bench/README.md says which were used). The whole chain of detector and
turn strategy hears each once; nobody recognizes words. A hash of the speaker's name decides which half a recording
belongs to; thresholds were chosen on ``tune``.
"""

import argparse
import asyncio
import json
import statistics
import sys
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from loguru import logger

from bench.audio_hearing import Part, react
from halfcascade.processors.language import turn_words
from halfcascade.processors.turns import SpeechDetector
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_sound import RATE

FOUND_SECS = 0.4
"""Within how long of its first sound an interruption has to be found (the project's goal)."""
_LEAD_SECS, _TAIL_SECS, _BREAK_SECS = 0.8, 0.5, 0.6
_LONGEST_SECS = 4.0
_WITH_WORDS_SECS = 0.7
# The reference profile's: an interim follows its words so late.
_INTERIM_LAG_SECS = 0.25
_BELOW_PEAK_DB, _LEVEL_SECS = 26.0, 0.01
# Words that a listener says: whether they stop the bot is a matter of what it was saying, so they are told apart.
_LISTENERS = frozenset({"yes", "right", "wow", "yeah", "okay"})


def half_of(file: str) -> str:
    """The half that a recording belongs to: all of one speaker go to the same."""
    name = Path(file).stem
    speaker = name.split("_")[0] if "_" in name else name[:9]
    return ("report", "tune")[zlib.crc32(speaker.encode()) % 2]


def sound(path: Path, rng: np.random.Generator) -> tuple[np.ndarray, float, float]:
    """Read a recording as a microphone might give it.

    Returns:
        Samples as loud as 16-bit integers, silence around them; when their first sound is, and how long the recording
        goes on from there, in seconds. Of a long one only the beginning is among the samples.
    """
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    samples = soxr.resample(audio[:, 0], rate, RATE)
    step = round(_LEVEL_SECS * RATE)
    levels = 10 * np.log10(np.square(samples[: len(samples) // step * step]).reshape(-1, step).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(levels > levels.max() - _BELOW_PEAK_DB)
    # The first sound that lasts: a click of the recorder is none.
    first = next((i for i in loud if levels[i : i + 5].mean() > levels.max() - _BELOW_PEAK_DB), loud[0])
    lasts = float((loud[-1] + 1 - first) * _LEVEL_SECS)
    samples = samples[max(0, first * step - round(0.05 * RATE)) : (loud[-1] + 8) * step][: round(_LONGEST_SECS * RATE)]
    begins = float(min(first * _LEVEL_SECS, 0.05))
    scaled = samples / np.abs(samples).max() * 32767 * 10 ** (rng.uniform(-14, -4) / 20)
    lead, tail = np.zeros(round(_LEAD_SECS * RATE)), np.zeros(round((_TAIL_SECS + _BREAK_SECS) * RATE))
    return np.concatenate([lead, scaled, tail]), _LEAD_SECS + begins, lasts


async def measure(folder: Path, half: str | None, seed: int = 0) -> dict[str, Any]:
    """Let the chain hear the recordings.

    Args:
        folder: Where they are.
        half: Which half, or None for all.
        seed: Of their levels and of the noise in the room.

    Returns:
        Counts by kind; median time in seconds to the stop.
    """
    rng = np.random.default_rng(seed)
    entries = [
        entry for entry in json.loads((folder / "index.json").read_text("utf-8"))
        if half is None or half_of(entry["file"]) == half
    ]  # fmt: skip
    pieces, parts, firsts, lengths, at = [], [], [], [], 0
    for entry in entries:
        samples, first, lasts = sound(folder / entry["file"], rng)
        samples = samples + rng.standard_normal(len(samples)) * 10 ** (-66 / 20) * 32768
        parts.append(Part(at, len(samples) - round(_BREAK_SECS * RATE), round(first * RATE), len(samples)))
        firsts.append(first)
        lengths.append(lasts)
        pieces.append(samples)
        at += len(samples)
    microphone = np.clip(np.concatenate(pieces), -32768, 32767).astype(np.int16)
    reactions = await react(microphone, parts, SpeechDetector(), BargeInUserTurnStartStrategy())
    stops = [one.at for one in reactions if one.kind == "stopped"]
    found: dict[str, list[float | None]] = defaultdict(list)
    with_words = []
    for entry, part, first, lasts in zip(entries, parts, firsts, lengths, strict=True):
        ats = [stop for stop in stops if 0 <= stop - part.start < part.bot]
        by_sound = (ats[0] - part.start) / RATE - first if ats else None
        found[kind_of(entry)].append(by_sound)
        if entry["stops"]:
            with_words.append(min(by_sound or 9.0, words_stop_after(entry, lasts)))
    summary = summarize(found, {kind_of(entry): bool(entry["stops"]) for entry in entries})
    summary["found_within_700_ms_with_words"] = sum(at <= _WITH_WORDS_SECS for at in with_words)
    return summary


def words_stop_after(entry: dict[str, Any], secs: float) -> float:
    """When the first words that no listener says would have reached the bot, from the first sound, in seconds.

    The recordings do not say when their words are spoken: each gets its share by its letters.
    """
    words = entry["text"].split()
    known = turn_words(entry.get("language", "en-US"))
    length = sum(len(word) + 1 for word in words)
    for count in range(1, len(words) + 1):
        if not known.is_backchannel(" ".join(words[:count])):
            said = secs * sum(len(word) + 1 for word in words[:count]) / length
            return said + _INTERIM_LAG_SECS
    return float("inf")


def kind_of(entry: dict[str, Any]) -> str:
    """The row of the table that a recording belongs to."""
    return entry["kind"] if entry["kind"] != "word" else f"word {entry['text']}"


def summarize(found: dict[str, list[float | None]], stops: dict[str, bool]) -> dict[str, Any]:
    """Counts of what was found, stopped and missed."""
    real = [at for kind, ats in found.items() if stops[kind] for at in ats]
    words = [at for kind, ats in found.items() if kind.removeprefix("word ") in _LISTENERS for at in ats]
    sounds = [at for kind, ats in found.items() if not stops[kind] and not kind.startswith("word ") for at in ats]
    times = [at for at in real if at is not None]
    return {
        "interruptions": len(real),
        "found_within_400_ms": sum(at is not None and at <= FOUND_SECS for at in real),
        "found": len(times),
        "median_secs": round(statistics.median(times), 3) if times else None,
        "listeners_words": len(words),
        "listeners_words_that_stop": sum(at is not None for at in words),
        "no_speech": len(sounds),
        "no_speech_that_stops": sum(at is not None for at in sounds),
        "by_kind": {
            kind: [sum(at is not None and (at <= FOUND_SECS or not stops[kind]) for at in ats), len(ats)]
            for kind, ats in sorted(found.items())
        },
    }


def main() -> int:
    """Parse the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=Path, required=True)
    parser.add_argument("--half", choices=("report", "tune"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logger.remove()
    found = asyncio.run(measure(options.recordings, options.half, options.seed))
    print(
        json.dumps({"bench": "barge_in.real", "half": options.half or "all", **found}, ensure_ascii=False, default=int)
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
