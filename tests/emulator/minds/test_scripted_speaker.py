import asyncio

import numpy as np
import pytest

from halfcascade.emulator.minds.base import SPEAKER_RATE, SynthesisRequest
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import SpeakerProfile

REQUEST = SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US")
TEXTS = ["Hello, how are you today? I am fine -- thank you.", "안녕하세요, 오늘 날씨가 좋네요. 네!", "yes"]


def spoken(speaker: ScriptedSpeaker, text: str, request: SynthesisRequest = REQUEST) -> np.ndarray:
    return np.frombuffer(b"".join(speaker.render(text, request)), "<i2").astype(float)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("rate", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("lead", [0.0, 0.08])
def test_sound_lies_exactly_where_the_plan_says(text, rate, lead):
    speaker = ScriptedSpeaker(SpeakerProfile(), lead)
    schedule = speaker.schedule(text, rate)
    audio = spoken(speaker, text, SynthesisRequest(REQUEST.voice, "en-US", rate))
    assert len(audio) == round(schedule.duration * SPEAKER_RATE)
    assert [word.word for word in schedule.words] == [word for word in text.split() if word != "--"]
    inside = np.zeros(len(audio), bool)
    for word in schedule.words:
        start, end = round(word.start * SPEAKER_RATE), round(word.end * SPEAKER_RATE)
        inside[start:end] = True
        assert np.sqrt(np.mean(audio[start:end] ** 2)) > 2_000
    assert not audio[~inside].any()
    assert schedule.words[0].start == pytest.approx(lead, abs=1e-4)


def test_the_same_text_sounds_the_same_and_words_sound_different():
    speaker = ScriptedSpeaker(SpeakerProfile())
    assert (spoken(speaker, TEXTS[0]) == spoken(speaker, TEXTS[0])).all()
    (first, second) = speaker.plan("very very")
    audio = spoken(speaker, "very very")
    one, other = (audio[round(w.start * SPEAKER_RATE) : round(w.end * SPEAKER_RATE)] for w in (first, second))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.5


def test_voices_differ():
    speaker = ScriptedSpeaker(SpeakerProfile())
    other = spoken(speaker, "hello", SynthesisRequest("en-US-Chirp3-HD-Kore", "en-US"))
    assert abs(np.corrcoef(spoken(speaker, "hello"), other)[0, 1]) < 0.5


def test_rate_shortens_words():
    speaker = ScriptedSpeaker(SpeakerProfile())
    assert speaker.schedule(TEXTS[0], 2.0).duration == pytest.approx(speaker.schedule(TEXTS[0]).duration / 2, abs=0.01)


@pytest.mark.parametrize("text", ["", "  ", "-- ...", "\n"])
def test_nothing_is_said_of_nothing(text):
    speaker = ScriptedSpeaker(SpeakerProfile(), 0.1)
    assert speaker.plan(text) == []
    assert len(spoken(speaker, text)) == 0


async def collect(speaker: ScriptedSpeaker, *texts: str) -> list[tuple[float, int]]:
    loop = asyncio.get_running_loop()
    synthesis = speaker.synthesize(REQUEST)
    began = loop.time()
    for text in texts:
        await synthesis.text(text)
    await synthesis.finish()
    return [(loop.time() - began, len(chunk)) async for chunk in synthesis.audio()]


async def test_inputs_follow_each_other_without_a_gap():
    speaker = ScriptedSpeaker(SpeakerProfile())
    chunks = await collect(speaker, *TEXTS)
    expected = sum(round(speaker.schedule(text).duration * SPEAKER_RATE) * 2 for text in TEXTS)
    assert sum(size for _, size in chunks) == expected


async def test_first_audio_and_pace_follow_the_profile():
    profile = SpeakerProfile(first_audio=0.1, speed=20.0, chunk=0.24)
    chunks = await collect(ScriptedSpeaker(profile), "one two three four five six seven eight nine ten")
    # Sleeps never end early, so these hold on a slow machine too.
    for number, (at, size) in enumerate(chunks):
        assert at >= 0.1 + number * 0.24 / 20 - 0.002
        assert size == 11_520 or number == len(chunks) - 1
