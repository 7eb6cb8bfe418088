"""Text-to-Speech v1, driven by Google's own client library."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator

import grpc
import numpy as np
import pytest
import soundfile
from google.api_core.exceptions import Aborted, InvalidArgument, ResourceExhausted, ServiceUnavailable
from google.cloud import texttospeech_v1 as tts
from google.cloud.texttospeech_v1.services.text_to_speech.transports import (
    TextToSpeechGrpcAsyncIOTransport,
    TextToSpeechGrpcTransport,
)

from halfcascade.emulator.faults import Fault
from halfcascade.emulator.limits import TtsLimits
from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.minds.scripted import ScriptedMind
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import NetworkProfile, Profile, SpeakerProfile
from halfcascade.emulator.server import GoogleEmulator
from tests.emulator.tts.requests import VOICE, batch_request, config_request, markup_request, text_request

TEXT = "Hello there, my friend. How are you?"


def client(google: GoogleEmulator) -> tts.TextToSpeechAsyncClient:
    channel = grpc.aio.insecure_channel(google.env["TEXTTOSPEECH_EMULATOR_HOST"])
    return tts.TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel))


async def stream(*requests, hold: bool = False) -> AsyncIterator:
    for request in requests:
        yield request
    if hold:
        await asyncio.Event().wait()


async def synthesize(google: GoogleEmulator, *requests, hold: bool = False) -> list[bytes]:
    responses = await client(google).streaming_synthesize(stream(*requests, hold=hold))
    return [response.audio_content async for response in responses]


def planned_bytes(google: GoogleEmulator, *texts: str, rate: float = 1.0) -> int:
    assert isinstance(google.mind, ScriptedMind) and isinstance(google.mind.speaker, ScriptedSpeaker)
    return sum(2 * round(google.mind.speaker.schedule(text, rate).duration * SPEAKER_RATE) for text in texts)


async def test_text_becomes_headerless_24_khz_audio_in_chunks(google_emulator):
    chunks = await synthesize(google_emulator, config_request(), text_request("Hello there."), text_request(TEXT))
    assert {len(chunk) for chunk in chunks[:3]} == {11_520}
    audio = b"".join(chunks)
    assert len(audio) == planned_bytes(google_emulator, "Hello there.", TEXT)
    words = google_emulator.mind.speaker.plan("Hello there.")
    samples = np.frombuffer(audio, "<i2").astype(float)
    for word in words:
        assert np.abs(samples[round(word.start * SPEAKER_RATE) : round(word.end * SPEAKER_RATE)]).mean() > 1_000


async def test_speaking_rate_is_honoured(google_emulator):
    audio = b"".join(await synthesize(google_emulator, config_request(speaking_rate=2.0), text_request(TEXT)))
    assert len(audio) == planned_bytes(google_emulator, TEXT, rate=2.0)


async def test_pause_tags_lengthen_markup(google_emulator):
    plain = await synthesize(google_emulator, config_request(), markup_request("One. Two."))
    paused = await synthesize(google_emulator, config_request(), markup_request("One. [pause long] Two."))
    assert sum(map(len, paused)) - sum(map(len, plain)) == 2 * SPEAKER_RATE


def test_the_synchronous_client_works_too():
    """Google's own sample: a generator of one config and several inputs."""

    async def run() -> list[bytes]:
        async with GoogleEmulator() as google:
            return await asyncio.to_thread(sample, google.env["TEXTTOSPEECH_EMULATOR_HOST"])

    def sample(host: str) -> list[bytes]:
        with grpc.insecure_channel(host) as channel:
            sync_client = tts.TextToSpeechClient(transport=TextToSpeechGrpcTransport(channel=channel))
            requests = [config_request(), text_request("Hello. "), text_request("World.")]
            return [response.audio_content for response in sync_client.streaming_synthesize(iter(requests))]

    assert sum(map(len, asyncio.run(run()))) > 2 * SPEAKER_RATE


async def test_batch_synthesis(google_emulator):
    response = await client(google_emulator).synthesize_speech(batch_request(TEXT))
    with wave.open(io.BytesIO(response.audio_content)) as audio:
        assert audio.getnframes() * 2 == planned_bytes(google_emulator, TEXT)
    response = await client(google_emulator).synthesize_speech(batch_request(TEXT, audio_encoding="MP3"))
    samples, rate = soundfile.read(io.BytesIO(response.audio_content))
    assert len(samples) / rate * 2 * SPEAKER_RATE == pytest.approx(planned_bytes(google_emulator, TEXT), rel=0.05)


async def test_list_voices(google_emulator):
    response = await client(google_emulator).list_voices(language_code="ko-KR")
    assert len(response.voices) == 38
    assert "ko-KR-Chirp3-HD-Kore" in [voice.name for voice in response.voices]


