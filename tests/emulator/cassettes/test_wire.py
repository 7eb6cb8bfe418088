"""The recorder between clients and an emulator that stands for Google, and its cassettes played to the same clients."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.cloud.speech_v2.types import cloud_speech as speech
from google.cloud.texttospeech_v1.types import cloud_tts as tts
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from halfcascade.emulator.cassettes.cassette import read_folder
from halfcascade.emulator.cassettes.player import Player
from halfcascade.emulator.cassettes.recorder import Recorder
from halfcascade.emulator.cassettes.upstream import Upstream, may_borrow
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault
from halfcascade.emulator.server import GoogleEmulator
from tests.emulator.speech.requests import audio_request, config_request

PATIENCE = 30.0
KEY = "AIzaSyA-1234567890_abcdefghijklmnopqrst"
TOKEN = "ya29.a0ARrdaM-a_token_that_opens_a_project"
SCENARIO = {
    "utterances": ["what time is it"],
    "replies": [
        {"match": "time", "calls": [{"name": "get_time", "args": {"zone": "Asia/Seoul"}}]},
        {"result_of": "get_time", "text": "It is noon."},
    ],
    "default_reply": f"You said {{user}}, and never tell {KEY}.",
}
SOUND = bytes(bytearray(number * 7 % 256 for number in range(16_000)))
LIVE = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
SETUP = {"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}, "sessionResumption": {}}}
Served = GoogleEmulator | Recorder | Player


async def live(served: Served) -> list[Any]:
    """Hold a session with a function call; give what came, and how it ended."""
    context = ssl.create_default_context(cafile=served.env["SSL_CERT_FILE"])
    came: list[Any] = []

    async def until(connection: Any, name: str) -> dict[str, Any]:
        while True:
            message = json.loads(await connection.recv())
            came.append(message)
            if name in message or name in message.get("serverContent", {}):
                return message

    async with connect(f"wss://127.0.0.1:{served.ports['live']}{LIVE}?key={KEY}", ssl=context) as connection:
        await connection.send(json.dumps(SETUP))
        await until(connection, "setupComplete")
        turns = [{"role": "user", "parts": [{"text": "what time is it"}]}]
        await connection.send(json.dumps({"clientContent": {"turns": turns, "turnComplete": True}}))
        call = await until(connection, "toolCall")
        called = call["toolCall"]["functionCalls"][0]
        answer = {"id": called["id"], "name": called["name"], "response": {"result": "noon"}}
        await connection.send(json.dumps({"toolResponse": {"functionResponses": [answer]}}))
        await until(connection, "turnComplete")
        await connection.send(json.dumps({"nonsense": 1}))
        with pytest.raises(ConnectionClosed) as caught:
            await until(connection, "never")
    assert caught.value.rcvd is not None
    return [*came, caught.value.rcvd.code, caught.value.rcvd.reason]


async def grpc_call(served: Served, api: str, path: str, requests: list[Any]) -> list[bytes]:
    address = served.env[f"{api}_EMULATOR_HOST"]
    async with grpc.aio.insecure_channel(address) as channel:
        metadata = (("authorization", f"Bearer {TOKEN}"), ("x-goog-request-params", "recognizer=projects/p"))
        data = iter([type(request).serialize(request) for request in requests])
        call = channel.stream_stream(path)(data, metadata=metadata, timeout=PATIENCE)
        return [response async for response in call]


async def recognition(served: Served) -> list[Any]:
    requests = [config_request(), *(audio_request(SOUND[at : at + 3200]) for at in range(0, 16_000, 3200))]
    responses = await grpc_call(served, "SPEECH", "/google.cloud.speech.v2.Speech/StreamingRecognize", requests)
    return [speech.StreamingRecognizeResponse.deserialize(response) for response in responses]


async def refused(served: Served) -> list[Any]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await grpc_call(served, "SPEECH", "/google.cloud.speech.v2.Speech/StreamingRecognize", [audio_request(b"\0\0")])
    return [caught.value.code(), caught.value.details()]


async def synthesis(served: Served) -> list[Any]:
    request = tts.SynthesizeSpeechRequest(
        input={"text": "hello"},
        voice={"language_code": "en-US", "name": "en-US-Chirp3-HD-Kore"},
        audio_config={"audio_encoding": "LINEAR16"},
    )
    path = "/google.cloud.texttospeech.v1.TextToSpeech/SynthesizeSpeech"
    return list(await grpc_call(served, "TEXTTOSPEECH", path, [request]))


async def operation(served: Served) -> list[Any]:
    """Its answer has no type of its own, so it is recorded as bytes."""
    path = "/google.cloud.speech.v2.Speech/CreateRecognizer"
    name = f"r-{type(served).__name__.lower()}" if isinstance(served, GoogleEmulator) else "r-1"
    request = speech.CreateRecognizerRequest(
        parent="projects/p/locations/global", recognizer_id=name, recognizer=speech.Recognizer(model="long")
    )
    return list(await grpc_call(served, "SPEECH", path, [request]))


async def http(served: Served) -> list[Any]:
    base = f"http://127.0.0.1:{served.ports['http']}"
    body = {"contents": [{"parts": [{"text": "hello"}], "role": "user"}]}
    headers = {"x-goog-api-key": KEY}
    async with httpx.AsyncClient(base_url=base, timeout=PATIENCE, headers=headers) as client:
        model = "/v1beta/models/gemini-2.5-flash"
        whole = await client.post(f"{model}:generateContent", json=body)
        streamed = await client.post(f"{model}:streamGenerateContent?alt=sse", json=body)
        voices = await client.get("/v1/voices", params={"languageCode": "ko-KR", "key": KEY})
        wrong = await client.post(f"{model}:generateContent", content=b"{")
    assert streamed.headers["content-type"].startswith("text/event-stream")
    # JSON is compared by what it says, events letter by letter.
    told = [answer.json() for answer in (whole, voices, wrong)]
    return [whole.status_code, streamed.status_code, voices.status_code, wrong.status_code, streamed.text, *told]


CALLS: dict[str, Callable[[Served], Awaitable[list[Any]]]] = {
    "live": live,
    "recognition": recognition,
    "refused": refused,
    "synthesis": synthesis,
    "operation": operation,
    "http": http,
}


async def test_what_is_recorded_is_played_again(tmp_path: Path) -> None:
    folder = tmp_path / "cassettes"
    async with asyncio.timeout(PATIENCE), GoogleEmulator(scenario=SCENARIO) as google:
        async with Recorder(folder, Upstream({**google.env, "GOOGLE_API_KEY": KEY})) as recorder:
            recorded = {name: await call(recorder) for name, call in CALLS.items()}
        text = "\n".join(path.read_text() for path in folder.iterdir())
    assert KEY not in text
    assert TOKEN not in text
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    async with asyncio.timeout(PATIENCE), Player(folder, speed=0.0) as player:
        played = {name: await call(player) for name, call in CALLS.items()}
    for name in CALLS:
        there, here = (json.dumps(value[name], default=str) for value in (recorded, played))
        assert _hidden(there) == _hidden(here), name


def _hidden(text: str) -> str:
    """Compare all but handles and keys, which a cassette does not tell."""
    handle = '"newHandle": "'
    parts = text.replace(KEY, "REMOVED").split(handle)
    return handle.join([parts[0], *("h" + part[part.index('"') :] for part in parts[1:])])


async def test_a_cassette_ends_where_the_connection_broke(tmp_path: Path) -> None:
    path = "/google.cloud.speech.v2.Speech/StreamingRecognize"
    requests = [config_request(), audio_request(SOUND)]
    faults = [Fault("speech", "drop", after_bytes=8000)]
    async with (
        asyncio.timeout(PATIENCE),
        GoogleEmulator(faults=faults) as google,
        Recorder(tmp_path, Upstream(google.env)) as recorder,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as there:
            await grpc_call(recorder, "SPEECH", path, requests)
    async with asyncio.timeout(PATIENCE), Player(tmp_path, speed=0.0) as player:
        with pytest.raises(grpc.aio.AioRpcError) as here:
            await grpc_call(player, "SPEECH", path, requests)
    assert (here.value.code(), here.value.details()) == (there.value.code(), there.value.details())
    assert there.value.code() == grpc.StatusCode.UNAVAILABLE


async def test_an_upstream_that_does_not_answer_is_told(tmp_path: Path) -> None:
    nobody = Upstream({"GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:9", "SPEECH_EMULATOR_HOST": "127.0.0.1:9"})
    async with asyncio.timeout(PATIENCE), Recorder(tmp_path, nobody) as recorder:
        with pytest.raises(InvalidStatus) as caught:
            await live(recorder)
        assert caught.value.response.status_code == 502
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{recorder.ports['http']}/v1beta/models", params={"key": KEY})
        assert answer.status_code == 503
        assert "127.0.0.1:9 does not answer" in answer.json()["error"]["message"]
        # One message: a client that is still sending may see an error of its own.
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await grpc_call(recorder, "SPEECH", "/google.cloud.speech.v2.Speech/Recognize", [config_request()])
        assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    assert [cassette.events[-1].what["end"] for cassette in read_folder(tmp_path)]


@pytest.mark.parametrize(
    ("headers", "served"),
    [
        ({}, True),
        ({"origin": "http://localhost:3000"}, True),
        ({"origin": "https://pages.example"}, False),
        ({"origin": "null"}, False),
        ({"host": "rebound.example:9080"}, False),
        ({"host": "speech.googleapis.com"}, True),
        ({"host": "127.0.0.1.example"}, False),
    ],
)
async def test_web_pages_from_elsewhere_borrow_no_keys(headers: dict[str, str], served: bool) -> None:
    assert may_borrow({"host": "127.0.0.1:9080", **headers}) == served


async def test_the_recorder_refuses_them_and_others(tmp_path: Path) -> None:
    async with asyncio.timeout(PATIENCE), Recorder(tmp_path, Upstream({})) as recorder:
        async with httpx.AsyncClient(headers={"origin": "https://pages.example"}) as client:
            answer = await client.get(f"http://127.0.0.1:{recorder.ports['http']}/v1beta/models")
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        with pytest.raises(InvalidStatus) as caught:
            async with connect(
                f"ws://127.0.0.1:{recorder.ports['http']}{LIVE}", origin=Origin("https://pages.example")
            ):
                pass
        assert caught.value.response.status_code == 403
    with pytest.raises(EmulatorError, match="There are no cassettes"):
        read_folder(tmp_path)
    with pytest.raises(EmulatorError, match=r"does not listen on 0\.0\.0\.0"):
        Recorder(tmp_path, host="0.0.0.0")


async def test_what_was_never_recorded_is_told(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(PATIENCE),
        GoogleEmulator() as google,
        Recorder(tmp_path, Upstream(google.env)) as recorder,
    ):
        await synthesis(recorder)
    async with asyncio.timeout(PATIENCE), Player(tmp_path) as player:
        with pytest.raises(InvalidStatus) as caught:
            await live(player)
        assert caught.value.response.status_code == 404
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await grpc_call(player, "SPEECH", "/google.cloud.speech.v2.Speech/Recognize", [config_request()])
        assert refusal.value.code() == grpc.StatusCode.UNIMPLEMENTED
        assert refusal.value.details() == "No cassette holds such a call."
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{player.ports['http']}/v1beta/models")
        assert (answer.status_code, answer.json()["error"]["message"]) == (404, "No cassette holds such a call.")
