"""Speech-to-Text v2, driven by Google's own client library."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Iterable, Iterator

import grpc
import numpy as np
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import (
    Aborted,
    InvalidArgument,
    ResourceExhausted,
    ServiceUnavailable,
)
from google.auth.credentials import AnonymousCredentials
from google.cloud import speech_v2
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport, SpeechGrpcTransport

from halfcascade.emulator.faults import Fault
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.profiles import ListenerProfile, NetworkProfile, Profile, SpeakerProfile, ThinkerProfile
from halfcascade.emulator.server import GoogleEmulator
from tests.emulator.speech.requests import audio_request, config_request, recognition_config, recognizer

RATE = 16_000
SPEECH = (6_000 * np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE)).astype("<i2").tobytes()
SILENCE = bytes(2 * RATE)
Events = speech_v2.StreamingRecognizeResponse.SpeechEventType


def client(google: GoogleEmulator) -> speech_v2.SpeechAsyncClient:
    channel = grpc.aio.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])
    return speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))


def pieces(audio: bytes, size: int = 6_400) -> Iterator[bytes]:
    return (audio[start : start + size] for start in range(0, len(audio), size))


async def stream(requests: Iterable, *, hold: asyncio.Event | None = None) -> AsyncIterator:
    for request in requests:
        yield request
    if hold is not None:
        await hold.wait()


async def recognize(google: GoogleEmulator, config, audio: bytes = b"", *, hold: bool = False) -> list:
    """Send a config and audio; half-close at the end unless the stream shall be held open.

    Where an error is expected the stream is held open after the message that causes it: gRPC's asyncio client answers a
    send that crosses the server's error with an INTERNAL of its own.
    """
    requests = [config, *(audio_request(piece) for piece in pieces(audio))]
    responses = await client(google).streaming_recognize(stream(requests, hold=asyncio.Event() if hold else None))
    return [response async for response in responses]


def finals(responses: Iterable) -> list[str]:
    return [
        result.alternatives[0].transcript for response in responses for result in response.results if result.is_final
    ]


async def test_words_come_back_as_interims_and_final(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello there"]})
    responses = await recognize(google, config_request(interim_results=True), SPEECH + SILENCE)
    assert finals(responses) == ["hello there"]
    assert not responses[0].results[0].is_final
    final = responses[-1]
    assert final.metadata.request_id
    assert final.metadata.total_billed_duration.total_seconds() == 2  # proto-plus makes it a timedelta
    assert final.results[0].language_code == "en-US"
    assert final.results[0].result_end_offset.total_seconds() == pytest.approx(1.0, abs=0.05)


async def test_finals_only_by_default(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello"]})
    responses = await recognize(google, config_request(), SPEECH + SILENCE)
    assert [response.results[0].is_final for response in responses] == [True]


async def test_half_close_flushes_what_silence_has_not_closed(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello"]})
    assert finals(await recognize(google, config_request(), SPEECH)) == ["hello"]


async def test_voice_activity_events(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello"]})
    responses = await recognize(google, config_request(enable_voice_activity_events=True), SPEECH + SILENCE)
    kinds = [response.speech_event_type for response in responses]
    assert kinds[:2] == [Events.SPEECH_ACTIVITY_BEGIN, Events.SPEECH_ACTIVITY_END]
    assert finals(responses) == ["hello"]


def test_the_synchronous_client_works_too(google_emulator_factory):
    """Google's own sample: a plain iterator of requests, half-closed at its end."""

    async def run() -> list:
        async with GoogleEmulator(scenario={"utterances": ["hello"]}) as google:
            return await asyncio.to_thread(sample, google.env["SPEECH_EMULATOR_HOST"])

    def sample(host: str) -> list:
        with grpc.insecure_channel(host) as channel:
            sync_client = speech_v2.SpeechClient(transport=SpeechGrpcTransport(channel=channel))
            requests = [config_request(), *(audio_request(piece) for piece in pieces(SPEECH))]
            return list(sync_client.streaming_recognize(requests=iter(requests)))

    assert finals(asyncio.run(run())) == ["hello"]


