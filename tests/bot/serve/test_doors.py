"""The same talk through every socket: a telephone's, and a program's at odd rates."""

import asyncio
from collections.abc import Callable

import pytest

from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.serve.support import STORY, Client, Plivo, Program, Served, Telephone, Telnyx, serving
from tests.bot.support import recordings_for

SCENARIO = {
    "recordings": recordings_for("weather", "question", "actually"),
    "replies": [
        {"match": "weather", "text": "It will be sunny all day."},
        {"match": "moon", "text": STORY},
        {"match": "another question", "text": "Please go ahead."},
    ],
}


@pytest.fixture(scope="module")
async def served():
    async with GoogleEmulator(scenario=SCENARIO) as google, serving(google.env) as running:
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


async def _talk(served: Served, make: Callable[[], Client], path: str) -> Client:
    """Three turns, the last of which interrupts the answer to the second."""
    async with make().calling(served.ws + path) as client:
        await asyncio.sleep(0.5)
        client.say("weather")
        await client.hears()
        await client.hears_silence()
        client.say("question")
        await client.hears()
        await asyncio.sleep(2.5)
        client.say("actually")
        await client.hears_silence(0.4)
        await client.hears()
        # That may have been a breath of the story: on a slow machine the answer takes longer than most silences.
        await client.hears_silence(2.5)
    return client


async def _holds(served: Served, *names: str) -> None:
    before = len(served.hubs)
    clients = await asyncio.gather(*(_talk(served, *CLIENTS[name]) for name in names))
    for hub in served.hubs[before:]:
        said = [entry.text.lower().rstrip(".?") for entry in hub.transcript.entries if isinstance(entry, UserSaid)]
        assert said == WORDS
        replies = [entry for entry in hub.transcript.entries if isinstance(entry, BotSaid)]
        assert [reply.interrupted for reply in replies] == [False, True, False]
        assert replies[0].heard_text == "It will be sunny all day."
        assert 0 < len(replies[1].heard_text) < len(STORY) / 2
    for client in clients:
        assert client.cleared or not isinstance(client, Telephone)


async def test_a_telephone_and_a_program_talk_at_once(served):
    await _holds(served, "telephone", "program")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(CLIENTS)[2:])
async def test_a_talk_by_other_companies_and_at_odd_rates(served, name):
    await _holds(served, name)
