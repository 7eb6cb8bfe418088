"""All versions and transports of Speech-to-Text, with Google's own clients."""

import asyncio
import importlib
import io
import json
import threading
import wave
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.api_core.client_options import ClientOptions
from google.api_core.exceptions import AlreadyExists, BadRequest, InvalidArgument, NotFound, OutOfRange
from google.auth.credentials import AnonymousCredentials
from google.cloud import speech_v2

from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.server import GoogleEmulator
from tests.emulator.speech.test_server import RATE, SILENCE, SPEECH, pieces
from tests.emulator.test_generate import ask

SCENARIO = {"utterances": [{"text": "hello there", "alternatives": ["hello dare", "yellow hair"]}, "second"]}
V1 = ["v1", "v1p1beta1"]
PARENT = "projects/p/locations/us"


def sync_client(google: GoogleEmulator, version: str, kind: str = "SpeechClient") -> Any:
    module = importlib.import_module(f"google.cloud.speech_{version}")
    transports = importlib.import_module(f"google.cloud.speech_{version}.services.speech.transports")
    channel = grpc.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])
    return getattr(module, kind)(transport=transports.SpeechGrpcTransport(channel=channel))


def types(version: str) -> Any:
    return importlib.import_module(f"google.cloud.speech_{version}")


def config(version: str, **options: Any) -> Any:
    speech = types(version)
    known = {"encoding": "LINEAR16", "sample_rate_hertz": RATE, "language_code": "en-US"}
    return speech.RecognitionConfig(**{**known, **options})


def stream(google: GoogleEmulator, version: str, audio: list[bytes], settings: Any = None, **options: Any) -> list:
    speech = types(version)
    streaming = speech.StreamingRecognitionConfig(config=settings or config(version), **options)
    requests = (speech.StreamingRecognizeRequest(audio_content=piece) for piece in audio)
    return list(sync_client(google, version).streaming_recognize(streaming, requests, timeout=30))


@pytest.fixture
async def google(google_emulator_factory, tmp_path: Path) -> GoogleEmulator:
    return await google_emulator_factory(scenario=SCENARIO, buckets=tmp_path)


@pytest.mark.parametrize("version", V1)
async def test_streams_of_v1(google: GoogleEmulator, version: str) -> None:
    responses = await asyncio.to_thread(
        stream, google, version, [*pieces(SPEECH + SILENCE)], interim_results=True, enable_voice_activity_events=True
    )
    results = [result for response in responses for result in response.results]
    assert [r.alternatives[0].transcript for r in results if r.is_final] == ["hello there"]
    assert any(not result.is_final and result.stability > 0 for result in results)
    final = next(result for result in results if result.is_final)
    assert final.language_code == "en-us"
    assert final.result_end_time.total_seconds() == pytest.approx(1.0, abs=0.05)
    kinds = [response.speech_event_type.name for response in responses if response.speech_event_type]
    assert kinds == ["SPEECH_ACTIVITY_BEGIN", "SPEECH_ACTIVITY_END"]
    assert responses[-1].request_id
    assert responses[-1].total_billed_time.total_seconds() == 2


@pytest.mark.parametrize("version", V1)
async def test_v1_takes_a_whole_file_in_one_message(google: GoogleEmulator, version: str) -> None:
    (response,) = await asyncio.to_thread(stream, google, version, [SPEECH * 2])
    assert response.results[0].alternatives[0].transcript == "hello there"


async def test_a_single_utterance_of_v1_ends_the_stream(google: GoogleEmulator) -> None:
    def speak() -> list:
        speech, over = types("v1"), threading.Event()
        streaming = speech.StreamingRecognitionConfig(config=config("v1"), single_utterance=True)

        def requests() -> Any:
            for piece in pieces(SPEECH + SILENCE * 2):
                yield speech.StreamingRecognizeRequest(audio_content=piece)
            # A client that ended the stream first would have asked for the final itself.
            over.wait(20)

        try:
            return list(sync_client(google, "v1").streaming_recognize(streaming, requests(), timeout=30))
        finally:
            over.set()

    responses = await asyncio.to_thread(speak)
    events = [response.speech_event_type.name for response in responses]
    finals = [number for number, response in enumerate(responses) if response.results and response.results[0].is_final]
    assert events.count("END_OF_SINGLE_UTTERANCE") == 1
    assert finals and finals[-1] > events.index("END_OF_SINGLE_UTTERANCE")


