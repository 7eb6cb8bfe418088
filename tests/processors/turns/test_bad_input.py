"""What no turn is made of: music, noise, a monologue, several people. Whatever is heard, a silence ends it.

The whole chain of detector, strategies and aggregator hears real audio, on a loop whose clock jumps over silences.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams

from bench.turn_corpus.corpus import RATE, Turn
from bench.turn_corpus.talk import Chain, Heard, talk
from halfcascade.bot.replay import virtual_time
from halfcascade.processors.turns import Speculations, SpeechDetector, joining_aggregators, user_turn_strategies

DATA = Path(__file__).parents[2] / "data"
RNG = np.random.default_rng(0)
# The wait, the recognizer and the answer; what the detector of speech takes to be sure that music is over.
AT_MOST_SECS = 3.5


def recording(name: str) -> np.ndarray:
    entries = json.loads((DATA / "recordings.json").read_text("utf-8"))
    entry = next(entry for entry in entries if entry["name"] == name)
    samples = soundfile.read(DATA / entry["file"], dtype="int16")[0]
    return samples[round(entry["start"] * RATE) : round(entry["end"] * RATE)]


def music(secs: float) -> np.ndarray:
    t = np.arange(round(secs * RATE)) / RATE
    tones = [220.0, 277.2, 329.6, 440.0]
    melody = 330 * 2 ** (np.floor(4 * t) % 5 / 12)
    chord = sum(np.sin(2 * np.pi * tone * t) for tone in tones) + 2 * np.sin(2 * np.pi * np.cumsum(melody) / RATE)
    beat = 0.4 + 0.6 * np.exp(-8 * (t * 2 % 1))
    return (chord * beat * 3000).astype(np.int16)


def bursts(secs: float) -> np.ndarray:
    t = np.arange(round(secs * RATE)) / RATE
    return (RNG.standard_normal(len(t)) * 6000 * np.exp(-6 * (t % 0.7))).astype(np.int16)


def together() -> np.ndarray:
    one, other = recording("weather"), recording("greeting")
    both = np.zeros(max(len(one), len(other) + RATE // 3), np.int32)
    both[: len(one)] += one
    both[RATE // 3 : RATE // 3 + len(other)] += other
    return both.clip(-32768, 32767).astype(np.int16)


SOUNDS = {
    "a monologue": (lambda: np.resize(recording("two_sentences"), 30 * RATE), "and so on and on and then it goes on"),
    "music": (lambda: music(6.0), ""),
    "noise": (lambda: bursts(4.0), ""),
    "a clap": (lambda: bursts(0.3), ""),
    "two people at once": (together, "what will hello the weather my name be"),
    "words that never end": (lambda: recording("weather"), "and then the"),
    "words of a language without lists": (lambda: recording("greeting"), "jag heter daniel och bor i boston"),
}


def hear(name: str, language: str) -> Heard:
    def aggregator(context: LLMContext, _language: str):
        strategies = user_turn_strategies(language, speculations=Speculations(), language_model=False)
        return joining_aggregators(context, user_params=LLMUserAggregatorParams(user_turn_strategies=strategies))[0]

    make, words = SOUNDS[name]
    turn = Turn(words, language, "recorded", (make(),), (words,))
    afterwards = Turn("What will the weather be", language, "recorded", (recording("weather"),), ("What time is it",))
    chain = Chain(SpeechDetector, True, 2.0, aggregator)
    heard, _secs = virtual_time.run(talk(chain, [(turn, 0.0), (afterwards, 0.0)], language))
    # Whatever was heard, the next turn is one as any other.
    assert heard[1].answer_secs is not None
    assert heard[1].answer_secs < AT_MOST_SECS
    return heard[0]


@pytest.mark.parametrize("name", [name for name, (_, words) in SOUNDS.items() if words])
def test_whatever_has_words_is_answered_in_time(name):
    heard = hear(name, "sv-SE" if "language" in name else "en-US")
    assert heard.answer_secs is not None
    assert heard.answer_secs < AT_MOST_SECS


@pytest.mark.parametrize("name", [name for name, (_, words) in SOUNDS.items() if not words])
def test_what_has_no_words_asks_nothing(name):
    assert hear(name, "en-US").requests == 0
