"""Gemini over HTTP, with google-genai and with plain requests."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.generate.models import find_text_model
from halfcascade.emulator.generate.request import parse_request
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.emulator.web.errors import ApiError
from halfcascade.emulator.web.versions import VERSIONS, find_version
from tests.emulator.live.test_ears import tone

MODEL = "gemini-3.8-flash"
SCENARIO = {
    "utterances": ["what time is it"],
    "replies": [
        {"match": "weather", "calls": [{"name": "get_weather", "args": {"city": "Seoul"}, "id": "c1"}]},
        {"result_of": "get_weather", "text": "It is {results} there."},
        {"match": "story", "text": "Once upon a time there was a long story without an end."},
    ],
}


@pytest.fixture
async def google(google_emulator_factory) -> GoogleEmulator:
    return await google_emulator_factory(scenario=SCENARIO)


def request(google: GoogleEmulator, path: str, body: Any = None, method: str = "", **headers: str) -> tuple[int, Any]:
    """Send a request with nobody's client; give status and body."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    url = google.env["GOOGLE_GEMINI_BASE_URL"] + path
    asked = urllib.request.Request(url, data, headers=headers, method=method or ("POST" if data is not None else "GET"))
    context = ssl.create_default_context(cafile=google.env["SSL_CERT_FILE"])
    try:
        with urllib.request.urlopen(asked, context=context, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


async def ask(google: GoogleEmulator, *arguments: Any, **options: Any) -> tuple[int, Any]:
    return await asyncio.to_thread(request, google, *arguments, **options)


SAY = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}


@pytest.mark.parametrize("version", ["v1", "v1beta", "v1alpha", "v7"])
async def test_every_version_answers(google: GoogleEmulator, version: str) -> None:
    client = genai.Client(http_options=types.HttpOptions(api_version=version))
    answer = await client.aio.models.generate_content(model=MODEL, contents="hello")
    assert answer.text == "You said: hello"
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.usage_metadata.total_token_count == sum(
        (answer.usage_metadata.prompt_token_count, answer.usage_metadata.candidates_token_count)
    )
    async with client.aio.live.connect(model="gemini-3.8-live", config={"output_audio_transcription": {}}) as session:
        await session.send_realtime_input(text="hello")
        said = [message async for message in session.receive()]
    assert said


async def test_streams_come_in_pieces(google: GoogleEmulator) -> None:
    client = genai.Client()
    pieces = [
        chunk.text
        async for chunk in await client.aio.models.generate_content_stream(model=MODEL, contents="a story please")
    ]
    assert len(pieces) > 3
    assert "".join(piece or "" for piece in pieces) == SCENARIO["replies"][2]["text"]


async def test_a_stream_without_sse_is_an_array(google: GoogleEmulator) -> None:
    status, body = await ask(google, f"/v1beta/models/{MODEL}:streamGenerateContent?key=k", SAY)
    assert status == 200
    parts = [part for chunk in json.loads(body) for part in chunk["candidates"][0]["content"]["parts"]]
    assert "".join(part["text"] for part in parts) == "You said: hello"


async def test_a_function_is_called_and_answered(google: GoogleEmulator) -> None:
    client = genai.Client()
    asked: list[str] = []

    def get_weather(city: str) -> str:
        """Tell the weather."""
        asked.append(city)
        return "sunny"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = await client.aio.models.generate_content(model=MODEL, contents="the weather?", config=config)
    assert answer.text == "It is sunny there."
    assert asked == ["Seoul"]


async def test_audio_is_understood(google: GoogleEmulator) -> None:
    part = types.Part.from_bytes(data=tone(1.5), mime_type="audio/pcm;rate=16000")
    client = genai.Client()
    answer = await client.aio.models.generate_content(model=MODEL, contents=[part])
    assert answer.text == "You said: what time is it"
    details = {item.modality: item.token_count for item in answer.usage_metadata.prompt_tokens_details}
    assert details[types.MediaModality.AUDIO] == 38


async def test_gemini_speaks(google: GoogleEmulator) -> None:
    config = types.GenerateContentConfig(response_modalities=["AUDIO"])
    client = genai.Client()
    answer = await client.aio.models.generate_content(
        model="gemini-2.5-flash-preview-tts", contents="Say hello", config=config
    )
    blob = answer.candidates[0].content.parts[0].inline_data
    assert blob.mime_type == "audio/L16;codec=pcm;rate=24000"
    assert len(blob.data) > 24_000


async def test_tokens_are_counted_and_answers_cut(google: GoogleEmulator) -> None:
    client = genai.Client()
    assert (await client.aio.models.count_tokens(model=MODEL, contents="hello there")).total_tokens == 3
    config = types.GenerateContentConfig(max_output_tokens=2)
    answer = await client.aio.models.generate_content(model=MODEL, contents="a story", config=config)
    assert answer.candidates[0].finish_reason == types.FinishReason.MAX_TOKENS
    assert answer.text == "Once upo"


