"""What carries a call, with minds that misbehave."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.api_core.exceptions import InternalServerError, InvalidArgument
from google.cloud import speech_v2
from google.cloud import texttospeech_v1 as tts
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.cloud.texttospeech_v1.services.text_to_speech.transports import TextToSpeechGrpcAsyncIOTransport

from halfcascade.emulator.minds.base import Hypothesis, Mind, MindError
from halfcascade.emulator.minds.scripted_thinker import ScriptedThinker
from halfcascade.emulator.server import GoogleEmulator
from tests.emulator.speech.requests import audio_request, config_request, recognition_config, recognizer
from tests.emulator.tts.requests import batch_request


class FakeRecognition:
    """Says what its error is, or else how much it was fed."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error
        self.fed = 0
        self.finished = asyncio.Event()
        self.closed = False

    async def audio(self, pcm: bytes) -> None:
        self.fed += len(pcm)

    async def finish(self) -> None:
        self.finished.set()

    async def results(self) -> AsyncIterator[Hypothesis]:
        if self.error:
            raise self.error
        await self.finished.wait()
        yield Hypothesis(str(self.fed), is_final=True, start=0.0, end=1.0)

    async def close(self) -> None:
        self.closed = True


class FakeListener:
    def __init__(self, *, at_once: Exception | None = None, later: Exception | None = None) -> None:
        self.at_once, self.later = at_once, later
        self.streams: list[FakeRecognition] = []

    def recognize(self, _request) -> FakeRecognition:
        if self.at_once:
            raise self.at_once
        self.streams.append(FakeRecognition(self.later))
        return self.streams[-1]


class FakeSpeaker:
    def synthesize(self, _request):
        raise MindError("No voice speaks this language: choose another.")


def speech_client(google: GoogleEmulator) -> speech_v2.SpeechAsyncClient:
    channel = grpc.aio.insecure_channel(google.env["SPEECH_EMULATOR_HOST"])
    return speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel))


async def requests(*messages, hold: bool = False) -> AsyncIterator:
    for message in messages:
        yield message
    if hold:
        await asyncio.Event().wait()


async def recognize(google: GoogleEmulator, *messages, hold: bool = False) -> list:
    responses = await speech_client(google).streaming_recognize(requests(*messages, hold=hold))
    return [response async for response in responses]


async def emulator(google_emulator_factory, listener: FakeListener) -> GoogleEmulator:
    return await google_emulator_factory(mind=Mind(listener, ScriptedThinker(), FakeSpeaker()))


async def test_all_audio_reaches_the_mind_before_it_is_finished_and_it_is_closed(google_emulator_factory):
    listener = FakeListener()
    google = await emulator(google_emulator_factory, listener)
    (response,) = await recognize(google, config_request(), *(audio_request(bytes(640)) for _ in range(100)))
    assert response.results[0].alternatives[0].transcript == "64000"
    assert listener.streams[0].closed


@pytest.mark.parametrize("when", ["at_once", "later"])
async def test_what_a_mind_cannot_do_is_told_to_the_client(google_emulator_factory, when):
    error = MindError("Only English is understood: choose en-US.")
    google = await emulator(google_emulator_factory, FakeListener(**{when: error}))
    with pytest.raises(InvalidArgument, match="400 Only English is understood"):
        await recognize(google, config_request(), hold=True)
    request = speech_v2.RecognizeRequest(recognizer=recognizer(), config=recognition_config(), content=bytes(3_200))
    with pytest.raises(InvalidArgument, match="400 Only English is understood"):
        await speech_client(google).recognize(request)


async def test_a_mind_that_breaks_is_an_internal_error_without_its_text(google_emulator_factory):
    google = await emulator(google_emulator_factory, FakeListener(later=RuntimeError("secret")))
    with pytest.raises(InternalServerError, match="Internal error encountered") as caught:
        await recognize(google, config_request(), hold=True)
    assert "secret" not in str(caught.value)


async def test_a_voice_that_cannot_speak_is_told_to_the_client(google_emulator_factory):
    google = await emulator(google_emulator_factory, FakeListener())
    channel = grpc.aio.insecure_channel(google.env["TEXTTOSPEECH_EMULATOR_HOST"])
    client = tts.TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel))
    with pytest.raises(InvalidArgument, match="400 No voice speaks this language"):
        await client.synthesize_speech(batch_request())


async def test_a_client_that_leaves_closes_the_minds_stream(google_emulator_factory):
    listener = FakeListener()
    google = await emulator(google_emulator_factory, listener)
    task = asyncio.create_task(recognize(google, config_request(), audio_request(bytes(640)), hold=True))
    async with asyncio.timeout(20):
        await google.log.wait("speech", "audio")
        task.cancel()
        await google.log.wait("speech", "close")
    assert listener.streams[0].closed
    assert not listener.streams[0].finished.is_set()
