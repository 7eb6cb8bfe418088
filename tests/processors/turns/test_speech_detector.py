"""Voice activity on real speech: every signal in its place."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.worker import PipelineParams
from pipecat.tests.utils import run_test

from halfcascade.processors.frames import SpeechOnsetFrame, SpeechPausedFrame, SpeechResumedFrame
from halfcascade.processors.turns import SpeechDetector
from halfcascade.processors.turns.speech_detector import _QuietMeter

DATA = Path(__file__).parents[2] / "data"
RATE = 16_000
BLOCK = 320
SIGNALS = (
    SpeechOnsetFrame,
    VADUserStartedSpeakingFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
    VADUserStoppedSpeakingFrame,
)


def recording(name: str) -> tuple[np.ndarray, dict]:
    entries = json.loads((DATA / "recordings.json").read_text("utf-8"))
    entry = next(entry for entry in entries if entry["name"] == name)
    return soundfile.read(DATA / entry["file"], dtype="int16")[0], entry


async def detect(samples: np.ndarray, *before: Frame) -> list[tuple[float, type]]:
    """Signals, each with the seconds of audio that had passed before it."""
    return [(at, type(frame)) for at, frame in await signals_of(samples, *before)]


async def signals_of(samples: np.ndarray, *before: Frame) -> list[tuple[float, Frame]]:
    frames = [
        InputAudioRawFrame(samples[i : i + BLOCK].tobytes(), RATE, 1) for i in range(0, len(samples) - BLOCK, BLOCK)
    ]
    down, _ = await run_test(
        SpeechDetector(),
        frames_to_send=[*before, *frames],
        pipeline_params=PipelineParams(audio_in_sample_rate=RATE),
        start_timeout=20.0,
    )
    found: list[tuple[float, Frame]] = []
    passed = 0
    for frame in down:
        if isinstance(frame, InputAudioRawFrame):
            passed += 1
        elif isinstance(frame, SIGNALS):
            found.append((passed * BLOCK / RATE, frame))
    return found


@pytest.mark.parametrize("name", ["yes", "weather", "question", "stop"])
async def test_onset_start_pause_and_stop_come_in_order_and_in_time(name):
    samples, entry = recording(name)
    signals = await detect(samples)
    kinds = [kind for _, kind in signals]
    assert kinds[:2] == [SpeechOnsetFrame, VADUserStartedSpeakingFrame]
    assert kinds[-2:] == [SpeechPausedFrame, VADUserStoppedSpeakingFrame]
    at = {kind: secs for secs, kind in signals}
    assert at[SpeechOnsetFrame] < at[VADUserStartedSpeakingFrame] - 0.08
    assert at[SpeechOnsetFrame] - entry["start"] < 0.2
    assert 0.04 <= at[SpeechPausedFrame] - entry["end"] < 0.13


async def test_a_pause_is_resumed_or_ends_speech():
    signals = await detect(recording("numbers")[0])
    kinds = [kind for _, kind in signals]
    for before, kind in pairwise(kinds):
        if before is SpeechPausedFrame:
            assert kind in (SpeechResumedFrame, VADUserStoppedSpeakingFrame, SpeechOnsetFrame)
        if kind is SpeechResumedFrame:
            assert before is SpeechPausedFrame
    assert kinds.count(VADUserStartedSpeakingFrame) == kinds.count(VADUserStoppedSpeakingFrame)


@pytest.mark.parametrize("name", ["cough", "knock"])
async def test_noise_is_no_speech(name):
    kinds = [kind for _, kind in await detect(recording(name)[0])]
    assert VADUserStartedSpeakingFrame not in kinds
    # What sounded like speech for a moment is taken back.
    assert kinds.count(SpeechOnsetFrame) == kinds.count(SpeechPausedFrame)


async def test_speech_is_noticed_sooner_while_the_bot_speaks():
    samples, _ = recording("weather")

    async def noticed(*before: Frame) -> float:
        return next(at for at, kind in await detect(samples, *before) if kind is VADUserStartedSpeakingFrame)

    usual = await noticed()
    assert await noticed(BotStartedSpeakingFrame()) < usual - 0.05
    assert await noticed(BotStartedSpeakingFrame(), BotStoppedSpeakingFrame()) == usual


async def test_the_ears_are_told_of_first_words_that_were_not_noticed():
    """What cancelling takes the edge off is no voice any more, but it is sound."""
    samples, entry = recording("weather")
    noise, start = np.random.default_rng(1).normal(0, 1, RATE), round(entry["start"] * RATE)
    samples = np.concatenate([noise * 3, noise[: RATE // 2] * 300, samples[start:]]).astype(np.int16)
    for before, least, most in (((BotStartedSpeakingFrame(),), 0.5, 0.8), ((), 0.2, 0.2)):
        frames = [frame for _, frame in await signals_of(samples, *before)]
        started = next(frame for frame in frames if isinstance(frame, VADUserStartedSpeakingFrame))
        assert least <= started.start_secs <= most


@pytest.mark.parametrize(
    ("before", "least", "most"),
    [
        ((), 0.5, 0.8),
        ((BotStartedSpeakingFrame(),), 0.5, 0.8),
        ((BotStartedSpeakingFrame(), "words", BotStoppedSpeakingFrame()), 0.0, 0.3),
    ],
    ids=["in silence", "over the bot", "behind the bot"],
)
async def test_an_onset_tells_of_sound_before_it_that_may_be_words(before, least, most):
    """Voices that no detector was trained on are taken for speech late, or after some words."""
    samples, entry = recording("weather")
    noise, start = np.random.default_rng(1).normal(0, 1, RATE), round(entry["start"] * RATE)
    hush, strange = (noise * 3).astype(np.int16), (noise[: RATE // 2] * 300).astype(np.int16)
    if "words" in before:
        until_now = np.concatenate([hush, strange])
        spoken = [
            InputAudioRawFrame(until_now[i : i + BLOCK].tobytes(), RATE, 1) for i in range(0, len(until_now), BLOCK)
        ]
        frames = await signals_of(samples[start:], before[0], *spoken, before[2])
    else:
        frames = await signals_of(np.concatenate([hush, strange, samples[start:]]), *before)
    onset = next(frame for _, frame in frames if isinstance(frame, SpeechOnsetFrame))
    assert least <= onset.sound_secs <= most
    assert onset.secs < 0.2


def test_the_level_meter_compares_with_the_loudest_and_the_quietest_of_the_last_seconds():
    # The plain reckoning, over all levels anew for each.
    rng, meter = np.random.default_rng(7), _QuietMeter()
    levels: list[float] = []
    secs = 0.0
    for _ in range(500):
        block = (rng.normal(size=BLOCK // 2) * 10 ** rng.uniform(0, 4)).clip(-32768, 32767).astype("<i2")
        meter.audio(block.tobytes(), RATE)
        levels = [*levels, float(10 * np.log10(np.square(block.astype(np.float32)).mean() + 1.0))][-300:]
        quiet = levels[-1] < max(np.percentile(levels, 5) + 8.0, max(levels[-60:]) - 30.0)
        secs = secs + 0.01 if quiet else 0.0
        assert meter.secs == pytest.approx(secs)
