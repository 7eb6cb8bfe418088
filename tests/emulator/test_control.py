"""The emulator's own HTTP interface, its ports and its named faults."""

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import grpc
import pytest
from google import genai
from google.cloud import texttospeech_v1 as tts
from grpc_health.v1 import health_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.bugs import BUGS, add_bug
from halfcascade.emulator.control import add_faults, openapi
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.emulator.web.front import speaks_only_http2

MODEL = "gemini-3.8-flash"
SCENARIO = {"replies": [{"text": "One."}], "default_reply": "Two."}


async def control(google: GoogleEmulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    def send() -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        url = google.extra_env["HALFCASCADE_EMULATOR_URL"] + path
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data, method=method), timeout=30) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text[:1] in b"{[" and text else text.decode()
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    return await asyncio.to_thread(send)


async def said(text: str = "hello") -> str:
    client = genai.Client()
    answer = await client.aio.models.generate_content(model=MODEL, contents=text)
    return answer.text or ""


async def test_it_is_changed_while_it_runs(google_emulator: GoogleEmulator) -> None:
    assert await control(google_emulator, "GET", "/healthz") == (200, "ok\n")
    assert await said() == "You said: hello"
    status, now = await control(
        google_emulator,
        "PATCH",
        "/emulator",
        {
            "scenario": SCENARIO,
            "profile": "reference",
            "clock_scale": 60,
        },
    )
    assert (status, now["profile"], now["clock_scale"]) == (200, "reference", 60)
    assert [await said(), await said()] == ["One.", "Two."]
    assert (await control(google_emulator, "POST", "/emulator/reset"))[0] == 204
    assert await said() == "One."
    _, journal = await control(google_emulator, "GET", "/emulator/journal?api=generate&event=request")
    assert [entry["data"]["text"] for entry in journal["entries"]] == ["hello"]
    assert (await control(google_emulator, "DELETE", "/emulator/journal"))[0] == 204
    assert (await control(google_emulator, "GET", "/emulator/journal"))[1]["entries"] == []