async def test_the_limits_of_v1_have_their_own_words(google_emulator_factory) -> None:
    limits = SpeechLimits(max_duration=0.1, max_duration_v1=0.2, idle=0.1)
    google = await google_emulator_factory(speech_limits=limits)

    def hold() -> list:
        speech, held = types("v1"), asyncio.Event()
        streaming = speech.StreamingRecognitionConfig(config=config("v1"))

        def requests() -> Any:
            yield speech.StreamingRecognizeRequest(audio_content=SPEECH[:3_200])
            while not held.is_set():
                import time

                time.sleep(0.05)
                if keep:
                    yield speech.StreamingRecognizeRequest(audio_content=SPEECH[:3_200])

        try:
            return list(sync_client(google, "v1").streaming_recognize(streaming, requests(), timeout=30))
        finally:
            held.set()

    keep = True
    with pytest.raises(OutOfRange, match="Exceeded maximum allowed stream duration of 305 seconds"):
        await asyncio.to_thread(hold)
    keep = False
    with pytest.raises(OutOfRange, match="Audio Timeout Error"):
        await asyncio.to_thread(hold)


@pytest.mark.parametrize("version", V1)
async def test_batches_of_v1(google: GoogleEmulator, version: str) -> None:
    speech = types(version)
    settings = config(
        version, enable_word_time_offsets=True, enable_word_confidence=True, max_alternatives=2, model="video"
    )
    audio = speech.RecognitionAudio(content=SPEECH + SILENCE)
    response = await asyncio.to_thread(sync_client(google, version).recognize, config=settings, audio=audio)
    (result,) = response.results
    assert [reading.transcript for reading in result.alternatives] == ["hello there", "hello dare"]
    words = result.alternatives[0].words
    assert [word.word for word in words] == ["hello", "there"]
    assert 0 <= words[0].start_time.total_seconds() < words[0].end_time.total_seconds() <= 1.0
    assert words[0].confidence > 0.5
    assert response.total_billed_time.total_seconds() == 15


@pytest.mark.parametrize("version", V1)
async def test_long_recognition_of_v1(google: GoogleEmulator, version: str, tmp_path: Path) -> None:
    speech = types(version)
    (tmp_path / "bucket").mkdir()
    (tmp_path / "bucket" / "talk.wav").write_bytes(wav(SPEECH))
    settings = config(version, encoding="ENCODING_UNSPECIFIED")
    audio = speech.RecognitionAudio(uri="gs://bucket/talk.wav")
    client = sync_client(google, version)
    operation = await asyncio.to_thread(client.long_running_recognize, config=settings, audio=audio)
    response = await asyncio.to_thread(operation.result, timeout=30)
    assert response.results[0].alternatives[0].transcript == "hello there"
    assert operation.metadata.uri == "gs://bucket/talk.wav"
    for uri, told in (
        ("gs://bucket/none.wav", NotFound),
        ("gs://../../etc/passwd", InvalidArgument),
        ("x", InvalidArgument),
    ):
        with pytest.raises(told):
            missing = speech.RecognitionAudio(uri=uri)
            await asyncio.to_thread(client.long_running_recognize, config=settings, audio=missing)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"sample_rate_hertz": 0}, "bad sample rate hertz"),
        ({"language_code": ""}, "bad language code"),
        ({"language_code": "english please"}, "bad language code"),
        ({"model": "nope"}, "Incorrect model specified"),
        ({"max_alternatives": 31}, "max_alternatives"),
        ({"encoding": "AMR"}, "AMR is not emulated"),
        ({"audio_channel_count": 99}, "bad audio channel count"),
    ],
)
async def test_bad_configs_of_v1(google: GoogleEmulator, options: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidArgument, match=told):
        await asyncio.to_thread(stream, google, "v1", [SPEECH[:3_200]], config("v1", **options))


def wav(pcm: bytes, channels: int = 1) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(RATE)
        writer.writeframes(pcm)
    return file.getvalue()


def two_channels() -> bytes:
    first = np.frombuffer(SPEECH + SILENCE * 2, "<i2")
    second = np.frombuffer(SILENCE * 2 + SPEECH, "<i2")
    return np.stack((first, second), axis=1).astype("<i2").tobytes()


async def test_channels_are_told_apart(google: GoogleEmulator) -> None:
    settings = config("v1", audio_channel_count=2, enable_separate_recognition_per_channel=True)
    responses = await asyncio.to_thread(stream, google, "v1", [*pieces(two_channels())], settings)
    results = [result for response in responses for result in response.results]
    assert [(r.channel_tag, r.alternatives[0].transcript) for r in results] == [(1, "hello there"), (2, "second")]
    features = speech_v2.RecognitionFeatures(multi_channel_mode="SEPARATE_RECOGNITION_PER_CHANNEL")
    request = speech_v2.RecognizeRequest(
        recognizer=f"{PARENT}/recognizers/_",
        config=speech_v2.RecognitionConfig(
            auto_decoding_config={}, model="long", language_codes=["en-US"], features=features
        ),
        content=wav(two_channels(), channels=2),
    )
    response = await asyncio.to_thread(sync_client(google, "v2").recognize, request)
    assert sorted(result.channel_tag for result in response.results) == [1, 2]


