"""Simulated conversations on an open loudspeaker (facts audio 4): does the bot hear itself, is the user heard over it?

Nine scenes: three rooms by three delays, each with six utterances of the bot alone, five of the user alone, and six of
both. Levels are active speech levels; the user is at -26 dBFS in the microphone.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState

from processors.turns import vad_analyzer
from tests.virtual_audio import EchoPath, Room
from transports.local.aec import EchoCanceller

RATE = 16_000
USER_DBFS = -26.0
BARGE_IN_PARAMS = VADParams(confidence=0.5, start_secs=0.12, min_volume=0.4)
"""After echo cancelling the detector can be more sensitive than Pipecat's defaults, not less (facts audio 4)."""

_BLOCK = RATE // 50
_PAUSE = int(1.2 * RATE)
_DATA = Path(__file__).parents[1] / "tests" / "data"
_DELAYS_SECS = (0.03, 0.06, 0.12)
_SPOKEN_OVER = ("no_wait", "actually", "hold_on", "weather", "question", "stop", "timer", "greeting", "numbers")


@dataclass
class Verdict:
    """What a voice activity detector made of the scenes.

    Parameters:
        bot_alone: Utterances of the bot that nobody spoke over.
        false_starts: Of those, in how many it took the bot for the user.
        barge_ins: Utterances of the user over the bot.
        found: Of those, how many it noticed.
        user_alone: Utterances of the user in quiet.
        user_heard: Of those, how many it noticed.
        delays: Seconds from the beginning of a barge-in until it was noticed.
    """

    bot_alone: int = 0
    false_starts: int = 0
    barge_ins: int = 0
    found: int = 0
    user_alone: int = 0
    user_heard: int = 0
    delays: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class _Part:
    start: int
    bot: int
    user_start: int
    user: int


def recording(name: str) -> np.ndarray:
    """A test recording from its first to its last word, as floats."""
    entry = next(entry for entry in json.loads((_DATA / "recordings.json").read_text()) if entry["name"] == name)
    audio, _ = soundfile.read(_DATA / entry["file"], dtype="int16")
    return audio[int(entry["start"] * RATE) : int(entry["end"] * RATE)].astype(float)


def at_level(audio: np.ndarray, dbfs: float) -> np.ndarray:
    """Scale to an active level: frames within 30 dB of the loudest count."""
    powers = (audio[: len(audio) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)
    active = powers[powers > powers.max() / 1000].mean()
    return audio * (10 ** (dbfs / 20) * 32768 / np.sqrt(active))


def bot_utterances(count: int = 6) -> list[np.ndarray]:
    """The reading, cut at its pauses into equal parts, at -20 dBFS."""
    reading = recording("reading")
    powers = np.convolve((reading[: len(reading) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1), np.ones(15), "same")
    cuts = [0]
    for part in range(1, count):
        near = part * len(powers) // count - 150
        cuts.append((near + int(np.argmin(powers[near : near + 300]))) * 160)
    return [at_level(piece, -20.0) for piece in np.split(reading, cuts[1:])]


def judge(echo_dbfs: float, *, cancel: bool, params: VADParams, scenes: int = 9) -> Verdict:
    """Run the scenes.

    Args:
        echo_dbfs: Level of the bot's voice in the microphone.
        cancel: Whether it is cancelled.
        params: Of the voice activity detector.
        scenes: How many of the nine.

    Returns:
        What the detector made of them.
    """
    verdict = Verdict()
    for scene in range(scenes):
        far, near, parts = _scene(scene)
        echo = _through(Room(delay_secs=_DELAYS_SECS[scene % 3], gain_db=0.0, seed=scene // 3 + 1), far)
        microphone = np.clip(at_level(echo, echo_dbfs) + near, -32768, 32767).astype(np.int16)
        if cancel:
            microphone = _cancelled(microphone, far)
        _count(verdict, _starts(microphone, vad_analyzer(params)), parts)
    return verdict


def _scene(number: int) -> tuple[np.ndarray, np.ndarray, list[_Part]]:
    rng = np.random.default_rng(number)
    bots = bot_utterances()
    users = [at_level(recording(name), USER_DBFS) for name in _SPOKEN_OVER]
    far: list[np.ndarray] = []
    near: list[np.ndarray] = []
    parts: list[_Part] = []

    def add(bot: np.ndarray, user: np.ndarray, user_start: int) -> None:
        length = max(len(bot), user_start + len(user)) + _PAUSE
        parts.append(_Part(sum(map(len, far)), len(bot), user_start, len(user)))
        far.append(np.concatenate([bot, np.zeros(length - len(bot))]))
        near.append(np.concatenate([np.zeros(user_start), user, np.zeros(length - user_start - len(user))]))

    nobody = np.empty(0)
    for i in range(6):
        add(bots[(i + number) % 6], nobody, 0)
        if i < 5:
            add(nobody, users[(2 * i + number) % len(users)], 0)
        add(bots[(i + number + 3) % 6], users[(3 * i + number) % len(users)], int(rng.uniform(1.5, 2.5) * RATE))
    bot_audio = np.clip(np.concatenate(far), -32768, 32767).astype(np.int16)
    return bot_audio, np.concatenate(near), parts


def _through(room: Room, far: np.ndarray) -> np.ndarray:
    path = EchoPath(room, RATE)
    return np.concatenate([path.process(far[i : i + 3200]) for i in range(0, len(far), 3200)]).astype(float)


def _cancelled(microphone: np.ndarray, far: np.ndarray) -> np.ndarray:
    canceller, ahead = EchoCanceller(RATE), 3 * _BLOCK  # the loudspeaker's buffer
    canceller.reference(far[:ahead], 0.0)
    out = []
    for i in range(0, len(microphone), _BLOCK):
        canceller.reference(far[i + ahead : i + ahead + _BLOCK], (i + ahead) / RATE)
        out.append(canceller.process(microphone[i : i + _BLOCK], i / RATE))
    return np.concatenate(out)


def _starts(microphone: np.ndarray, detector: VADAnalyzer) -> np.ndarray:
    detector.set_sample_rate(RATE)
    analyze: Callable[[bytes], VADState] = detector._run_analyzer
    starts, speaking = [], False
    for i in range(0, len(microphone) - _BLOCK, _BLOCK):
        now = analyze(microphone[i : i + _BLOCK].tobytes()) in (VADState.SPEAKING, VADState.STOPPING)
        if now and not speaking:
            starts.append(i + _BLOCK)
        speaking = now
    return np.array(starts)


def _count(verdict: Verdict, starts: np.ndarray, parts: list[_Part]) -> None:
    for part in parts:
        user_at = part.start + part.user_start
        found = starts[(starts >= user_at) & (starts < user_at + part.user + RATE // 4)]
        if not part.user:
            verdict.bot_alone += 1
            verdict.false_starts += bool(((starts > part.start) & (starts < part.start + part.bot + RATE // 2)).any())
        elif not part.bot:
            verdict.user_alone += 1
            verdict.user_heard += bool(len(found))
        else:
            verdict.barge_ins += 1
            if len(found):
                verdict.found += 1
                verdict.delays.append(float(found[0] - user_at) / RATE)
