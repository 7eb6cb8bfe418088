"""Whole talks on machines, networks and beside servers that one would not wish for."""

import asyncio
import json
import shlex
import signal
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from halfcascade.emulator.server import GoogleEmulator
from tests.bot.support import finish, long_story, processes_of, recordings_for, start_bot, until, user_audio

pytestmark = pytest.mark.slow

STORY = long_story(3)
SCENARIO = {"recordings": recordings_for("question"), "replies": [{"match": "moon", "text": STORY}]}
ARGUMENTS = ("--backend", "google", "--user-audio", "user.wav", "--session", "s")
SILENT_SERVER = shlex.join([sys.executable, "-c", "import time; time.sleep(1000)"])
# That a process ends at all, on a machine of any load; `test_end_in_time` holds it to the 3 s that are promised.
SOON_SECS = 20.0

BLOCKED_LOOP = """
import asyncio, runpy, time
from halfcascade.bot.talk import Talk
hold = Talk.run

async def run(self):
    async def block():
        while True:
            await asyncio.sleep(0.7)
            time.sleep(0.3)

    blocking = asyncio.create_task(block())
    try:
        await hold(self)
    finally:
        blocking.cancel()

Talk.run = run
runpy.run_module("bot", run_name="__main__")
"""
HASTY_TOOLS = """
import runpy
from halfcascade.processors.gemini_live.mcp_tools import McpServer
McpServer.connect.__defaults__ = (1.0,)
runpy.run_module("bot", run_name="__main__")
"""


@pytest.fixture
async def google():
    async with GoogleEmulator(scenario=SCENARIO) as google:
        yield google


@pytest.fixture
def home(tmp_path):
    user_audio(tmp_path / "user.wav", (0.0, "question"))
    return tmp_path


async def told(folder: Path, *types: str, secs: float = 60.0) -> list[dict]:
    """Wait until events of these types are in the session folder."""
    events = folder / "events.jsonl"
    async with asyncio.timeout(secs):
        while True:
            lines = events.read_text("utf-8").splitlines() if events.exists() else []
            found = [event for event in map(json.loads, lines) if event["type"] in types]
            if {event["type"] for event in found} == set(types):
                return found
            await asyncio.sleep(0.1)


async def test_gaps_of_a_loop_that_is_blocked_are_counted_and_told(home, google):
    process = await start_bot(home, *ARGUMENTS, program=("-c", BLOCKED_LOOP), **google.env)
    run = await finish(process, home / "s")
    assert run.code == 0, run.output
    assert run.metrics["transport"]["underruns"] >= 3 and run.metrics["transport"]["underrun_secs"] > 0.3
    (news,) = [event["message"] for event in run.of_type("device")]
    assert "gaps" in news and news in " ".join(run.output.split())
    assert "".join(event["text"] for event in run.of_type("heard")).strip() == STORY.strip()


async def test_a_server_of_tools_that_says_nothing_costs_no_talk_and_leaves_no_process(home, google):
    variables = {**google.env, "HALFCASCADE_MCP_SERVERS": SILENT_SERVER}
    process = await start_bot(home, *ARGUMENTS, program=("-c", HASTY_TOOLS), **variables)
    run = await finish(process, home / "s")
    assert run.code == 0, run.output
    (error,) = run.of_type("error")
    assert "no answer within 1 s" in error["message"] and "begins without it" in error["message"]
    assert run.of_type("turn_sent") and run.of_type("heard")
    assert not processes_of(home)


async def test_who_waits_for_a_silent_server_can_end_it(home, google):
    process = await start_bot(home, *ARGUMENTS, HALFCASCADE_MCP_SERVERS=SILENT_SERVER, **google.env)
    await until(lambda: len(processes_of(home)) >= 2)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    run = await finish(process, home / "s")
    assert time.monotonic() - began < SOON_SECS
    assert run.code == 0 and "Traceback" not in run.output
    assert not processes_of(home)


@asynccontextmanager
async def swallowing():
    """A port whose connections are taken and never answered."""
    held: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], held
    finally:
        server.close()
        for writer in held:
            writer.transport.abort()


def service_account(path: Path, port: int) -> None:
    """Write a key whose tokens come from a port of this machine."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    fields = {
        "type": "service_account",
        "project_id": "somebody",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "somebody@example.com",
        "client_id": "1",
        "token_uri": f"http://127.0.0.1:{port}/token",
    }
    path.write_text(json.dumps(fields), "utf-8")


async def test_vertex_behind_a_network_that_swallows_packets_holds_up_neither_start_nor_end(home, google):
    user_audio(home / "user.wav", (0.0, "question"), tail=60.0)
    async with swallowing() as (port, held):
        service_account(home / "key.json", port)
        variables = {
            name: value for name, value in google.env.items() if "GEMINI" not in name and "API_KEY" not in name
        }
        variables |= {
            "GOOGLE_GENAI_USE_VERTEXAI": "true",
            "GOOGLE_CLOUD_PROJECT": "somebody",
            "GOOGLE_CLOUD_LOCATION": "global",
            "GOOGLE_APPLICATION_CREDENTIALS": str(home / "key.json"),
        }
        process = await start_bot(home, *ARGUMENTS, **variables)
        # The user speaks, is understood, and told aloud that no answer comes.
        await told(home / "s", "final", "outage", "heard", secs=90.0)
        assert held, "nobody asked for a token"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        run = await finish(process, home / "s")
    assert time.monotonic() - began < SOON_SECS
    assert run.code == 0 and "Traceback" not in run.output
    assert not processes_of(home)
