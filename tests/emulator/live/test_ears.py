"""A microphone on a Live session: what is heard, when it is answered, and how it interrupts."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.live.activity import ActivityDetector, ActivitySettings
from halfcascade.emulator.live.ears import decoded
from halfcascade.emulator.live.errors import Refusal
from halfcascade.emulator.minds.base import Mind
from halfcascade.emulator.minds.scripted import create_scripted_mind, load_scenario
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import Profile, SpeakerProfile, ThinkerProfile
from tests.emulator.live.conftest import Serve
from tests.emulator.live.test_server import Client, receive, transcript, until

MODELS = [
    "gemini-3.8-live",
    "gemini-3.8-live-extended-thinking",
    "gemini-3.1-flash-live-preview",
    "gemini-2.5-flash-native-audio-latest",
]
RATE = 16_000
SCENARIO = {"utterances": ["what time is it", "stop please"], "default_reply": "You said: {user}"}


def tone(seconds: float, rate: int = RATE, level: float = 0.2) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return (np.sin(2 * np.pi * 220 * time) * level * 32_767).astype("<i2").tobytes()


def hush(seconds: float, rate: int = RATE) -> bytes:
    return bytes(2 * round(seconds * rate))


def mind(scenario: Any = SCENARIO, profile: Profile | None = None) -> Mind:
    return create_scripted_mind(load_scenario(scenario), profile or Profile())


def config(model: str, **more: Any) -> types.LiveConnectConfig:
    thinking = {"thinking_config": {"thinking_level": "LOW"}} if "extended" in model else {}
    return types.LiveConnectConfig(input_audio_transcription={}, output_audio_transcription={}, **{**thinking, **more})


async def speak(session: Any, pcm: bytes, rate: int = RATE, step: float = 0.1) -> None:
    size = 2 * round(step * rate)
    for start in range(0, len(pcm), size):
        blob = types.Blob(data=pcm[start : start + size], mime_type=f"audio/pcm;rate={rate}")
        await session.send_realtime_input(audio=blob)


def heard(messages: list[types.LiveServerMessage]) -> str:
    contents = [message.server_content for message in messages if message.server_content]
    return "".join(c.input_transcription.text or "" for c in contents if c.input_transcription)


@pytest.mark.parametrize("model", MODELS)
async def test_a_spoken_turn_is_transcribed_and_answered_aloud(serve: Serve, client: Client, model: str) -> None:
    await serve(mind=mind())
    async with client().aio.live.connect(model=model, config=config(model)) as session:
        for said in SCENARIO["utterances"]:
            await speak(session, tone(1.5) + hush(0.7))
            messages = await receive(session)
            assert heard(messages) == said
            assert transcript(messages) == f"You said: {said}"
            audio = b"".join(message.data for message in messages if message.data)
            samples = np.frombuffer(audio, "<i2")
            assert len(samples) / 24_000 == pytest.approx(len(f"You said: {said}") / 15, abs=0.05)
            assert np.abs(samples).max() > 3_000
            usage = messages[-1].usage_metadata
            assert usage is not None
            assert any(detail.modality == "AUDIO" for detail in usage.prompt_tokens_details or [])


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
async def test_any_sample_rate_is_heard(serve: Serve, client: Client, rate: int) -> None:
    await serve(mind=mind())
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        await speak(session, tone(1.5, rate) + hush(0.8, rate), rate)
        assert heard(await receive(session)) == "what time is it"


async def test_the_end_of_the_stream_ends_the_turn(serve: Serve, client: Client) -> None:
    await serve(mind=mind())
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        await speak(session, tone(1.5))
        await session.send_realtime_input(audio_stream_end=True)
        assert transcript(await receive(session)) == "You said: what time is it"


async def test_manual_activity(serve: Serve, client: Client) -> None:
    await serve(mind=mind())
    manual = {"automatic_activity_detection": {"disabled": True}}
    settings = config(MODELS[0], realtime_input_config=manual)
    async with client().aio.live.connect(model=MODELS[0], config=settings) as session:
        await speak(session, tone(1.0) + hush(1.0))  # Outside of any activity: nobody is meant.
        await session.send_realtime_input(activity_start=types.ActivityStart())
        # A pause that automatic detection would take for the end.
        await speak(session, tone(0.8) + hush(0.4) + tone(0.8))
        await session.send_realtime_input(activity_end=types.ActivityEnd())
        assert heard(await receive(session)) == "what time is it"


async def test_media_chunks_are_heard_by_old_models_only(serve: Serve, client: Client) -> None:
    await serve(mind=mind())

    async def send(session: Any) -> None:
        blob = types.Blob(data=tone(1.5) + hush(0.8), mime_type="audio/pcm;rate=16000")
        await session.send_realtime_input(media=blob)

    old, new = MODELS[3], MODELS[0]
    async with client().aio.live.connect(model=old, config=config(old)) as session:
        await send(session)
        assert heard(await receive(session)) == "what time is it"
    async with client().aio.live.connect(model=new, config=config(new)) as session:
        await send(session)
        await session.send_realtime_input(text="hello")
        assert transcript(await receive(session)) == "You said: hello"


async def test_a_voice_interrupts_the_model(serve: Serve, client: Client) -> None:
    profile = Profile(thinker=ThinkerProfile(chars_per_second=40, interrupt=0.05, barge_in=0.05))
    await serve(
        mind=mind({**SCENARIO, "replies": [{"match": "story", "text": "word " * 400}]}, profile), profile=profile
    )
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        await session.send_realtime_input(text="a story")
        await until(session, lambda message: message.data)
        await speak(session, tone(1.5) + hush(0.8))
        messages = await receive(session)
        assert any(m.server_content and m.server_content.interrupted for m in messages)
        assert not any(m.server_content and m.server_content.generation_complete for m in messages)
        assert transcript(await receive(session)).startswith("You said: what time is it")


async def test_activity_that_must_not_interrupt_waits_for_its_turn(serve: Serve, client: Client) -> None:
    profile = Profile(thinker=ThinkerProfile(chars_per_second=200))
    await serve(
        mind=mind({**SCENARIO, "replies": [{"match": "story", "text": "word " * 40}]}, profile), profile=profile
    )
    settings = config(MODELS[0], realtime_input_config={"activity_handling": "NO_INTERRUPTION"})
    async with client().aio.live.connect(model=MODELS[0], config=settings) as session:
        await session.send_realtime_input(text="a story")
        await until(session, lambda message: message.data)
        await speak(session, tone(1.5) + hush(0.8))
        messages = await receive(session)
        assert any(m.server_content and m.server_content.generation_complete for m in messages)
        assert transcript(await receive(session)) == "You said: what time is it"


async def test_noise_is_not_answered(serve: Serve, client: Client) -> None:
    await serve(mind=mind({"default_reply": "You said: {user}"}))
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        rng = np.random.default_rng(1)
        faint = (rng.standard_normal(RATE) * 30).astype("<i2").tobytes()
        click = hush(0.3) + tone(0.02, level=0.9) + hush(0.8)
        await speak(session, faint + click + faint)
        await session.send_realtime_input(text="hello")
        assert transcript(await receive(session)) == "You said: hello"


async def test_audio_in_the_conversation_is_understood(serve: Serve, client: Client) -> None:
    await serve(mind=mind())
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        blob = types.Blob(data=tone(1.5), mime_type="audio/pcm;rate=16000")
        parts = [types.Part(text="Answer this:"), types.Part(inline_data=blob)]
        await session.send_client_content(turns=types.Content(role="user", parts=parts))
        assert transcript(await receive(session)) == "You said: Answer this:what time is it"


async def test_video_is_counted(serve: Serve, client: Client) -> None:
    server = await serve(mind=mind())
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        for _ in range(3):
            await session.send_realtime_input(video=types.Blob(data=b"\xff\xd8\xff", mime_type="image/jpeg"))
        await session.send_realtime_input(text="what do you see")
        messages = await receive(session)
    usage = messages[-1].usage_metadata
    assert usage is not None
    assert [d.token_count for d in usage.prompt_tokens_details or [] if d.modality == "VIDEO"] == [3 * 258]
    async with asyncio.timeout(20):
        assert (await server.log.wait("live", "end")).data["video_frames"] == 3


class Parrot(ScriptedSpeaker):
    """A speaker that is not the scripted one, as a local mind's."""