# v2: what is stored


async def test_a_stored_recognizer_holds_the_config(google: GoogleEmulator) -> None:
    client = sync_client(google, "v2")

    def work() -> None:
        settings = {
            "auto_decoding_config": {},
            "model": "long",
            "language_codes": ["en-US"],
            "features": {"enable_word_time_offsets": True},
        }
        recognizer = speech_v2.Recognizer(default_recognition_config=settings)
        operation = client.create_recognizer(parent=PARENT, recognizer=recognizer, recognizer_id="mine")
        created = operation.result(timeout=30)
        assert created.name == f"{PARENT}/recognizers/mine"
        with pytest.raises(AlreadyExists):
            client.create_recognizer(parent=PARENT, recognizer=recognizer, recognizer_id="mine")
        assert [item.name for item in client.list_recognizers(parent=PARENT)] == [created.name]
        response = client.recognize(speech_v2.RecognizeRequest(recognizer=created.name, content=wav(SPEECH)))
        assert len(response.results[0].alternatives[0].words) == 2
        # The request's fields go over the recognizer's.
        over = speech_v2.RecognitionConfig(features=speech_v2.RecognitionFeatures(max_alternatives=2))
        response = client.recognize(
            speech_v2.RecognizeRequest(recognizer=created.name, config=over, content=wav(SPEECH))
        )
        assert not response.results[0].alternatives[0].words
        requests = iter([speech_v2.StreamingRecognizeRequest(recognizer=created.name, audio=wav(SPEECH)[:20_000])])
        responses = list(client.streaming_recognize(requests))
        assert responses[-1].results[0].is_final
        created.display_name = "Mine"
        updated = client.update_recognizer(recognizer=created, update_mask={"paths": ["display_name"]}).result(30)
        assert updated.display_name == "Mine"
        client.delete_recognizer(name=created.name).result(timeout=30)
        with pytest.raises(NotFound):
            client.get_recognizer(name=created.name)
        with pytest.raises(NotFound):
            client.recognize(speech_v2.RecognizeRequest(recognizer=created.name, content=wav(SPEECH)))
        client.undelete_recognizer(request={"name": created.name}).result(timeout=30)
        assert client.get_recognizer(name=created.name).display_name == "Mine"
        with pytest.raises(InvalidArgument):
            client.create_recognizer(parent=PARENT, recognizer=recognizer, recognizer_id="Not An Id")

    await asyncio.to_thread(work)


async def test_phrase_sets_and_classes_are_stored(google: GoogleEmulator) -> None:
    client = sync_client(google, "v2")

    def work() -> None:
        phrases = speech_v2.PhraseSet(phrases=[{"value": "Pipecat"}])
        made = client.create_phrase_set(parent=PARENT, phrase_set=phrases, phrase_set_id="names").result(30)
        assert client.get_phrase_set(name=made.name).phrases[0].value == "Pipecat"
        words = speech_v2.CustomClass(items=[{"value": "Fido"}])
        client.create_custom_class(parent=PARENT, custom_class=words, custom_class_id="dogs").result(30)
        assert [item.items[0].value for item in client.list_custom_classes(parent=PARENT)] == ["Fido"]
        assert len(list(client.list_phrase_sets(parent=PARENT))) == 1
        assert client.get_config(name=f"{PARENT}/config").name == f"{PARENT}/config"
        assert len(client.list_locations(request={"name": "projects/p"}).locations) > 10

    await asyncio.to_thread(work)


@pytest.mark.parametrize("inline", [True, False])
async def test_batch_recognition_of_files(google: GoogleEmulator, tmp_path: Path, inline: bool) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "a.wav").write_bytes(wav(SPEECH))
    output = {"inline_response_config": {}} if inline else {"gcs_output_config": {"uri": "gs://b/out"}}
    request = speech_v2.BatchRecognizeRequest(
        recognizer=f"{PARENT}/recognizers/_",
        config=speech_v2.RecognitionConfig(auto_decoding_config={}, model="chirp_3", language_codes=["en-US"]),
        files=[{"uri": "gs://b/a.wav"}, {"uri": "gs://b/missing.wav"}],
        recognition_output_config=output,
    )
    client = sync_client(google, "v2")
    operation = await asyncio.to_thread(client.batch_recognize, request)
    response = await asyncio.to_thread(operation.result, timeout=30)
    assert response.results["gs://b/missing.wav"].error.code == grpc.StatusCode.NOT_FOUND.value[0]
    found = response.results["gs://b/a.wav"]
    if inline:
        assert found.inline_result.transcript.results[0].alternatives[0].transcript == "hello there"
    else:
        written = tmp_path / found.cloud_storage_result.uri.removeprefix("gs://")
        assert json.loads(written.read_text())["results"][0]["alternatives"][0]["transcript"] == "hello there"


