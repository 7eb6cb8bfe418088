"""The websocket shell, driven by the unmodified google-genai client."""

import asyncio
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from google import genai
from google.genai import errors, types
from google.genai.live import AsyncSession
from google.oauth2.credentials import Credentials
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.faults import Drop, GoAway, LiveFaults
from halfcascade.emulator.live.server import LiveServer
from halfcascade.emulator.minds.base import Conversation, FunctionCall
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply, ScriptedThinker
from halfcascade.emulator.profiles import NetworkProfile, Profile, ThinkerProfile
from tests.emulator.live.conftest import KEY, Serve
from tests.emulator.live.harness import model_texts

MODEL = "gemini-3.8-live"
TRANSCRIBED: types.LiveConnectConfigDict = {"output_audio_transcription": {}}
RESUMABLE: types.LiveConnectConfigDict = {"output_audio_transcription": {}, "session_resumption": {}}
DEVELOPER = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
Client = Callable[..., genai.Client]
# Nothing here takes a second on an idle machine.
PATIENCE = 30.0


async def say(session: AsyncSession, text: str) -> None:
    await session.send_client_content(turns=types.Content(role="user", parts=[types.Part(text=text)]))


async def receive(session: AsyncSession) -> list[types.LiveServerMessage]:
    """Read a turn."""
    async with asyncio.timeout(PATIENCE):
        return [message async for message in session.receive()]


def transcript(messages: list[types.LiveServerMessage]) -> str:
    contents = [message.server_content for message in messages if message.server_content]
    return "".join(c.output_transcription.text or "" for c in contents if c.output_transcription)


