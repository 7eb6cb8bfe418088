"""The same talk through every socket: a telephone's, and a program's at odd rates."""

import asyncio
import socket
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn

from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import STORY, Client, Plivo, Program, Served, Telephone, Telnyx, serving
from tests.bot.support import recordings_for
from tests.docs.blocks import ROOT, fenced

SCENARIO = {
    "recordings": recordings_for("weather", "question", "actually"),
    "replies": [
        {"match": "weather", "text": "It will be sunny all day."},
        {"match": "moon", "text": STORY},
        {"match": "another question", "text": "Please go ahead."},
    ],
}


@pytest.fixture(scope="module")
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as running:
        yield running


@pytest.fixture(scope="module")
async def served(google):
    async with serving(google.env) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")

CLIENTS = {
    "telephone": (Telephone, "/ws"),
    "program": (Program, "/ws-client"),
    "Telnyx": (Telnyx, "/ws"),
    "Plivo": (Plivo, "/ws"),
    "program at 8 kHz in stereo": (lambda: Program(8_000, 2), "/ws-client"),
    "program at 48 kHz": (lambda: Program(48_000), "/ws-client"),
}
WORDS = [
    "what will the weather be like tomorrow morning",
    "can you tell me how far it is from here to the moon",
    "actually i have another question",
]


# The machine may be busy with something else for as long as this; a talk itself takes 20 s.
PATIENCE_SECS = 60.0


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SECS):
        while not condition():  # noqa: ASYNC110 - a transcript has no event for it
            await asyncio.sleep(0.05)


def _replies(hub: EventHub) -> list[BotSaid]:
    return [entry for entry in hub.transcript.entries if isinstance(entry, BotSaid)]


async def _talk(client: Client, hub: EventHub) -> None:
    """Three turns, the last of which interrupts the answer to the second.

    When to go on is asked of the bot, since on a busy machine silences come late, and there are some that nobody meant.
    """
    client.say("weather")
    await client.hears(PATIENCE_SECS)
    await until(lambda: _replies(hub) and _replies(hub)[0].closed)
    client.say("question")
    await client.hears(PATIENCE_SECS)
    await until(lambda: len(_replies(hub)) > 1)
    await until(lambda: len(_replies(hub)[1].heard_text) > len("Once upon a time there was an old clock."))
    client.say("actually")
    await until(lambda: len(_replies(hub)) == len(WORDS) and _replies(hub)[-1].closed)
    await client.hears_silence(within=PATIENCE_SECS)


async def _holds(served: Served, *names: str) -> None:
    async with AsyncExitStack() as stack:
        before = len(served.hubs)
        talks: list[tuple[Client, EventHub]] = []
        for name in names:
            make, path = CLIENTS[name]
            client = await stack.enter_async_context(make().calling(served.ws + path))
            await until(lambda: len(served.hubs) > before + len(talks))
            talks.append((client, served.hubs[-1]))
        await asyncio.sleep(0.5)
        await asyncio.gather(*(_talk(*one) for one in talks))
    for client, hub in talks:
        said = [entry.text.lower().rstrip(".?") for entry in hub.transcript.entries if isinstance(entry, UserSaid)]
        assert said == WORDS
        assert [reply.interrupted for reply in _replies(hub)] == [False, True, False]
        assert _replies(hub)[0].heard_text == "It will be sunny all day."
        assert 0 < len(_replies(hub)[1].heard_text) < len(STORY) / 2
        assert client.cleared or not isinstance(client, Telephone)


async def test_a_telephone_and_a_program_talk_at_once(served):
    await _holds(served, "telephone", "program")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CLIENTS)[2:])
async def test_a_talk_by_other_companies_and_at_odd_rates(served, name):
    await _holds(served, name)


async def test_the_application_of_the_documents_talks(google, monkeypatch):
    [block] = [block for block in fenced(ROOT / "docs/doors.md") if block.file == "app.py"]
    for name, value in google.env.items():
        monkeypatch.setenv(name, value)
    application: dict[str, Any] = {"__name__": "app"}
    # FastAPI looks the annotations up in the module of that name.
    monkeypatch.setitem(sys.modules, "app", SimpleNamespace(**application))
    exec(block.text, application)
    server = uvicorn.Server(uvicorn.Config(application["app"], port=0, log_level="warning"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        client = Program()
        async with asyncio.timeout(PATIENCE_SECS):
            await until(lambda: server.started)
            async with client.calling(f"ws://127.0.0.1:{listening.getsockname()[1]}/talk"):
                await client.tell({"type": "send-text", "id": "3", "data": {"content": "What about the weather?"}})
                await client.hears(PATIENCE_SECS)
            server.should_exit = True
            await serving