@pytest.mark.parametrize(
    "change",
    [
        {"nonsense": 1},
        {"profile": "none"},
        {"profile": {"listener": {"flush": "fast"}}},
        {"scenario": {"replys": []}},
        {"scenario": "file.toml"},
        {"clock_scale": 0},
        {"clock_scale": True},
    ],
)
async def test_what_is_not_valid_changes_nothing(google_emulator: GoogleEmulator, change: dict[str, Any]) -> None:
    before = await control(google_emulator, "GET", "/emulator")
    status, answer = await control(google_emulator, "PATCH", "/emulator", change)
    assert (status, answer["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert await control(google_emulator, "GET", "/emulator") == before


async def test_faults_are_added_and_cleared(google_emulator: GoogleEmulator) -> None:
    fault = {"api": "generate", "kind": "error", "code": "INTERNAL", "times": -1}
    status, now = await control(google_emulator, "POST", "/emulator/faults", fault)
    assert status == 200
    assert now["pending"][0]["code"] == "INTERNAL"
    with pytest.raises(genai.errors.ServerError):
        await said()
    live = {"framing": "bundle", "drops": [{"turn": 1, "phase": "answer"}], "turns": [{"turn": 2, "silent": True}]}
    status, now = await control(google_emulator, "POST", "/emulator/faults", {"live": live, "seed": 7})
    assert (now["live"]["framing"], now["live"]["seed"], len(now["live"]["drops"])) == ("bundle", 7, 1)
    assert (await control(google_emulator, "DELETE", "/emulator/faults"))[0] == 204
    assert await said()
    assert google_emulator.faults.live.drops == []
    for bad in ({"name": "nope"}, {"api": "live", "kind": "drop"}, {"live": {"nope": 1}}, {"live": {"drops": [{}]}}):
        assert (await control(google_emulator, "POST", "/emulator/faults", bad))[0] == 400


def test_the_document_names_what_is_answered() -> None:
    document = openapi()
    assert set(document["paths"]) >= {"/emulator", "/emulator/faults", "/emulator/journal", "/emulator/reset"}
    assert json.loads(json.dumps(document)) == document


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.dictionaries(
        st.sampled_from(["name", "live", "seed", "api", "kind", "times"]),
        JSON | st.dictionaries(st.sampled_from(["drops", "turns", "framing", "seed", "pong_delay"]), JSON),
    )
)
@settings(max_examples=200, deadline=None)
def test_any_json_is_a_fault_or_refused(body: dict[str, Any]) -> None:
    try:
        add_faults(Faults(), body)
    except EmulatorError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("name", BUGS)
def test_every_named_fault_changes_something_and_has_a_link(name: str) -> None:
    faults = Faults()
    add_bug(faults, name)
    assert faults != Faults()
    assert BUGS[name].link.startswith("https://")


async def talk(text: str, *, patience: float = 1.0) -> list[Any]:
    """Say something in a session of its own; give what came within the time."""
    messages: list[Any] = []
    client = genai.Client()
    async with client.aio.live.connect(model="gemini-3.8-live", config={"output_audio_transcription": {}}) as session:
        await session.send_client_content(turns={"role": "user", "parts": [{"text": text}]})
        try:
            async with asyncio.timeout(patience):
                async for message in session.receive():
                    messages.append(message)
        except TimeoutError:
            pass
    return messages


async def test_what_named_faults_do(google_emulator: GoogleEmulator) -> None:
    async def with_fault(name: str) -> list[Any]:
        await google_emulator.reset()
        add_bug(google_emulator.faults, name)
        return await talk("please say something that is longer than two pieces of text")

    stopped = [m.server_content for m in await with_fault("stops-mid-sentence") if m.server_content]
    assert sum(1 for content in stopped if content.output_transcription) == 2
    assert not any(content.turn_complete or content.generation_complete for content in stopped)
    silent = [m.server_content for m in await with_fault("no-transcript") if m.server_content]
    assert not any(content.output_transcription for content in silent)
    assert silent[-1].turn_complete
    late = [m.server_content for m in await with_fault("late-turn-complete") if m.server_content]
    assert late[-1].generation_complete
    with pytest.raises(genai.errors.APIError, match=r"1011 .*exceeded your current quota"):
        await with_fault("quota")


# Ports


def trusting(google: GoogleEmulator) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(Path(google.env["SSL_CERT_FILE"]).read_bytes())


async def test_health_and_both_services_over_tls(google_emulator: GoogleEmulator) -> None:
    credentials = trusting(google_emulator)
    port = google_emulator.ports["grpc_tls"]
    for name in ("localhost", "speech.googleapis.com", "us-speech.googleapis.com", "emulator"):
        options = [("grpc.ssl_target_name_override", name)]
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            health = await channel.unary_unary(
                "/grpc.health.v1.Health/Check", response_deserializer=health_pb2.HealthCheckResponse.FromString
            )(b"")
            assert health.status == health_pb2.HealthCheckResponse.SERVING
            answer = await channel.unary_unary("/google.cloud.texttospeech.v1.TextToSpeech/ListVoices")(b"")
            assert tts.ListVoicesResponse.pb().FromString(answer).voices


async def test_one_port_serves_everything(google_emulator_factory: Any) -> None:
    google = await google_emulator_factory(tls_port=0)
    port = google.ports["tls"]
    credentials = trusting(google)
    options = [("grpc.ssl_target_name_override", "texttospeech.googleapis.com")]
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        assert await channel.unary_unary("/google.cloud.texttospeech.v1.TextToSpeech/ListVoices")(b"")
    context = ssl.create_default_context(cafile=google.env["SSL_CERT_FILE"])

    def get() -> str:
        with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz", context=context, timeout=30) as answer:
            return answer.read().decode()

    assert await asyncio.to_thread(get) == "ok\n"
    client = genai.Client(http_options={"base_url": f"https://127.0.0.1:{port}"})
    async with client.aio.live.connect(model="gemini-3.8-live") as session:
        await session.send_realtime_input(text="hello")
        assert [message async for message in session.receive()]


@given(st.binary(max_size=600))
def test_any_first_bytes_are_read(data: bytes) -> None:
    assert speaks_only_http2(data) in (True, False)
    assert speaks_only_http2(b"\x16\x03\x01\x02\x00\x01" + data) in (True, False)


async def test_garbage_on_every_port_harms_nobody(google_emulator_factory: Any) -> None:
    google = await google_emulator_factory(tls_port=0)
    for port in google.ports.values():
        for data in (b"\x00" * 300, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" + b"\xff" * 511, b"{}"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            writer.write_eof()
            try:
                async with asyncio.timeout(5):
                    await reader.read(100)
            except (TimeoutError, ConnectionError):
                pass
            writer.close()
    assert await said() == "You said: hello"


async def test_it_listens_where_it_is_told(google_emulator_factory: Any) -> None:
    google = await google_emulator_factory(host="0.0.0.0", advertise="localhost")
    assert google.env["SPEECH_EMULATOR_HOST"].startswith("localhost:")
    assert await said() == "You said: hello"