async def until(session: AsyncSession, found: Callable[[types.LiveServerMessage], Any]) -> Any:
    """Read until a message gives something."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async for message in session.receive():
                if value := found(message):
                    return value


def handle(message: types.LiveServerMessage) -> str | None:
    update = message.session_resumption_update
    return update.new_handle if update and update.resumable else None


def raw(server: LiveServer, path: str = f"{DEVELOPER}?key={KEY}", **options: Any) -> connect:
    context = ssl.create_default_context()
    return connect(f"wss://127.0.0.1:{server.port}{path}", ssl=context, ping_interval=None, **options)


async def closing(connection: ClientConnection) -> tuple[int, str]:
    """Read until the server closes, and tell how."""
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await connection.recv()
    frame = caught.value.rcvd
    return (frame.code, frame.reason) if frame else (1006, "")


async def test_text_turns(serve: Serve, client: Client) -> None:
    await serve(ScriptedThinker([ScriptedReply("Hello there."), ScriptedReply(["안녕", "하세", "요"])]))
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "hello")
        messages = await receive(session)
        assert transcript(messages) == "Hello there."
        assert any(message.data for message in messages)
        usage = messages[-1].usage_metadata
        assert usage is not None
        assert usage.response_token_count
        await session.send_realtime_input(text="안녕")
        assert transcript(await receive(session)) == "안녕하세요"


async def test_text_is_refused(serve: Serve, client: Client) -> None:
    await serve()
    with pytest.raises(errors.APIError, match=r"1007 .*modalities \(TEXT\) is not supported by the model"):
        async with client().aio.live.connect(model=MODEL, config={"response_modalities": [types.Modality.TEXT]}):
            pass


async def test_unknown_model(serve: Serve, client: Client) -> None:
    await serve()
    with pytest.raises(errors.APIError, match=r"1008 .*models/gemini-99 is not found for API version v1(beta)?, "):
        async with client().aio.live.connect(model="gemini-99"):
            pass


async def test_tools(serve: Serve, client: Client) -> None:
    thinker = ScriptedThinker(
        [
            ScriptedReply(match="time", calls=[FunctionCall("get_time", {"zone": "Asia/Seoul"})]),
            ScriptedReply("It is {results}.", result_of="get_time"),
        ]
    )
    await serve(thinker)
    function = types.FunctionDeclaration(name="get_time", behavior=types.Behavior.BLOCKING)
    config = types.LiveConnectConfig(
        output_audio_transcription=types.AudioTranscriptionConfig(),
        tools=[types.Tool(function_declarations=[function])],
    )
    async with client().aio.live.connect(model=MODEL, config=config) as session:
        await say(session, "What time is it?")
        calls = await until(session, lambda message: message.tool_call and message.tool_call.function_calls)
        assert calls[0].args == {"zone": "Asia/Seoul"}
        response = types.FunctionResponse(id=calls[0].id, name="get_time", response={"time": "noon"})
        await session.send_tool_response(function_responses=response)
        assert transcript(await receive(session)) == "It is noon."


async def test_resumption(serve: Serve, client: Client) -> None:
    remembered = ScriptedReply(
        lambda conversation: "You said: " + conversation.messages[0].text, match="what did I say"
    )
    await serve(ScriptedThinker([remembered, ScriptedReply("I see.")]))
    live = client().aio.live
    async with live.connect(model=MODEL, config=RESUMABLE) as session:
        await say(session, "My name is Alice.")
        await receive(session)
        token = await until(session, handle)
        config = types.LiveConnectConfig(
            output_audio_transcription=types.AudioTranscriptionConfig(),
            session_resumption=types.SessionResumptionConfig(handle=token),
        )
        with pytest.raises(errors.APIError, match="1011"):
            async with live.connect(model=MODEL, config=config):
                pass
    async with live.connect(model=MODEL, config=config) as session:
        await say(session, "what did I say?")
        assert transcript(await receive(session)) == "You said: My name is Alice."


class Storyteller:
    """Tells a story that never ends, and notes when it is stopped."""

    def __init__(self) -> None:
        self.stopped = asyncio.Event()
        self.told: list[str] = []

    async def think(self, conversation: Conversation) -> AsyncIterator[str | FunctionCall]:
        if conversation.messages[-1].text == "what did you tell?":
            self.told = model_texts(conversation)
            yield "That."
            return
        try:
            for number in range(10_000):
                yield f" {number}"
                await asyncio.sleep(0.005)
        finally:
            self.stopped.set()


async def test_interruption_stops_the_thinker_and_keeps_what_was_sent(serve: Serve, client: Client) -> None:
    thinker = Storyteller()
    await serve(thinker, profile=Profile(thinker=ThinkerProfile(interrupt=0.02)))
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "a story")
        heard = await until(session, lambda m: m.server_content and m.server_content.output_transcription)
        await say(session, "what did you tell?")
        messages = await receive(session)
        assert messages[-2].server_content is not None
        assert messages[-2].server_content.interrupted
        assert messages[-1].server_content == types.LiveServerContent(turn_complete=True)
        async with asyncio.timeout(PATIENCE):
            await thinker.stopped.wait()
        assert transcript(await receive(session)) == "That."
        assert "".join(thinker.told) == heard.text + transcript(messages)


async def test_a_client_that_vanishes_stops_the_thinker_and_frees_the_session(serve: Serve, client: Client) -> None:
    thinker = Storyteller()
    server = await serve(thinker)
    client()
    async with raw(server) as connection:
        setup = {"model": f"models/{MODEL}", "sessionResumption": {}}
        await connection.send(json.dumps({"setup": setup}))
        await connection.recv()
        token = json.loads(await connection.recv())["sessionResumptionUpdate"]["newHandle"]
        await connection.send(json.dumps({"realtimeInput": {"text": "a story"}}))
        connection.transport.abort()
    async with asyncio.timeout(PATIENCE):
        await thinker.stopped.wait()
    async with raw(server) as connection:
        setup["sessionResumption"] = {"handle": token}
        await connection.send(json.dumps({"setup": setup}))
        assert json.loads(await connection.recv()) == {"setupComplete": {}}


async def test_a_broken_thinker_closes_with_1011(serve: Serve, client: Client) -> None:
    await serve(ScriptedThinker([ScriptedReply("Well,", error=True)]))
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "hello")
        with pytest.raises(errors.APIError, match=r"1011 .*Internal error encountered"):
            await receive(session)


async def test_drops_and_go_aways_reach_the_client(serve: Serve, client: Client) -> None:
    live = LiveFaults(drops=[Drop(turn=1, phase="deltas")], go_aways=[GoAway(turn=2, time_left=0.0)])
    await serve(faults=Faults(live=live))
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "hello")
        with pytest.raises(errors.APIError, match="1006"):
            await receive(session)
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "hello")
        notice = await until(session, lambda message: message.go_away)
        assert notice.time_left == "0s"
        with pytest.raises(errors.APIError, match=r"1011 .*Deadline expired"):
            await receive(session)


async def test_the_clock_of_limits_can_run_faster(serve: Serve, client: Client) -> None:
    await serve(clock_scale=3000)
    with pytest.raises(errors.APIError, match=r"1011 .*Deadline expired"):
        async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
            await until(session, lambda _: None)


async def test_vertex(serve: Serve, client: Client) -> None:
    server = await serve(ScriptedThinker([ScriptedReply("Hello there.")]))
    vertex = client(
        vertexai=True,
        project="p",
        location="global",
        credentials=Credentials(token="t"),
        http_options=types.HttpOptions(base_url=f"https://127.0.0.1:{server.port}"),
    )
    config = types.LiveConnectConfig(response_modalities=[types.Modality.TEXT])
    async with vertex.aio.live.connect(model="gemini-live-2.5-flash", config=config) as session:
        assert session.session_id
        await say(session, "hello")
        messages = await receive(session)
    assert "".join(message.text or "" for message in messages) == "Hello there."
    assert messages[-1].usage_metadata is not None
    assert messages[-1].usage_metadata.response_token_count


async def test_api_keys(serve: Serve, client: Client) -> None:
    server = await serve(api_key=KEY)
    async with client().aio.live.connect(model=MODEL):
        pass
    with pytest.raises(errors.APIError, match=r"1007 .*API key not valid. Please pass a valid API key."):
        async with client(api_key="wrong").aio.live.connect(model=MODEL):
            pass
    async with raw(server, DEVELOPER) as connection:
        assert (await closing(connection))[0] == 1008
    async with raw(server, "/" + DEVELOPER, additional_headers={"x-goog-api-key": KEY}) as connection:
        await connection.send(json.dumps({"setup": {"model": f"models/{MODEL}"}}))
        assert json.loads(await connection.recv()) == {"setupComplete": {}}


async def test_ephemeral_tokens(serve: Serve, client: Client) -> None:
    await serve(api_key=KEY)
    options = types.HttpOptions(api_version="v1alpha")
    google = client(http_options=options)
    token = await google.aio.auth_tokens.create(config={"uses": 1})

    def connect(name: str | None) -> Any:
        return client(api_key=name, http_options=options).aio.live.connect(model=MODEL)

    with pytest.warns(match="ephemeral token"):
        async with connect(token.name) as session:
            assert session.setup_complete is not None
        with pytest.raises(errors.APIError, match=r"1008 .*used too many times"):
            async with connect(token.name):
                pass
        with pytest.raises(errors.APIError, match=r"1008 .*Token is invalid"):
            async with connect("auth_tokens/abc"):
                pass


async def test_a_token_locks_its_setup(serve: Serve, client: Client) -> None:
    thinker = ScriptedThinker()
    await serve(thinker)
    options = types.HttpOptions(api_version="v1alpha")
    transcription = types.AudioTranscriptionConfig()
    locked = types.LiveConnectConfig(system_instruction="Be a pirate.", output_audio_transcription=transcription)
    constraints = types.LiveConnectConstraints(model=MODEL, config=locked)
    google = client(http_options=options)
    token = await google.aio.auth_tokens.create(
        config=types.CreateAuthTokenConfig(live_connect_constraints=constraints)
    )
    google = client(api_key=token.name, http_options=options)
    with pytest.warns(match="ephemeral token"):
        async with google.aio.live.connect(model=MODEL, config={"system_instruction": "Be a duck."}) as session:
            await say(session, "hello")
            await receive(session)
    assert thinker.conversations[-1].system_instruction == "Be a pirate."


async def test_models(serve: Serve, client: Client) -> None:
    await serve(api_key=KEY)
    google = client()
    models = google.aio.models
    model = await models.get(model=MODEL)
    assert model.name == f"models/{MODEL}"
    assert f"models/{MODEL}" in [model.name async for model in await models.list()]
    with pytest.raises(errors.ClientError, match=r"404 NOT_FOUND"):
        await models.get(model="gemini-99")
    with pytest.raises(errors.ClientError, match=r"400 INVALID_ARGUMENT.*API key not valid"):
        google = client(api_key="wrong")
        await google.aio.models.get(model=MODEL)


async def test_unknown_paths_are_not_found(serve: Serve, client: Client) -> None:
    server = await serve()
    with pytest.raises(Exception, match="404"):
        async with raw(server, "/ws/other"):
            pass


async def test_the_network_delays_both_ways(serve: Serve, client: Client) -> None:
    await serve(profile=Profile(network=NetworkProfile(one_way=0.1)))
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        start = time.monotonic()
        await say(session, "hello")
        messages = await receive(session)
        assert time.monotonic() - start >= 0.2
    assert transcript(messages) == "You said: hello"


async def test_pongs_can_be_late(serve: Serve, client: Client) -> None:
    server = await serve(faults=Faults(live=LiveFaults(pong_delay=0.3)))
    async with raw(server) as connection:
        start = time.monotonic()
        await (await connection.ping())
        assert time.monotonic() - start >= 0.3
        await connection.send(json.dumps({"setup": {"model": f"models/{MODEL}"}}))
        assert json.loads(await connection.recv()) == {"setupComplete": {}}


async def test_the_log_holds_frames_but_neither_keys_nor_audio(serve: Serve, client: Client) -> None:
    server = await serve(api_key=KEY)
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "hello")
        await receive(session)
    async with raw(server) as connection:
        await connection.send("not json")
        assert (await closing(connection))[0] == 1007
    assert server.log is not None
    received = [entry.data["message"] for entry in server.log.find("live", "received", stream=1)]
    assert [next(iter(message)) for message in received] == ["setup", "client_content"]
    sent = [entry.data["message"] for entry in server.log.find("live", "sent", stream=1)]
    assert sent[0] == {"setupComplete": {}}
    assert sent[-1]["serverContent"]["turnComplete"]
    assert [entry.data["code"] for entry in server.log.find("live", "close", stream=2)] == [1007]
    text = repr(list(server.log))
    assert KEY not in text
    assert not re.search("A{20}", text)


async def test_a_taken_port_is_one_clear_line(serve: Serve) -> None:
    server = await serve()
    with pytest.raises(EmulatorError, match=f"cannot listen on 127.0.0.1:{server.port}.*choose another port"):
        await serve(port=server.port)


async def test_stopping_ends_open_connections(serve: Serve, client: Client) -> None:
    server = await serve(Storyteller())
    async with client().aio.live.connect(model=MODEL, config=TRANSCRIBED) as session:
        await say(session, "a story")
        await until(session, lambda message: message.server_content)
        await server.stop()
        with pytest.raises(errors.APIError):
            await receive(session)