async def test_recognize_whole_files(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello there"]})
    file = io.BytesIO()
    with wave.open(file, "wb") as audio:
        audio.setparams((1, 2, RATE, 0, "NONE", ""))
        audio.writeframes(SPEECH + SILENCE)
    config = recognition_config(
        explicit_decoding_config=None, auto_decoding_config=speech_v2.AutoDetectDecodingConfig()
    )
    request = speech_v2.RecognizeRequest(recognizer=recognizer(), config=config, content=file.getvalue())
    response = await client(google).recognize(request)
    assert [result.alternatives[0].transcript for result in response.results] == ["hello there"]
    assert response.metadata.total_billed_duration.total_seconds() == 2  # type: ignore[attr-defined]  # proto-plus makes it a timedelta


async def test_recognize_refuses_more_than_a_minute(google_emulator):
    request = speech_v2.RecognizeRequest(
        recognizer=recognizer(), config=recognition_config(), content=bytes(2 * RATE * 61)
    )
    with pytest.raises(InvalidArgument, match="maximum of 60 seconds"):
        await client(google_emulator).recognize(request)


async def test_documented_error_texts_arrive_with_their_codes(google_emulator):
    with pytest.raises(InvalidArgument, match='400 The model "chirp_3" does not exist in the location named "global"'):
        await recognize(google_emulator, config_request("global"), hold=True)
    with pytest.raises(InvalidArgument, match=r"maximum of 25600 bytes\. Received audio of 25602 bytes instead"):
        requests = [config_request(), audio_request(bytes(25_602))]
        async for _ in await client(google_emulator).streaming_recognize(stream(requests, hold=asyncio.Event())):
            pass


async def test_five_minute_limit(google_emulator_factory):
    google = await google_emulator_factory(speech_limits=SpeechLimits(max_duration=0.2))
    with pytest.raises(Aborted, match="409 Max duration of 5 minutes reached for stream"):
        await recognize(google, config_request(), SPEECH, hold=True)


@pytest.mark.parametrize("audio", [b"", SPEECH])
async def test_idle_limit_under_a_fast_clock(google_emulator_factory, audio):
    google = await google_emulator_factory(clock_scale=50)
    with pytest.raises(Aborted, match="409 Stream timed out after receiving no more client requests"):
        await recognize(google, config_request(), audio, hold=True)


async def test_methods_that_are_not_emulated_say_so(google_emulator):
    channel = grpc.aio.insecure_channel(google_emulator.env["SPEECH_EMULATOR_HOST"])
    call = channel.unary_unary("/google.cloud.speech.v2.Speech/Sing")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"")
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_drop_after_bytes_hits_one_stream(google_emulator_factory):
    google = await google_emulator_factory(
        scenario={"utterances": ["hello", "again"]}, faults=[Fault("speech", "drop", after_bytes=len(SPEECH))]
    )
    with pytest.raises(ServiceUnavailable):
        await recognize(google, config_request(), SPEECH, hold=True)
    assert finals(await recognize(google, config_request(), SPEECH)) == ["hello"]


async def test_drop_by_time(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("speech", "drop", at=0.05)])
    with pytest.raises(ServiceUnavailable):
        await recognize(google, config_request(), SPEECH, hold=True)


async def test_errors_any_number_of_times(google_emulator_factory):
    google = await google_emulator_factory(
        faults=[Fault("speech", "error", times=2), Fault("speech", "error", code="RESOURCE_EXHAUSTED", skip=2)]
    )
    for expected in (ServiceUnavailable, ServiceUnavailable, ResourceExhausted):
        with pytest.raises(expected):
            await recognize(google, config_request(), hold=True)
    assert finals(await recognize(google, config_request(), SPEECH)) == ["utterance 1"]


async def test_stall_holds_results_back(google_emulator_factory):
    google = await google_emulator_factory(
        scenario={"utterances": ["hello"]}, faults=[Fault("speech", "stall", seconds=0.3)]
    )
    began = asyncio.get_running_loop().time()
    assert finals(await recognize(google, config_request(), SPEECH)) == ["hello"]
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_mute_leaves_the_stream_open(google_emulator_factory):
    google = await google_emulator_factory(
        scenario={"utterances": ["hello"]}, faults=[Fault("speech", "mute")], clock_scale=1_000
    )
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await recognize(google, config_request(), SPEECH)


async def test_network_delays_both_ways_and_keeps_order(google_emulator_factory):
    profile = Profile(
        "far",
        NetworkProfile(one_way=0.1),
        ListenerProfile(interim_interval=0.1),
        ThinkerProfile(),
        SpeakerProfile(),
    )
    google = await google_emulator_factory(profile=profile, scenario={"utterances": ["a b c d e f"]})
    began = asyncio.get_running_loop().time()
    responses = await recognize(google, config_request(interim_results=True), SPEECH * 2)
    assert asyncio.get_running_loop().time() - began >= 0.2
    shown = ["".join(result.alternatives[0].transcript for result in response.results) for response in responses]
    assert shown[-1] == "a b c d e f"
    assert [len(text) for text in shown] == sorted(len(text) for text in shown)


async def test_log_tells_what_was_received(google_emulator_factory):
    google = await google_emulator_factory(scenario={"utterances": ["hello"]})
    await recognize(google, config_request(), SPEECH)
    (number,) = google.log.streams("speech")
    events = [entry.event for entry in google.log.find("speech", stream=number)]
    assert events[:2] == ["open", "config"]
    assert events[-3:] == ["half_close", "result", "close"]
    assert sum(entry.data["bytes"] for entry in google.log.find("speech", "audio")) == len(SPEECH)
    (config,) = google.log.find("speech", "config")
    assert (config.data["model"], config.data["languages"]) == ("chirp_3", ["en-US"])
    (result,) = google.log.find("speech", "result")
    assert result.data == {"texts": ["hello"], "is_final": True}


async def test_client_that_goes_away_is_noticed(google_emulator):
    task = asyncio.create_task(recognize(google_emulator, config_request(), SPEECH, hold=True))
    async with asyncio.timeout(20):
        await google_emulator.log.wait("speech", "audio")
        task.cancel()
        close = await google_emulator.log.wait("speech", "close")
    assert close.data["outcome"] == "cancelled"


async def test_a_client_made_the_documented_way_for_emulators(google_emulator):
    """Plain ``api_endpoint`` needs TLS; emulator custom is an insecure channel, and a wrong port is one clear error."""
    options = ClientOptions(api_endpoint=google_emulator.env["SPEECH_EMULATOR_HOST"])
    secure = speech_v2.SpeechAsyncClient(credentials=AnonymousCredentials(), client_options=options)
    with pytest.raises(ServiceUnavailable):
        request = speech_v2.RecognizeRequest(recognizer=recognizer(), config=recognition_config(), content=b"")
        await secure.recognize(request, timeout=20.0, retry=None)