class OtherSpeaker:
    """Speaks in its own time, like an engine in another process."""

    def __init__(self) -> None:
        self.inner = Parrot(SpeakerProfile())
        self.texts: list[str] = []

    def synthesize(self, request: Any) -> Any:
        synthesis = self.inner.synthesize(request)
        told, texts = synthesis.text, self.texts

        async def text(piece: str) -> None:
            texts.append(piece)
            await told(piece)

        synthesis.text = text  # type: ignore[method-assign, assignment]
        return synthesis


async def test_a_speaker_of_the_mind_is_heard(serve: Serve, client: Client) -> None:
    speaker = OtherSpeaker()
    scripted = mind({"default_reply": "Well, here I am. And you said {user}."})
    await serve(mind=Mind(scripted.listener, scripted.thinker, speaker))
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        for text in ("one", "two"):
            await session.send_realtime_input(text=text)
            messages = await receive(session)
            said = f"Well, here I am. And you said {text}."
            assert transcript(messages) == said
            audio = b"".join(message.data for message in messages if message.data)
            assert len(audio) / 48_000 == pytest.approx(speaker.inner.schedule(said).duration, abs=0.1)
    # Whole sentences, not the pieces of the reply.
    assert speaker.texts[:2] == ["Well, here I am.", "And you said one."]


