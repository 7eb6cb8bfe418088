"""Simulated conversations on an open loudspeaker: does the bot hear itself, is the user heard over it?

See facts/audio#echo.

Nine scenes: three rooms by three delays, each with six utterances of the bot alone, five of the user alone, and six of
both. Levels are active speech levels; the user is at -26 dBFS in the microphone.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from bench.audio_hearing import RATE, Part, Reaction, react
from halfcascade.transports.local.aec import EchoCanceller
from tests.virtual_audio import EchoPath, Room

USER_DBFS = -26.0
KINDS = ("ducked", "noticed", "stopped")

_BLOCK = RATE // 50
_AFTER_BOT, _AFTER_USER = RATE // 2, RATE // 4
_PAUSE = int(1.2 * RATE)
_DATA = Path(__file__).parents[1] / "tests" / "data"
_DELAYS_SECS = (0.03, 0.06, 0.12)
_SPOKEN_OVER = ("no_wait", "actually", "hold_on", "weather", "question", "stop", "timer", "greeting", "numbers")


@dataclass
class Verdict:
    """What a chain of detector and turn strategy made of the scenes; of reactions only the first of a part counts.

    Parameters:
        bot_alone: Utterances of the bot that nobody spoke over.
        false: Of those, in how many it took the bot for the user, by kind of `Reaction`.
        barge_ins: Utterances of the user over the bot.
        early: Of those, in how many it took the bot for the user before the user began, by kind.
        delays: Seconds from the beginning of a barge-in to the reaction, by kind, of those that had one.
        user_alone: Utterances of the user in quiet.
        user_heard: Of those, how many were noticed.
    """

    bot_alone: int = 0
    false: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    barge_ins: int = 0
    early: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    delays: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    user_alone: int = 0
    user_heard: int = 0


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


MakeChain = Callable[[], tuple[FrameProcessor, BaseUserTurnStartStrategy]]


def judge(echo_dbfs: float, *, cancel: bool, chain: MakeChain, scenes: int = 9) -> Verdict:
    """Run the scenes.

    Args:
        echo_dbfs: Level of the bot's voice in the microphone.
        cancel: Whether it is cancelled.
        chain: Makes detector and turn strategy.
        scenes: How many of the nine.

    Returns:
        What the chain made of them.
    """
    verdict = Verdict()
    for scene in range(scenes):
        microphone, parts = heard(scene, echo_dbfs, cancel=cancel)
        _count(verdict, asyncio.run(react(microphone, parts, *chain())), parts)
    return verdict


def heard(scene: int, echo_dbfs: float, *, cancel: bool) -> tuple[np.ndarray, list[Part]]:
    """Make a scene.

    Args:
        scene: Which, 0 to 8.
        echo_dbfs: Level of the bot's voice in the microphone.
        cancel: Whether it is cancelled.

    Returns:
        What the detector is given, and what is in it.
    """
    far, near, parts = _scene(scene)
    echo = _through(Room(delay_secs=_DELAYS_SECS[scene % 3], gain_db=0.0, seed=scene // 3 + 1), far)
    microphone = np.clip(at_level(echo, echo_dbfs) + near, -32768, 32767).astype(np.int16)
    return (_cancelled(microphone, far) if cancel else microphone), parts


def _scene(number: int) -> tuple[np.ndarray, np.ndarray, list[Part]]:
    rng = np.random.default_rng(number)
    bots = bot_utterances()
    users = [at_level(recording(name), USER_DBFS) for name in _SPOKEN_OVER]
    far: list[np.ndarray] = []
    near: list[np.ndarray] = []
    parts: list[Part] = []

    def add(bot: np.ndarray, user: np.ndarray, user_start: int) -> None:
        length = max(len(bot), user_start + len(user)) + _PAUSE
        parts.append(Part(sum(map(len, far)), len(bot), user_start, len(user)))
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


def _count(verdict: Verdict, reactions: list[Reaction], parts: list[Part]) -> None:
    for part in parts:
        user_at = part.start + part.user_start
        firsts = {kind: _first(reactions, kind, user_at, user_at + part.user + _AFTER_USER) for kind in KINDS}
        if not part.user:
            verdict.bot_alone += 1
            _count_false(verdict.false, reactions, part.start, part.start + part.bot + _AFTER_BOT)
        elif not part.bot:
            verdict.user_alone += 1
            verdict.user_heard += firsts["noticed"] is not None
        else:
            verdict.barge_ins += 1
            _count_false(verdict.early, reactions, part.start, user_at)
            for kind, at in firsts.items():
                if at is not None:
                    verdict.delays[kind].append(round((at - user_at) / RATE, 3))


def _count_false(counts: dict[str, int], reactions: list[Reaction], start: int, end: int) -> None:
    for kind in KINDS:
        counts[kind] += _first(reactions, kind, start + 1, end) is not None


def _first(reactions: list[Reaction], kind: str, start: int, end: int) -> int | None:
    return next((one.at for one in reactions if one.kind == kind and start <= one.at < end), None)
