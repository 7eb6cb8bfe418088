import asyncio
from itertools import pairwise

import numpy as np
import pytest
import soxr

from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    SPEAKER_RATE,
    Hypothesis,
    RecognitionRequest,
    SpeechActivity,
    SynthesisRequest,
)
from halfcascade.emulator.minds.recordings import Library, Recording
from halfcascade.emulator.minds.scripted_listener import Progress, ScriptedListener
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.minds.word_sources import RecordingSource, Utterance
from halfcascade.emulator.profiles import ListenerProfile, SpeakerProfile

PROFILE = ListenerProfile(interim_interval=0.1, interim_lag=0.25, endpoint=0.7)
REQUEST = RecognitionRequest(["en-US"], "chirp_3", interim_results=True)
SPEAKER = ScriptedSpeaker(SpeakerProfile())


def recording(text: str, lead: float = 0.5, tail: float = 1.5) -> Recording:
    """Make a recording of the scripted speaker, whose word times are exact."""
    pcm = b"".join(SPEAKER.render(text, SynthesisRequest("en-US-Chirp3-HD-Kore", "en-US")))
    speech = soxr.resample(np.frombuffer(pcm, "<i2") / 32_768, SPEAKER_RATE, LISTENER_RATE)
    samples = np.concatenate([np.zeros(round(lead * LISTENER_RATE)), speech, np.zeros(round(tail * LISTENER_RATE))])
    words = [word._replace(start=word.start + lead, end=word.end + lead) for word in SPEAKER.plan(text)]
    return Recording(samples, words, "en-US")


HELLO = recording("Hello there my friend")


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32_767).astype("<i2").tobytes()


def progress(*recordings: Recording, request: RecognitionRequest = REQUEST) -> Progress:
    return Progress(RecordingSource(Library(recordings)), PROFILE, request, "en-US")


def feed(state: Progress, samples: np.ndarray, piece: float = 0.02) -> list[tuple[float, Hypothesis | SpeechActivity]]:
    """Feed in pieces and note how much audio had been fed when each event came."""
    data, size, events = pcm(samples), round(piece * LISTENER_RATE) * 2, []
    for start in range(0, len(data), size):
        fed = min(start + size, len(data)) / 2 / LISTENER_RATE
        events += [(fed, report.event) for report in state.audio(data[start : start + size])]
    return events


def text_of(interim: Hypothesis) -> str:
    return interim.text + interim.tail


def test_interims_follow_the_words_by_the_lag():
    interims = [(at, event) for at, event in feed(progress(HELLO), HELLO.samples) if isinstance(event, Hypothesis)]
    for word, said in zip(HELLO.words, ("Hello", "Hello there", "Hello there my"), strict=False):
        first = next(at for at, event in interims if not event.is_final and text_of(event) == said)
        assert word.end + 0.25 <= first + 0.011 <= word.end + 0.25 + 0.13


def test_interims_come_at_the_cadence_and_only_when_something_changed():
    interims = [
        (at, event)
        for at, event in feed(progress(HELLO), HELLO.samples)
        if isinstance(event, Hypothesis) and not event.is_final
    ]
    assert all(at * 10 == pytest.approx(round(at * 10), abs=1e-6) for at, _ in interims)
    shown = [(event.text, event.tail, event.stability) for _, event in interims]
    assert all(one != other for one, other in pairwise(shown))
    assert any(tail.startswith(" ") for _, tail, _ in shown)


def test_interims_only_on_request():
    state = progress(HELLO, request=RecognitionRequest(["en-US"], "chirp_3"))
    hypotheses = [event for _, event in feed(state, HELLO.samples) if isinstance(event, Hypothesis)]
    assert [event.is_final for event in hypotheses] == [True]


def test_final_comes_after_the_endpoint_of_silent_audio():
    events = feed(progress(HELLO), HELLO.samples)
    at, final = next((at, event) for at, event in events if isinstance(event, Hypothesis) and event.is_final)
    assert final.text == "Hello there my friend"
    assert HELLO.words[-1].end + 0.7 - 0.01 <= at <= HELLO.words[-1].end + 0.7 + 0.12
    assert final.end == pytest.approx(HELLO.words[-1].end, abs=0.03)
    assert final.language_code == "en-US"


@pytest.mark.parametrize(("endpointing", "factor"), [("standard", 1.0), ("short", 0.6), ("supershort", 0.3)])
def test_sensitivity_shortens_the_endpoint(endpointing, factor):
    state = progress(HELLO, request=RecognitionRequest(["en-US"], "chirp_3", endpointing=endpointing))
    at = next(at for at, event in feed(state, HELLO.samples) if isinstance(event, Hypothesis))
    assert at == pytest.approx(HELLO.words[-1].end + 0.7 * factor, abs=0.13)


def test_no_final_without_the_silence():
    end = round((HELLO.words[-1].end + 0.6) * LISTENER_RATE)
    events = feed(progress(HELLO), HELLO.samples[:end])
    assert not any(isinstance(event, Hypothesis) and event.is_final for _, event in events)


