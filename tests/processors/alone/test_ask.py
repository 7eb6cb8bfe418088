import asyncio
import sys

import pytest

from halfcascade.emulator.faults import Faults
from halfcascade.emulator.live.faults import LiveFaults, TurnFault
from halfcascade.processors.alone import TypedConversation, ask
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, builtin_tools
from tests.processors.gemini_live.test_faults import QUICK

STORY = "Once upon a time there was an old clock. " + "It ticked on and on. " * 40
SCENARIO = {
    "replies": [
        {"match": "what time", "calls": [{"name": "get_current_time"}]},
        {"result_of": "get_current_time", "text": "It is noon."},
        {"match": "story", "text": STORY},
        {"match": "name", "text": "You are Dana."},
    ]
}


async def test_one_question_has_one_answer(google_emulator_factory):
    await google_emulator_factory(scenario=SCENARIO)
    assert "".join([piece async for piece in ask("What is my name?")]).strip() == "You are Dana."


async def test_a_conversation_calls_tools_and_goes_on(google_emulator_factory):
    google = await google_emulator_factory(scenario=SCENARIO)
    async with TypedConversation(tools=builtin_tools()) as chat:
        assert "".join([piece async for piece in chat.ask("What time is it?")]).strip() == "It is noon."
        assert "".join([piece async for piece in chat.ask("What is my name?")]).strip() == "You are Dana."
    assert len(google.log.streams("live")) == 1
    roles = [message["role"] for message in chat.context.messages if message["role"] in ("user", "assistant")]
    assert roles[0] == "user" and roles[-1] == "assistant"


async def test_an_answer_left_early_is_interrupted_and_the_next_one_is_clean(google_emulator_factory):
    await google_emulator_factory(scenario=SCENARIO, profile="reference")
    async with TypedConversation() as chat:
        read = ""
        async with asyncio.timeout(20):
            answer = chat.ask("Tell me a story.")
            async for piece in answer:
                read += piece
                if len(read) > 50:
                    break
            await answer.aclose()
            after = "".join([piece async for piece in chat.ask("What is my name?")])
    assert len(read) < len(STORY) / 2
    assert after.strip() == "You are Dana."


@pytest.mark.parametrize("text", ["", " \n\t", "x" * 100_001])
async def test_what_cannot_be_asked_is_one_line(google_emulator, text):
    async with TypedConversation() as chat:
        with pytest.raises(ConfigurationError) as raised:
            async for _ in chat.ask(text):
                pass
    assert "\n" not in str(raised.value)


async def test_control_characters_and_long_texts_are_answered(google_emulator_factory):
    await google_emulator_factory(scenario={"default_reply": "All right."})
    async with TypedConversation() as chat:
        for text in ("\x1b]0;title\x07 \x00 hello \u202e", "long " * 19_000):
            assert "".join([piece async for piece in chat.ask(text)]).strip() == "All right."


async def test_a_model_that_is_refused_is_one_line(google_emulator):
    read = ""
    with pytest.raises(ConfigurationError, match="gemini-none"):
        async for piece in ask("Hello", model="gemini-none"):
            read += piece
    assert read == ""


async def test_an_answer_that_cannot_be_had_is_an_error_and_the_next_one_can(google_emulator_factory, monkeypatch):
    class Hasty(GeminiLiveTextProcessor):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, options=QUICK, **kwargs)

    monkeypatch.setattr(sys.modules[TypedConversation.__module__], "GeminiLiveTextProcessor", Hasty)
    silent = LiveFaults(turns=[TurnFault(silent=True)])
    await google_emulator_factory(scenario={"default_reply": "All right."}, faults=Faults(live=silent))
    async with TypedConversation() as chat:
        read = ""
        with pytest.raises(ConfigurationError, match="gave no answer"):
            async for piece in chat.ask("Hello"):
                read += piece
        assert read == ""
        silent.turns.clear()
        assert "".join([piece async for piece in chat.ask("Hello?")]).strip() == "All right."