async def test_vertex_answers(google: GoogleEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from google.oauth2.credentials import Credentials

    client = genai.Client(
        vertexai=True,
        project="p",
        location="us-central1",
        credentials=Credentials("token"),
        http_options=types.HttpOptions(base_url=google.env["GOOGLE_GEMINI_BASE_URL"]),
    )
    assert (await client.aio.models.generate_content(model=MODEL, contents="hello")).text == "You said: hello"


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        (f"/v1beta/models/{MODEL}:generateContent", SAY, 403, "PERMISSION_DENIED"),
        (f"/v1beta/models/{MODEL}:generateContent?key=k", {}, 400, "contents is not specified"),
        (f"/v1beta/models/{MODEL}:generateContent?key=k", b"{", 400, "Invalid JSON payload"),
        (f"/v1beta/models/{MODEL}:generateContent?key=k", b"[]", 400, "Root element"),
        (f"/v1beta/models/{MODEL}:generateContent?key=k", {**SAY, "nonsense": 1}, 400, "Unknown name"),
        (f"/v1beta/models/{MODEL}:embedContent?key=k", SAY, 501, "embedContent"),
        ("/v1beta/models/nope:generateContent?key=k", SAY, 404, "models/nope is not found for API version v1beta"),
        ("/v1beta/models/gemini-3.8-live:generateContent?key=k", SAY, 404, "not supported for generateContent"),
        ("/upload/v1beta/files?key=k", b"x", 501, "inlineData"),
        ("/v1beta/auth_tokens?key=k", {}, 404, "NOT_FOUND"),
        ("/v1alpha/auth_tokens?key=k", {"uses": "many"}, 400, "TYPE_INT32"),
        ("/v1alpha/auth_tokens?key=k", {"expireTime": "tomorrow"}, 400, "Invalid time"),
        ("/nowhere", None, 404, "was not found on this server"),
        ("/../../etc/passwd", None, 404, "was not found on this server"),
        ("//v1beta/models?key=k", None, 200, "gemini-3.8-live"),
    ],
)
async def test_errors_are_google_shaped(google: GoogleEmulator, path: str, body: Any, status: int, told: str) -> None:
    code, text = await ask(google, path, body)
    assert code == status
    assert told in text
    if code >= 400:
        error = json.loads(text)["error"]
        assert error["code"] == status
        assert {"message", "status"} <= set(error)


async def test_wrong_methods_and_web_pages(google: GoogleEmulator) -> None:
    assert (await ask(google, f"/v1beta/models/{MODEL}:generateContent?key=k", method="PUT"))[0] == 405
    assert (await ask(google, f"/v1beta/models/{MODEL}:generateContent", method="OPTIONS"))[0] == 204
    assert await ask(google, "/v1beta/models?key=k", method="HEAD") == (200, "")


async def test_a_fault_is_an_error(google: GoogleEmulator) -> None:
    from halfcascade.emulator.faults import Fault

    client = genai.Client()
    google.faults.add(Fault("generate", "error", code="RESOURCE_EXHAUSTED", message="Slow down."))
    with pytest.raises(errors.ClientError, match=r"429 RESOURCE_EXHAUSTED.*Slow down"):
        await client.aio.models.generate_content(model=MODEL, contents="hello")
    assert (await client.aio.models.generate_content(model=MODEL, contents="hello")).text


def test_every_version_is_found_by_its_name_and_others_are_the_newest() -> None:
    for row in VERSIONS:
        assert find_version(row.service, row.name) is row
    assert find_version("gemini", "v9beta3").name == "v1"
    assert find_version("speech", "v3").name == "v2"
    for name in ("", "1", "version", "v", "v1/..", "vbeta"):
        assert find_version("gemini", name) is None


_NAMES = [
    "contents",
    "parts",
    "text",
    "role",
    "inlineData",
    "mimeType",
    "data",
    "tools",
    "functionDeclarations",
    "name",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*_NAMES, "generationConfig", "systemInstruction"]), JSON, max_size=4))
@settings(max_examples=200, deadline=None)
def test_any_json_is_taken_or_refused(body: dict[str, Any]) -> None:
    try:
        parse_request(body, MODEL, speaks=False)
    except ApiError as error:
        assert error.status in (400, 501)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gemini-2.5-flash", True),
        ("models/gemini-3.5-flash-lite", True),
        ("gemini-4.0-pro-preview-01-2027", True),
        ("gemini-flash-latest", True),
        ("gemini-3.8-live", False),
        ("gemini-2.5-flash-native-audio-latest", False),
        ("gpt-5", False),
        ("", False),
    ],
)
def test_which_models_answer(name: str, known: bool) -> None:
    assert (find_text_model(name) is not None) == known