def test_the_final_is_due_the_same_time_after_the_speech_however_looking_falls():
    profile = ListenerProfile(interim_interval=0.1, endpoint=0.7, final_latency=0.15)
    for shift in (0.0, 0.03, 0.06):
        samples = np.concatenate([np.zeros(round(shift * LISTENER_RATE)), HELLO.samples])
        state = Progress(RecordingSource(Library([HELLO])), profile, REQUEST, "en-US")
        fed, size = 0, LISTENER_RATE // 50
        reports: list = []
        while not any(isinstance(report.event, Hypothesis) and report.event.is_final for report in reports):
            reports = state.audio(pcm(samples[fed : fed + size]))
            fed += size
        due = fed / LISTENER_RATE + reports[-1].delay
        assert due == pytest.approx(HELLO.words[-1].end + shift + 0.85, abs=0.031)


def test_activity_surrounds_speech():
    activities = [event for _, event in feed(progress(HELLO), HELLO.samples) if isinstance(event, SpeechActivity)]
    assert [event.kind for event in activities] == ["begin", "end"]
    assert activities[0].offset == pytest.approx(HELLO.words[0].start, abs=0.03)
    assert activities[1].offset == pytest.approx(HELLO.words[-1].end, abs=0.03)


def test_half_close_flushes_the_words_so_far():
    state = progress(HELLO)
    feed(state, HELLO.samples[: round((HELLO.words[1].end + 0.02) * LISTENER_RATE)])
    ((final, _),) = state.finish()
    assert isinstance(final, Hypothesis)
    assert (final.text, final.is_final) == ("Hello there", True)


def test_half_close_after_the_final_gives_nothing_more():
    state = progress(HELLO)
    feed(state, HELLO.samples)
    assert state.finish() == []


def test_a_short_word_just_before_half_close_is_heard():
    yes = recording("yes", tail=0.0)
    state = progress(HELLO, yes)
    feed(state, yes.samples[round(0.4 * LISTENER_RATE) :])
    ((final, _),) = state.finish()
    assert isinstance(final, Hypothesis)
    assert final.text == "yes"


def test_pauses_cut_portions_and_no_word_is_lost_or_doubled():
    one, other = recording("Tell me a", tail=1.4), recording("short story please", lead=0.0)
    finals = [
        event.text
        for _, event in feed(progress(one, other), np.concatenate([one.samples, other.samples]))
        if isinstance(event, Hypothesis) and event.is_final
    ]
    assert finals == ["Tell me a", "short story please"]


def test_pieces_of_audio_do_not_matter():
    one = feed(progress(HELLO), HELLO.samples, piece=0.01)
    other = feed(progress(HELLO), HELLO.samples, piece=0.73)
    assert [event for _, event in one] == [event for _, event in other]


async def recognize(listener: ScriptedListener, samples: np.ndarray, request: RecognitionRequest = REQUEST):
    stream = listener.recognize(request)
    await stream.audio(pcm(samples))
    await stream.finish()
    return [event async for event in stream.results()]


def burst(seconds: float) -> np.ndarray:
    time = np.arange(round(seconds * LISTENER_RATE)) / LISTENER_RATE
    return np.concatenate([0.2 * np.sin(2 * np.pi * 200 * time), np.zeros(LISTENER_RATE)])


async def test_utterances_are_handed_out_in_order_over_streams():
    listener = ScriptedListener(
        PROFILE, utterances=[Utterance("one two"), Utterance("three", "ko-KR"), Utterance("four")]
    )
    events = await recognize(listener, np.concatenate([burst(1.0), burst(0.5)]))
    finals = [event for event in events if isinstance(event, Hypothesis) and event.is_final]
    assert [(final.text, final.language_code) for final in finals] == [("one two", "en-US"), ("three", "ko-KR")]
    events = await recognize(listener, burst(0.5)[: LISTENER_RATE // 2])
    assert [event.text for event in events if isinstance(event, Hypothesis)][-1] == "four"
    again = [event for event in await recognize(listener, burst(0.5)) if isinstance(event, Hypothesis)]
    assert again[-1].text == "one two"


async def test_clicks_and_silence_use_up_no_utterance():
    listener = ScriptedListener(PROFILE, utterances=[Utterance("one")])
    assert await recognize(listener, np.zeros(LISTENER_RATE * 2)) == []
    assert await recognize(listener, burst(0.04)) == []
    assert await recognize(listener, burst(0.5)) != []


async def test_detected_language_is_told_when_the_client_leaves_it_open():
    listener = ScriptedListener(PROFILE, utterances=[Utterance("one")], language_code="ja-JP")
    events = await recognize(listener, burst(0.5), RecognitionRequest(["auto"], "chirp_3"))
    assert [event.language_code for event in events if isinstance(event, Hypothesis)] == ["ja-JP"]


async def test_final_and_flush_take_their_time():
    profile = ListenerProfile(interim_interval=0.1, endpoint=0.3, final_latency=0.05, flush=0.15)
    loop = asyncio.get_running_loop()
    listener = ScriptedListener(profile, utterances=[Utterance("one"), Utterance("two")])
    stream = listener.recognize(RecognitionRequest(["en-US"], "chirp_3"))
    results = stream.results()
    began = loop.time()
    await stream.audio(pcm(burst(0.5)))
    assert isinstance(await anext(results), SpeechActivity)
    assert isinstance(await anext(results), SpeechActivity)
    assert (await anext(results)).text == "one"
    assert loop.time() - began >= 0.05
    await stream.audio(pcm(burst(0.5)[: LISTENER_RATE // 2]))
    began = loop.time()
    await stream.finish()
    rest = [event async for event in results if isinstance(event, Hypothesis)]
    assert [event.text for event in rest] == ["two"]
    assert loop.time() - began >= 0.15