class Dying:
    """A listener that breaks."""

    def recognize(self, request: Any) -> Any:
        return self

    async def audio(self, pcm: bytes) -> None: ...

    async def finish(self) -> None: ...

    async def results(self) -> AsyncIterator[Any]:
        raise RuntimeError("the engine is gone")
        yield

    async def close(self) -> None: ...


async def test_a_listener_that_dies_ends_the_session_like_googles(serve: Serve, client: Client) -> None:
    scripted = mind()
    await serve(mind=Mind(Dying(), scripted.thinker, scripted.speaker))
    async with client().aio.live.connect(model=MODELS[0], config=config(MODELS[0])) as session:
        await speak(session, tone(1.0))
        with pytest.raises(Exception, match=r"1011 .*Internal error encountered"):
            await receive(session)


@given(cuts=st.lists(st.integers(1, 9_000), max_size=30), quiet=st.floats(0.3, 0.9))
@settings(max_examples=30, deadline=None)
def test_however_audio_is_cut_the_same_activity_is_found(cuts: list[int], quiet: float) -> None:
    pcm = hush(0.5) + tone(0.7) + hush(quiet) + tone(0.6) + hush(1.0)
    whole = ActivityDetector(ActivitySettings()).feed(pcm)
    detector = ActivityDetector(ActivitySettings())
    found, position = [], 0
    for cut in cuts:
        found += detector.feed(pcm[position : position + cut])
        position += cut
    found += detector.feed(pcm[position:])
    assert found == whole
    assert whole == ["begin", "end"] * (2 if quiet >= 0.52 else 1) or 0.48 < quiet < 0.52


@pytest.mark.parametrize("end", [100, 500, 1500])
def test_a_client_decides_how_long_a_pause_is(end: int) -> None:
    asked = ActivitySettings.parse({"automaticActivityDetection": {"silenceDurationMs": end}})
    detector = ActivityDetector(asked)
    assert detector.feed(hush(0.2) + tone(0.5)) == ["begin"]
    assert detector.feed(hush(end / 1000 - 0.04)) == []
    assert detector.feed(hush(0.08)) == ["end"]


@given(st.binary(max_size=50))
def test_both_base64_alphabets_are_read(data: bytes) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        assert decoded({"data": encode(data).decode()}, "x") == data
        assert decoded({"data": encode(data).decode().rstrip("=")}, "x") == data


@pytest.mark.parametrize("data", ["!!!", "a", "ä", "\x00"])
def test_other_text_is_refused(data: str) -> None:
    with pytest.raises(Refusal, match="1007"):
        decoded({"data": data}, "x")