async def test_documented_error_texts_arrive_with_their_codes(google_emulator):
    with pytest.raises(InvalidArgument, match="400 Currently, only Chirp 3: HD voices are supported for streaming"):
        await synthesize(google_emulator, config_request("en-US-Neural2-C"), hold=True)
    with pytest.raises(InvalidArgument, match="doesn't match the voice"):
        await synthesize(google_emulator, config_request(VOICE, "ko-KR"), hold=True)
    with pytest.raises(InvalidArgument, match="longer than the limit of 5000 bytes"):
        await client(google_emulator).synthesize_speech(batch_request("x" * 5_001))


async def test_inactivity_under_a_fast_clock(google_emulator_factory):
    google = await google_emulator_factory(clock_scale=50)
    with pytest.raises(Aborted, match="409 Stream aborted due to long duration elapsed without input sent"):
        await synthesize(google, config_request(), text_request(TEXT), hold=True)


async def test_drop_in_mid_audio(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("tts", "drop", after_bytes=30_000)])
    received = []
    responses = await client(google).streaming_synthesize(stream(config_request(), text_request(TEXT)))
    with pytest.raises(ServiceUnavailable):
        async for response in responses:
            received.append(len(response.audio_content))
    assert sum(received) == 34_560  # The chunk that reached the limit, and nothing more.
    whole = await synthesize(google, config_request(), text_request(TEXT))
    assert sum(map(len, whole)) == planned_bytes(google, TEXT)


async def test_quota_error(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("tts", "error", code="RESOURCE_EXHAUSTED", times=2)])
    with pytest.raises(ResourceExhausted, match="429 Resource has been exhausted"):
        await synthesize(google, config_request(), hold=True)
    with pytest.raises(ResourceExhausted):
        await client(google).synthesize_speech(batch_request())
    assert await synthesize(google, config_request(), text_request(TEXT))


async def test_requests_per_minute(google_emulator_factory):
    google = await google_emulator_factory(tts_limits=TtsLimits(requests_per_minute=2))
    await synthesize(google, config_request(), text_request(TEXT))
    await client(google).synthesize_speech(batch_request())
    with pytest.raises(ResourceExhausted):
        await synthesize(google, config_request(), hold=True)
    with pytest.raises(ResourceExhausted):
        await client(google).synthesize_speech(batch_request())


async def test_streams_at_once(google_emulator_factory):
    google = await google_emulator_factory(tts_limits=TtsLimits(sessions=1))
    holding = asyncio.create_task(synthesize(google, config_request(), hold=True))
    async with asyncio.timeout(20):
        await google.log.wait("tts", "config")
        with pytest.raises(ResourceExhausted):
            await synthesize(google, config_request(), hold=True)
        holding.cancel()
        await google.log.wait("tts", "close")
    assert await synthesize(google, config_request(), text_request(TEXT))


async def test_error_after_a_number_of_inputs(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("tts", "error", code="ABORTED", message="gone", after_text=2)])
    assert await synthesize(google, config_request(), text_request(TEXT)) != []
    google.faults.add(Fault("tts", "error", code="ABORTED", message="gone", after_text=2))
    with pytest.raises(Aborted, match="409 gone"):
        await synthesize(google, config_request(), text_request(TEXT), text_request(TEXT))


async def test_stalled_first_audio(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("tts", "stall", after_text=1, seconds=0.3)])
    began = asyncio.get_running_loop().time()
    chunks = await synthesize(google, config_request(), text_request(TEXT))
    assert asyncio.get_running_loop().time() - began >= 0.3
    assert sum(map(len, chunks)) == planned_bytes(google, TEXT)


async def test_latencies_follow_the_profile(google_emulator_factory):
    profile = Profile("slow", NetworkProfile(0.05), speaker=SpeakerProfile(first_audio=0.1, speed=20.0))
    google = await google_emulator_factory(profile=profile)
    began = asyncio.get_running_loop().time()
    responses = await client(google).streaming_synthesize(stream(config_request(), text_request(TEXT)))
    times = [asyncio.get_running_loop().time() - began async for _ in responses]
    assert times[0] >= 0.2
    assert times[-1] >= 0.2 + (len(times) - 1) * 0.24 / 20 - 0.002


async def test_log_tells_what_was_received(google_emulator):
    await synthesize(google_emulator, config_request(), text_request("Hello."), markup_request("One. [pause] Two."))
    texts = google_emulator.log.find("tts", "text")
    assert [(entry.data["text"], entry.data["kind"]) for entry in texts] == [
        ("Hello.", "text"),
        ("One. [pause] Two.", "markup"),
    ]
    (config,) = google_emulator.log.find("tts", "config")
    assert config.data["voice"] == VOICE
    assert sum(entry.data["bytes"] for entry in google_emulator.log.find("tts", "speech")) > 0
    assert google_emulator.log.find("tts", "close")[0].data["outcome"] == "OK"
