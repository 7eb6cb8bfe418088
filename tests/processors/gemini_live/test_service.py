"""The brain as frames see it, against the emulated server."""

from pipecat.frames.frames import LLMFullResponseEndFrame, LLMFullResponseStartFrame, LLMTextFrame
from pipecat.services.llm_service import FunctionCallParams

from emulator.minds.base import FunctionCall
from emulator.minds.scripted_thinker import ScriptedReply
from processors.frames import TurnSentFrame
from tests.processors.gemini_live.harness import Google, talking

STORY = "Once upon a time there was a fox. It lived in a wood. " * 8


async def test_a_turn_is_answered_as_text_between_start_and_end() -> None:
    async with Google() as google, talking(google) as bench:
        assert await bench.answer("Hello there.") == "You said: Hello there."
        kinds = [
            type(frame)
            for frame in bench.down
            if isinstance(frame, LLMTextFrame | LLMFullResponseStartFrame | LLMFullResponseEndFrame)
        ]
        assert kinds[0] is LLMFullResponseStartFrame
        assert kinds[-1] is LLMFullResponseEndFrame
        assert kinds.count(LLMFullResponseStartFrame) == 1


async def test_each_turn_costs_one_short_message() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        await bench.answer("Two.")
        sent = google.received("client_content")
        assert [message["client_content"]["turns"][0]["parts"] for message in sent] == [
            [{"text": "One."}],
            [{"text": "Two."}],
        ]
        assert google.heard[-1] == [("user", "One."), ("model", "You said: One."), ("user", "Two.")]


async def test_the_sent_turn_is_broadcast() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        await bench.answer("Two.")
        assert [(f.text, f.turn, f.attempt) for f in bench.of(TurnSentFrame)] == [("One.", 1, 1), ("Two.", 2, 1)]


async def test_an_interruption_drops_the_rest_and_the_next_turn_says_what_was_heard() -> None:
    replies = [
        ScriptedReply(STORY, match="^Tell me a story", chars_per_second=60),
        ScriptedReply("About a fox.", match="about"),
    ]
    async with Google(replies) as google, talking(google) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.interrupt()
        cut = len(bench.of(LLMTextFrame))
        bench.context.add_message({"role": "assistant", "content": "Once upon a time"})
        assert await bench.answer("What was it about?") == "About a fox."
        assert "".join(frame.text for frame in bench.of(LLMTextFrame)[cut:]) == "About a fox."
        role, text = google.heard[-1][-1]
        assert role == "user"
        assert text.endswith("What was it about?")
        assert 'heard only: "Once upon a time"' in text


async def test_a_function_is_called_and_its_result_spoken() -> None:
    async def get_weather(params: FunctionCallParams, city: str) -> None:
        """Look up the weather.

        Args:
            city: Name of the city.
        """
        await params.result_callback({"sky": f"clear over {city}"})

    replies = [
        ScriptedReply(calls=[FunctionCall("get_weather", {"city": "Seoul"})], match="weather"),
        ScriptedReply("It is clear over Seoul.", result_of="get_weather"),
    ]
    async with Google(replies) as google, talking(google, tools=[get_weather]) as bench:
        assert await bench.answer("How is the weather?") == "It is clear over Seoul."
        declared = google.received("setup")[0]["setup"]["tools"][0]["functionDeclarations"][0]
        assert declared["name"] == "get_weather"
        assert declared["behavior"] == "BLOCKING"
        assert not bench.errors


async def test_the_connection_is_open_before_the_first_turn() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.until(lambda: google.received("setup"))
        await bench.answer("Hello.")
        assert len(google.received("setup")) == 1
