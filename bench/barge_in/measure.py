"""How many interruptions are found by their sound, and how many of a listener's sounds stop the bot.

python -m bench.barge_in.measure [--seed N]
python -m bench.barge_in.measure --choose CLIPS.npz [CLIPS.npz ...]

The whole chain of detector and turn strategy hears ``unseen.ogg``, people who talk over the bot, in voices that the
network was not trained on (some by engines it has never heard), in quiet rooms. No words are recognized: what goes on
for longer than a backchannel lasts stops the bot, where "Oh, really?" in words would not, and is counted apart.
``--choose`` makes that file anew out of clips.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from loguru import logger

from bench.audio_hearing import Part, react
from bench.barge_in.takes import CLIP, START
from halfcascade.processors.turns import SpeechDetector
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_judge import BargeInParams
from halfcascade.processors.turns.barge_in_sound import RATE

SOUNDS = Path(__file__).parent / "unseen.ogg"
INDEX = SOUNDS.with_suffix(".json")
FOUND_SECS = 0.4
"""Within how long of its first sound an interruption has to be found (the project's goal)."""
_BY_SOUND_SECS = BargeInParams().looks[-1].secs + 0.05
# How many interruptions, and as many backchannels, of each group of voices; a third is Korean.
_GROUPS = {"kokoro": 42, "kokoro, Korean": 20, "joe": 30, "rms": 12, "espeak": 12, "espeak, Korean": 24}
# The bot's pause after each, so that the next one finds it speaking again.
_BREAK_SECS = 0.6


def _group(voice: str, korean: bool) -> str:
    engine = "kokoro" if "_" in voice else "espeak" if "+" in voice else voice
    return f"{engine}, Korean" if korean else engine


def choose(paths: Sequence[Path]) -> None:
    """Choose clips of unseen voices, as many interruptions as backchannels, and write them."""
    from bench.barge_in.train import load

    clips = load(list(paths))
    groups = np.array([_group(voice, foreign) for voice, foreign in zip(clips.voice, clips.korean, strict=True)])
    rng = np.random.default_rng(3)
    index, samples = [], []
    for interrupts in (True, False):
        for group, count in _GROUPS.items():
            rows = np.flatnonzero(clips.unseen_voice & (clips.interrupts == interrupts) & (groups == group))
            for row in rng.permutation(rows)[:count]:
                entry = {
                    "text": str(clips.text[row]),
                    "voice": str(clips.voice[row]),
                    "group": group,
                    "interrupts": interrupts,
                }
                index.append({**entry, "unseen_text": bool(clips.unseen_text[row])})
                samples.append(clips.x[row])
    # Clip by clip: the encoder does not survive long writes.
    with soundfile.SoundFile(SOUNDS, "w", RATE, 1, format="OGG", subtype="VORBIS") as file:
        for one in samples:
            file.write(one)
    INDEX.write_text(json.dumps(index, ensure_ascii=False, indent=0) + "\n", "utf-8")


async def measure(seed: int) -> dict[str, object]:
    """Let the chain hear them all.

    Args:
        seed: Of their levels and of the noise in the room.

    Returns:
        Counts, times in seconds from the first sound, shares by voice (interruptions found within 400 ms, backchannels
        that stopped the bot by their sound), and what went wrong.
    """
    index = json.loads(INDEX.read_text("utf-8"))
    sounds = soundfile.read(SOUNDS, dtype="float32")[0][: len(index) * CLIP].reshape(len(index), CLIP)
    rng = np.random.default_rng(seed)
    pause = round(_BREAK_SECS * RATE)
    length = CLIP + pause
    scene = rng.standard_normal((len(index), length)) * 10 ** (-66 / 20) * 32768
    scene[:, :CLIP] += sounds * 32768 * 10 ** (rng.uniform(-12, 4, (len(index), 1)) / 20)
    parts = [Part(n * length, length - pause // 2, START, CLIP - START) for n in range(len(index))]
    microphone = np.clip(scene, -32768, 32767).astype(np.int16).ravel()
    reactions = await react(microphone, parts, SpeechDetector(), BargeInUserTurnStartStrategy())
    stopped: list[float | None] = []
    for part in parts:
        ats = [one.at for one in reactions if one.kind == "stopped" and 0 <= one.at - part.start < part.bot]
        stopped.append((ats[0] - part.start - START) / RATE if ats else None)
    real = [(entry, at) for entry, at in zip(index, stopped, strict=True) if entry["interrupts"]]
    harmless = [(entry, at) for entry, at in zip(index, stopped, strict=True) if not entry["interrupts"]]
    times = [at for _, at in real if at is not None]
    by_sound = [(entry, at is not None and at <= _BY_SOUND_SECS) for entry, at in harmless]
    return {
        "interruptions": len(real),
        "found_within_400_ms": sum(at is not None and at <= FOUND_SECS for _, at in real),
        "found_by_sound": sum(at is not None and at <= _BY_SOUND_SECS for _, at in real),
        "found": len(times),
        "median_secs": round(statistics.median(times), 3),
        "backchannels": len(harmless),
        "stopped_by_sound": sum(stopped for _, stopped in by_sound),
        "stopped_by_length": sum(at is not None for _, at in harmless) - sum(stopped for _, stopped in by_sound),
        "by_voice": {
            group: [
                _share([at is not None and at <= FOUND_SECS for entry, at in real if entry["group"] == group]),
                _share([stopped for entry, stopped in by_sound if entry["group"] == group]),
            ]
            for group in _GROUPS
        },
        "missed": [entry["text"] for entry, at in real if at is None or at > FOUND_SECS],
        "false": [entry["text"] for entry, stopped in by_sound if stopped],
    }


def _share(those: list[bool]) -> float:
    return round(sum(those) / len(those), 2)


def main() -> int:
    """Parse the command line and measure, or choose."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--choose", nargs="+", type=Path, metavar="CLIPS.npz")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.choose:
        choose(options.choose)
        return 0
    logger.remove()
    print(json.dumps({"bench": "barge_in", **asyncio.run(measure(options.seed))}, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
