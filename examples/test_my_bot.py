"""Test code that talks to Google without talking to Google: the emulator under pytest.

    pytest examples/test_my_bot.py

The fixtures come with halfcascade and need pytest-asyncio; with ``asyncio_mode = auto`` in the project's settings the
marks can go.
"""

import pytest

from halfcascade.emulator.faults import Fault
from halfcascade.processors.alone import TypedConversation, synthesize


@pytest.mark.asyncio
async def test_the_bot_remembers_my_name(google_emulator_factory):
    script = [{"match": "name is (\\w+)", "text": "Nice to meet you, {1}."}]
    google = await google_emulator_factory(scenario={"replies": script})

    async with TypedConversation() as chat:
        answer = "".join([piece async for piece in chat.ask("My name is Dana.")])

    assert answer.strip() == "Nice to meet you, Dana."
    assert len(google.log.streams("live")) == 1


@pytest.mark.asyncio
async def test_a_hiccup_of_the_voice_is_not_heard(google_emulator_factory):
    google = await google_emulator_factory(faults=[Fault("tts", "error", code="UNAVAILABLE")])

    speech = await synthesize("Once more with feeling.")

    assert len(speech.pcm) > 0
    assert [entry for entry in google.log if entry.api == "tts" and entry.event == "error"]
