"""What is no interruption, over the bot, as the microphone gives it: music, television, several people, noise.

The whole chain of detector and strategy hears it, and nobody recognizes words. Whatever it was, once it is silent the
bot is as loud as before or has given up the floor, and the next interruption finds it.
"""

import numpy as np
import pytest

from bench.audio_hearing import RATE, Part, Reaction, react
from bench.barge_in.vocal import VOCAL_SOUNDS, laughter
from halfcascade.processors.turns import SpeechDetector
from halfcascade.processors.turns.barge_in import BargeInUserTurnStartStrategy
from halfcascade.processors.turns.barge_in_judge import BargeInParams
from halfcascade.processors.turns.barge_in_sound import InterruptionSound
from tests.processors.turns.test_bad_input import bursts, music, recording, together

QUIET_SECS, LEAD_SECS, FOUND_SECS = 1.5, 0.5, 2.4


def television() -> np.ndarray:
    speech = np.resize(recording("two_sentences"), 6 * RATE).astype(np.int32)
    return (speech + music(6.0)[: len(speech)] // 2).clip(-32768, 32767).astype(np.int16)


def laughing() -> np.ndarray:
    # This one stops a bot that goes by the detector and the first answer of the network alone.
    one = laughter(np.random.default_rng(9))
    return (one / np.abs(one).max() * 9000).astype(np.int16)


# What may stop the bot, as somebody speaks in it; nothing else may.
SOUNDS = {
    "music": (lambda: music(5.0), False),
    "noise": (lambda: bursts(4.0), False),
    "a clap": (lambda: bursts(0.3), False),
    "laughter": (laughing, False),
    "television": (television, True),
    "two people at once": (together, True),
    "silence": (lambda: np.zeros(RATE, np.int16), False),
}


def silence(secs: float) -> np.ndarray:
    return (np.random.default_rng(3).standard_normal(round(secs * RATE)) * 10).astype(np.int16)


async def over_the_bot(sound: np.ndarray) -> tuple[list[Reaction], list[Reaction], bool]:
    """What a sound leads to, then an interruption a while later, and whether the bot is as loud as ever at the end."""
    pieces = [silence(LEAD_SECS), sound, silence(QUIET_SECS), recording("two_sentences"), silence(QUIET_SECS)]
    microphone = np.concatenate(pieces)
    ends = np.cumsum([len(piece) for piece in pieces])
    # The floor is free again before the interruption, and the bot speaks on.
    again = int(ends[2]) - RATE // 4
    parts = [Part(0, len(microphone), int(ends[0]), len(sound)), Part(again, len(microphone), RATE // 4, RATE)]
    strategy = BargeInUserTurnStartStrategy()
    reactions = await react(microphone, parts, SpeechDetector(), strategy)
    return (
        [one for one in reactions if one.at < again],
        [one for one in reactions if one.at >= ends[2]],
        not strategy.ducked,
    )


@pytest.mark.parametrize("name", SOUNDS)
async def test_whatever_is_heard_over_the_bot_the_next_interruption_finds_it_as_loud_as_ever(name):
    make, speech = SOUNDS[name]
    first, then, loud = await over_the_bot(make())
    assert speech or "stopped" not in [one.kind for one in first]
    assert "stopped" in [one.kind for one in then]
    assert loud


def test_what_people_do_besides_speaking_is_told_from_speech():
    judge, rng, threshold = InterruptionSound(), np.random.default_rng(11), BargeInParams().spoken
    others = [judge.judge(make(rng)[: round(0.37 * RATE)]).spoken for make in VOCAL_SOUNDS for _ in range(6)]
    names = ("weather", "greeting", "two_sentences")
    speech = [judge.judge(recording(name)[: round(0.37 * RATE)].astype(np.float32)).spoken for name in names]
    assert np.mean(np.array(others) < threshold) > 0.8
    assert min(speech) > threshold
