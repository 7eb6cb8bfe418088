"""What no turn is made of: music, noise, a monologue, several people. Whatever is heard, a silence ends it.

The whole chain of detector, strategies and aggregator hears real audio, on a loop whose clock jumps over silences.
"""

import json
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from loguru import logger
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams

from bench.turn_corpus.corpus import RATE, Turn
from bench.turn_corpus.talk import Chain, Heard, talk
from halfcascade.bot.replay import virtual_time
from halfcascade.processors.turns import (
    Speculations,
    SpeechDetector,
    joining_aggregators,
    load_networks,
    text_end,
    user_turn_strategies,
)

DATA = Path(__file__).parents[2] / "data"
RNG = np.random.default_rng(0)
# The wait, the recognizer and the answer; what the detector of speech takes to be sure that music is over.
AT_MOST_SECS = 3.5
# With ears that never say that they have heard all: Pipecat's own limit, and what the detector takes.
DEAF_SECS = 6.5
LEAD_SECS = 0.4


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


def television() -> np.ndarray:
    speech = np.resize(recording("two_sentences"), 5 * RATE).astype(np.int32)
    return (speech + music(5.0) // 2).clip(-32768, 32767).astype(np.int16)


SOUNDS = {
    "a monologue": (lambda: np.resize(recording("two_sentences"), 30 * RATE), "and so on and on and then it goes on"),
    "music": (lambda: music(6.0), ""),
    "noise": (lambda: bursts(4.0), ""),
    "a clap": (lambda: bursts(0.3), ""),
    "television": (television, "and now the news of the day"),
    "television that nobody understands": (television, ""),
    "speech that nobody understands": (lambda: np.resize(recording("weather"), 5 * RATE), ""),
    "two people at once": (together, "what will hello the weather my name be"),
    "words that never end": (lambda: recording("weather"), "and then the"),
    "words of a language without lists": (lambda: recording("greeting"), "jag heter daniel och bor i boston"),
}
# What surely begins a turn, so that something is there to end.
SPOKEN = [name for name, (_, words) in SOUNDS.items() if words or name.endswith("nobody understands")]


@dataclass
class Hearing:
    """What became of a sound.

    Parameters:
        heard: What the brain and the user noticed of it.
        late_secs: How long after the sound each turn that began with it ended.
    """

    heard: Heard
    late_secs: list[float]


def hear(name: str, language: str = "en-US", *, flush: bool = True, language_model: bool = False) -> Hearing:
    began, ended = [], []

    def aggregator(context: LLMContext, _language: str):
        strategies = user_turn_strategies(language, speculations=Speculations(), language_model=language_model)
        params = LLMUserAggregatorParams(user_turn_strategies=strategies)
        user, _ = joining_aggregators(context, user_params=params)
        user.add_event_handler("on_user_turn_started", lambda *_: began.append(time.monotonic()))
        user.add_event_handler("on_user_turn_stopped", lambda *_: ended.append(time.monotonic()))
        return user

    make, words = SOUNDS[name]
    turn = Turn(words, language, "recorded", (make(),), (words,))
    afterwards = Turn("What will the weather be", language, "recorded", (recording("weather"),), ("What time is it",))
    chain = Chain(SpeechDetector, flush, 2.0, aggregator)

    async def listen() -> tuple[list[Heard], float]:
        starts_at = time.monotonic()
        return (await talk(chain, [(turn, 0.0), (afterwards, 0.0)], language))[0], starts_at

    heard, starts_at = virtual_time.run(listen())
    # Whatever was heard, the next turn is one as any other, and nothing of the one before is in it.
    assert heard[1].answer_secs is not None
    assert heard[1].answer_secs < AT_MOST_SECS
    assert heard[1].requests >= 1
    assert len(began) == len(ended)
    silent_at = starts_at + LEAD_SECS + len(turn.parts[0]) / RATE
    turns = zip(began, ended, strict=True)
    return Hearing(heard[0], [end - silent_at for begin, end in turns if begin < silent_at])


@cache
def heard_once(name: str) -> Hearing:
    return hear(name, "sv-SE" if "language" in name else "en-US")


@pytest.fixture
def log():
    """The lines of the log."""
    lines: list[str] = []
    sink = logger.add(lambda line: lines.append(str(line)), level="INFO", format="{message}")
    yield lines
    logger.remove(sink)


@pytest.mark.parametrize("name", [name for name, (_, words) in SOUNDS.items() if words])
def test_whatever_has_words_is_answered_in_time(name):
    answer_secs = heard_once(name).heard.answer_secs
    assert answer_secs is not None
    assert answer_secs < AT_MOST_SECS


@pytest.mark.parametrize("name", [name for name, (_, words) in SOUNDS.items() if words and name != "television"])
def test_what_people_say_reaches_the_brain_whole_however_long_it_is(name):
    assert heard_once(name).heard.whole


@pytest.mark.parametrize("name", [name for name, (_, words) in SOUNDS.items() if not words])
def test_what_has_no_words_asks_nothing(name):
    assert heard_once(name).heard.requests == 0


@pytest.mark.parametrize("name", SPOKEN)
def test_a_turn_ends_with_the_silence_whatever_was_heard(name):
    late_secs = heard_once(name).late_secs
    assert late_secs
    assert max(late_secs) < AT_MOST_SECS


@pytest.mark.parametrize("name", ["speech that nobody understands", "words that never end"])
def test_a_turn_ends_although_the_ears_never_say_that_they_are_done(name):
    late_secs = hear(name, flush=False).late_secs
    assert late_secs
    assert max(late_secs) < DEAF_SECS


def test_a_language_without_lists_is_told_once(log):
    assert hear("words of a language without lists", "sv-SE").heard.answer_secs is not None
    assert ["sv-SE" in line for line in log if "lists of words for" in line] == [True]
    log.clear()
    for language in ("en-US", "ko-KR", "auto", ()):
        user_turn_strategies(language, language_model=False)
    assert not [line for line in log if "lists of words for" in line]


@pytest.mark.parametrize("missing", ["the model", "the library"])
def test_a_language_model_that_is_not_installed_is_told_once_and_done_without(log, monkeypatch, missing):
    monkeypatch.delenv(text_end.MODEL_VARIABLE, raising=False)
    monkeypatch.setattr(text_end, "small_model", lambda: None if missing == "the model" else Path("a.gguf"))
    monkeypatch.setattr(text_end, "is_there", lambda _: missing == "the model")
    load_networks("en-US")
    assert hear("two people at once", language_model=True).heard.answer_secs is not None
    assert len([line for line in log if "language model" in line]) == 1
    log.clear()
    user_turn_strategies("ko-KR")
    assert not [line for line in log if "language model" in line]


BROKEN = {
    "there is none": None,
    "is empty": b"",
    "is something else": b"this is no model",
    "is cut off": b"GGUF\x03\x00\x00\x00" + bytes(16),
    "is a folder": ...,
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
@pytest.mark.skipif(not text_end.is_there("xllamacpp"), reason="nothing reads a language model")
def test_a_broken_model_file_is_told_once_and_done_without(log, monkeypatch, tmp_path, content):
    path = tmp_path / "model.gguf"
    if content is ...:
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    monkeypatch.setenv(text_end.MODEL_VARIABLE, str(path))
    load_networks("en-US")
    assert hear("two people at once", language_model=True).heard.answer_secs is not None
    assert len([line for line in log if "language model cannot be used" in line]) == 1