# HTTP


def rest_client(google: GoogleEmulator, version: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    module = types(version)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", google.env["SSL_CERT_FILE"])
    endpoint = google.env["GOOGLE_GEMINI_BASE_URL"].removeprefix("https://")
    options = ClientOptions(api_endpoint=endpoint)
    return module.SpeechClient(transport="rest", credentials=AnonymousCredentials(), client_options=options)


@pytest.mark.parametrize("version", ["v1", "v1p1beta1", "v2"])
async def test_the_rest_transport(google: GoogleEmulator, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    client = rest_client(google, version, monkeypatch)

    def work() -> Any:
        if version == "v2":
            settings = {"auto_decoding_config": {}, "model": "long", "language_codes": ["en-US"]}
            request = {"recognizer": f"{PARENT}/recognizers/_", "config": settings, "content": wav(SPEECH)}
            made = client.create_recognizer(
                parent=PARENT, recognizer={"model": "long"}, recognizer_id="by-rest"
            ).result(30)
            made.display_name = "Rest"
            assert client.update_recognizer(recognizer=made).result(30).display_name == "Rest"
            assert [item.name for item in client.list_recognizers(parent=PARENT)] == [made.name]
            client.delete_recognizer(name=made.name)
            return client.recognize(request)
        audio = {"content": SPEECH}
        long = client.long_running_recognize(config=config(version), audio=audio).result(timeout=30)
        assert long.results
        client.recognize(config=config(version), audio=audio)
        return client.recognize(config=config(version), audio=audio)

    response = await asyncio.to_thread(work)
    assert response.results[0].alternatives[0].transcript == "hello there"
    with pytest.raises(BadRequest):
        request = (
            {"recognizer": f"{PARENT}/recognizers/_"}
            if version == "v2"
            else {"config": config(version, language_code="")}
        )
        await asyncio.to_thread(client.recognize, request)


async def test_curl_like_requests(google: GoogleEmulator) -> None:
    import base64

    body = {
        "config": {"encoding": "LINEAR16", "sampleRateHertz": RATE, "languageCode": "en-US"},
        "audio": {"content": base64.b64encode(SPEECH).decode()},
    }
    status, text = await ask(google, "/v1/speech:recognize?key=k", body)
    assert status == 200
    assert json.loads(text)["results"][0]["alternatives"][0]["transcript"] == "hello there"
    for bad in ({"config": {"encoding": "NOPE"}}, {"config": 5}, {"what": 1}, {"audio": {"content": "!"}}):
        status, text = await ask(google, "/v1/speech:recognize?key=k", bad)
        assert (status, json.loads(text)["error"]["status"]) == (400, "INVALID_ARGUMENT")
    status, text = await ask(google, "/v1/operations/none?key=k")
    assert (status, json.loads(text)["error"]["status"]) == (404, "NOT_FOUND")


# Bad input


@pytest.mark.parametrize("host", ["SPEECH_EMULATOR_HOST", "TEXTTOSPEECH_EMULATOR_HOST"])
@pytest.mark.parametrize(
    "method",
    [
        "/google.cloud.speech.v2.Speech/StreamingRecognize",
        "/google.cloud.speech.v1.Speech/StreamingRecognize",
        "/google.cloud.texttospeech.v1.TextToSpeech/StreamingSynthesize",
        "/google.cloud.speech.v2.Speech/Recognize",
        "/google.cloud.texttospeech.v1beta1.TextToSpeech/SynthesizeSpeech",
    ],
)
async def test_what_is_no_protocol_buffer_is_refused_at_once(google: GoogleEmulator, host: str, method: str) -> None:
    channel = grpc.aio.insecure_channel(google.env[host])
    async with channel, asyncio.timeout(20):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if "Streaming" in method:
                call = channel.stream_stream(method)(iter([b"\xff" * 40]))
                _ = [message async for message in call]
            else:
                await channel.unary_unary(method)(b"\xff" * 40)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_an_unknown_version_is_served_as_the_newest(google: GoogleEmulator) -> None:
    request = speech_v2.ListRecognizersRequest(parent=PARENT)
    async with grpc.aio.insecure_channel(google.env["SPEECH_EMULATOR_HOST"]) as channel:
        answer = await channel.unary_unary("/google.cloud.speech.v3.Speech/ListRecognizers")(
            request._pb.SerializeToString()
        )
    assert answer == b""
