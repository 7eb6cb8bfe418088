"""The brain as frames see it, against the emulated server."""

import asyncio
import io
import logging
from typing import Any

import pytest
from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.frames.frames import (
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMMessagesAppendFrame,
    LLMSetToolsFrame,
    LLMTextFrame,
    LLMUpdateSettingsFrame,
    MetricsFrame,
    TTSSpeakFrame,
)
from pipecat.metrics.metrics import LLMUsageMetricsData, TTFBMetricsData
from pipecat.services.llm_service import FunctionCallParams

from halfcascade.emulator.live.faults import Drop, LiveFaults
from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.frames import TurnSentFrame
from halfcascade.processors.gemini_live import (
    GeminiLiveTextProcessor,
    GeminiLiveTextSettings,
    SessionOptions,
    builtin_tools,
)
from tests.processors.gemini_live.harness import Bench, Google, talking

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


async def test_an_interruption_before_the_first_word_says_that_nothing_was_heard() -> None:
    replies = [ScriptedReply("Never heard.", match=r"^First\.$", first_token=30.0)]
    async with Google(replies, default="Yes.") as google, talking(google) as bench:
        await bench.say("First.")
        await bench.sent(1)
        await bench.interrupt()
        assert await bench.answer("Second.") == "Yes."
        assert "before hearing anything" in google.heard[-1][-1][1]


async def test_several_interruptions_in_a_row_stay_truthful() -> None:
    replies = [ScriptedReply(STORY, match="story.$", chars_per_second=60)]
    async with Google(replies, default="Yes.") as google, talking(google) as bench:
        for count, heard in enumerate(("Once upon a time", "Once", "")):
            before = bench.text.count("fox")
            await bench.say(f"{count}: tell me a story.")
            await bench.until(lambda: bench.text.count("fox") > before)  # noqa: B023 - awaited at once
            await bench.interrupt()
            if heard:
                bench.context.add_message({"role": "assistant", "content": heard})
        await bench.answer("Stop.")
        texts = [text for role, text in google.heard[-1] if role == "user"]
        assert 'heard only: "Once upon a time"' in texts[1]
        assert 'heard only: "Once"' in texts[2]
        assert "before hearing anything" in texts[3]


async def test_an_answer_heard_to_its_end_needs_no_note() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        await bench.interrupt()
        await bench.answer("Two.")
        assert google.heard[-1][-1] == ("user", "Two.")


async def test_a_false_interruption_lets_the_bot_go_on_as_the_aggregator_asks() -> None:
    replies = [
        ScriptedReply(STORY, match="^Tell me a story", chars_per_second=60),
        ScriptedReply("Where was I? In a wood.", match="not recognized"),
    ]
    async with Google(replies) as google, talking(google) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.interrupt()
        bench.context.add_message({"role": "assistant", "content": "Once upon a time there was a fox."})
        await bench.say("The user may have said something, but it was not recognized.", role="developer")
        await bench.until(lambda: "Where was I? In a wood." in bench.answers)
        assert "there was a fox." in google.heard[-1][-1][1]


async def test_a_running_answer_is_cancelled_at_the_server_and_an_idle_one_is_left_alone() -> None:
    replies = [ScriptedReply(STORY, match="story", chars_per_second=60)]
    async with Google(replies) as google, talking(google) as bench:
        await bench.answer("Hello.")
        await bench.interrupt()
        await bench.say("A story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.interrupt()
        await bench.answer("Stop.")
        empty = [m for m in google.received("client_content") if not m["client_content"].get("turns")]
        assert len(empty) == 1


async def test_a_model_without_roles_gets_realtime_text_and_notes() -> None:
    settings = GeminiLiveTextSettings(model="gemini-3.1-flash-live-preview")
    replies = [ScriptedReply(STORY, match="^Tell me a story", chars_per_second=60)]
    async with Google(replies, default="Yes.") as google, talking(google, settings=settings) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.interrupt()
        bench.context.add_message({"role": "assistant", "content": "Once upon"})
        # It would finish the story first, so the connection is replaced while the user speaks.
        await bench.until(lambda: len(google.received("setup")) == 2)
        assert await bench.answer("What was it about?") == "Yes."
        assert not google.received("client_content")
        told = google.received("realtime_input")[-1]["realtime_input"]["text"]
        assert told.splitlines() == [
            "[Earlier the user said: Tell me a story.]",
            "[Earlier the user heard you say: Once upon]",
            "What was it about?",
        ]


async def test_a_model_without_roles_is_seeded_through_history_config() -> None:
    settings = GeminiLiveTextSettings(model="gemini-3.1-flash-live-preview")
    past = [{"role": "user", "content": "My name is Ada."}, {"role": "assistant", "content": "Hello Ada."}]
    async with Google() as google, talking(google, settings=settings, messages=past) as bench:
        await bench.answer("What is my name?")
        assert list(google.received("setup")[0]["setup"]["historyConfig"].values()) == [True]
        assert google.heard == [[("user", "My name is Ada."), ("model", "Hello Ada."), ("user", "What is my name?")]]


async def test_a_conversation_that_began_elsewhere_is_seeded() -> None:
    past = [
        {"role": "system", "content": "You are a parrot."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello Ada."},
    ]
    async with Google() as google, talking(google, messages=past) as bench:
        await bench.answer("What is my name?")
        setup = google.received("setup")[0]["setup"]
        assert setup["systemInstruction"]["parts"][0]["text"] == "You are a parrot."
        assert google.heard == [[("user", "My name is Ada."), ("model", "Hello Ada."), ("user", "What is my name?")]]


async def test_a_run_without_a_message_lets_the_bot_begin() -> None:
    async with Google(default="Welcome!") as google, talking(google) as bench:
        await bench.push(LLMContextFrame(bench.context))
        await bench.until(lambda: bench.answers == ["Welcome!"])
        assert google.heard[0][0][0] == "user"


async def test_an_instruction_waits_until_the_user_has_the_answer() -> None:
    replies = [ScriptedReply(STORY, match="^Tell me a story", chars_per_second=600), ScriptedReply("Tea!", match="tea")]
    async with Google(replies) as google, talking(google) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: "fox" in bench.text)
        await bench.say("The tea timer went off.", role="developer")
        await bench.until(lambda: "Tea!" in bench.text)
        assert bench.text == STORY + "Tea!"
        assert google.heard[-1][-1] == ("user", "[Instruction: The tea timer went off.]")


async def test_words_spoken_by_others_are_told_to_the_model() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        bench.context.add_message({"role": "assistant", "content": "This call is recorded."})
        await bench.answer("Two.")
        assert google.heard[-1][-2:] == [("model", "This call is recorded."), ("user", "Two.")]


async def test_tokens_are_counted_and_thrown_away_audio_on_its_own() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("Hello.")
        await bench.until(lambda: usages(bench))
        usage = usages(bench)[0].value
        assert usage.prompt_tokens > 0
        assert usage.output_audio_tokens > 0
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        assert any(isinstance(d, TTFBMetricsData) for frame in bench.of(MetricsFrame) for d in frame.data)


def usages(bench: Bench) -> list[LLMUsageMetricsData]:
    return [d for frame in bench.of(MetricsFrame) for d in frame.data if isinstance(d, LLMUsageMetricsData)]


@pytest.mark.parametrize(
    "deltas",
    [
        ["안녕하", "세요. 저는", " 봇이", "에요."],
        ["こんに", "ちは。", "元気ですか？"],
        ["你好", "。今天", "天气很好。"],
        [" Hello", " the", "re. ", "How", "  are you", "?"],
    ],
)
async def test_pieces_are_joined_without_losing_or_adding_a_space(deltas: list[str]) -> None:
    async with Google([ScriptedReply(deltas)]) as google, talking(google) as bench:
        assert await bench.answer("Hello.") == "".join(deltas).lstrip()


# Functions.


def slow_tool(release: asyncio.Event, calls: list[str]) -> Any:
    async def look_up(params: FunctionCallParams, what: str) -> None:
        """Look something up.

        Args:
            what: What.
        """
        calls.append(what)
        await release.wait()
        await params.result_callback({"found": what})

    return look_up


LOOK_UP = [
    ScriptedReply(calls=[FunctionCall("look_up", {"what": "fox"})], match=r"look\.$"),
    ScriptedReply("Found a fox.", result_of="look_up"),
]


async def test_a_filler_is_spoken_while_a_function_takes_long() -> None:
    release = asyncio.Event()
    settings = GeminiLiveTextSettings(filler_after=0.05, language="ko-KR")
    async with (
        Google(LOOK_UP) as google,
        talking(google, settings=settings, tools=[slow_tool(release, [])]) as bench,
    ):
        await bench.say("Please look.")
        await bench.until(lambda: bench.of(TTSSpeakFrame))
        filler = bench.of(TTSSpeakFrame)[0]
        assert filler.text == "잠시만요."
        assert not filler.append_to_context
        release.set()
        await bench.until(lambda: bench.answers == ["Found a fox."])
        assert len(bench.of(TTSSpeakFrame)) == 1


async def test_a_quick_function_needs_no_filler() -> None:
    release = asyncio.Event()
    release.set()
    async with Google(LOOK_UP) as google, talking(google, tools=[slow_tool(release, [])]) as bench:
        await bench.answer("Please look.")
        assert not bench.of(TTSSpeakFrame)


async def test_barge_in_cancels_a_function_and_its_answer() -> None:
    release = asyncio.Event()
    async with Google(LOOK_UP, default="Yes.") as google, talking(google, tools=[slow_tool(release, [])]) as bench:
        await bench.say("Please look.")
        await bench.until(lambda: bench.of(FunctionCallInProgressFrame))
        await bench.interrupt()
        await bench.until(lambda: bench.of(FunctionCallCancelFrame))
        release.set()
        assert await bench.answer("Never mind.") == "Yes."
        assert not google.received("tool_response")


async def test_a_function_that_outlives_interruptions_tells_its_result_later() -> None:
    release = asyncio.Event()
    look_up = tool_options(cancel_on_interruption=False)(slow_tool(release, []))
    async with Google(LOOK_UP, default="Yes.") as google, talking(google, tools=[look_up]) as bench:
        await bench.say("Please look.")
        await bench.until(lambda: bench.of(FunctionCallInProgressFrame))
        declared = google.received("setup")[0]["setup"]["tools"][0]["functionDeclarations"]
        assert [f["behavior"] for f in declared] == ["NON_BLOCKING"]
        assert await bench.answer("And how are you?") == "Yes."
        release.set()
        await bench.until(lambda: "Found a fox." in bench.text)


async def test_results_of_calls_made_together_are_answered_together() -> None:
    replies = [
        ScriptedReply(
            calls=[FunctionCall("look_up", {"what": "fox"}), FunctionCall("look_up", {"what": "crow"})], match="look"
        ),
        ScriptedReply("Found both.", result_of="look_up"),
    ]
    release = asyncio.Event()
    release.set()
    async with Google(replies) as google, talking(google, tools=[slow_tool(release, [])]) as bench:
        assert await bench.answer("Please look.") == "Found both."
        responses = google.received("tool_response")
        assert len(responses) == 1
        assert [r["response"] for r in responses[0]["tool_response"]["functionResponses"]] == [
            {"found": "fox"},
            {"found": "crow"},
        ]
        assert "scheduling" not in str(responses)


async def test_a_function_runs_once_although_the_connection_breaks_meanwhile() -> None:
    release = asyncio.Event()
    calls: list[str] = []
    faults = LiveFaults(drops=[Drop(turn=1, phase="tool_call")])
    replies = [ScriptedReply("Found a fox.", match="already called look_up"), *LOOK_UP]
    async with Google(replies, faults) as google, talking(google, tools=[slow_tool(release, calls)]) as bench:
        await bench.say("Please look.")
        await bench.until(lambda: len(google.received("setup")) == 2)
        release.set()
        await bench.until(lambda: bench.answers == ["Found a fox."])
        assert calls == ["fox"]


async def test_a_function_that_takes_too_long_is_answered_with_an_error() -> None:
    look_up = tool_options(timeout_secs=0.1)(slow_tool(asyncio.Event(), []))
    replies = [LOOK_UP[0], ScriptedReply("It took too long.", result_of="look_up")]
    async with Google(replies) as google, talking(google, tools=[look_up]) as bench:
        assert await bench.answer("Please look.") == "It took too long."


async def test_timers_speak_up_later_and_the_model_knows() -> None:
    replies = [
        ScriptedReply(calls=[FunctionCall("set_timer", {"seconds": 0.2, "label": "tea"})], match="^Set"),
        ScriptedReply("I will tell you.", result_of="set_timer"),
        ScriptedReply("Your tea is ready.", match="has just gone off"),
    ]
    async with Google(replies) as google, talking(google, tools=builtin_tools()) as bench:
        assert await bench.answer("Set a timer.") == "I will tell you."
        await bench.until(lambda: bench.of(LLMMessagesAppendFrame))
        # What the assistant aggregator does with it:
        frame = bench.of(LLMMessagesAppendFrame)[0]
        assert frame.run_llm
        bench.context.add_messages(frame.messages)
        await bench.push(LLMContextFrame(bench.context))
        await bench.until(lambda: bench.answers[-1] == "Your tea is ready.")


# Settings, models, errors.


async def test_a_new_instruction_takes_effect_at_the_next_turn_and_nothing_is_forgotten() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("My name is Ada.")
        delta = GeminiLiveTextSettings(system_instruction="You are a pirate.")
        await bench.push(LLMUpdateSettingsFrame(delta=delta))
        await bench.answer("What is my name?")
        assert len(google.received("setup")) == 2
        assert "pirate" in str(google.received("setup")[1]["setup"]["systemInstruction"])
        assert google.thinker.conversations[-1].system_instruction == "You are a pirate."
        assert google.heard[-1] == [
            ("user", "My name is Ada."),
            ("model", "You said: My name is Ada."),
            ("user", "What is my name?"),
        ]


async def test_new_settings_that_the_session_keeps_are_taken_by_resuming() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        await bench.push(LLMUpdateSettingsFrame(delta=GeminiLiveTextSettings(temperature=0.3)))
        await bench.answer("Two.")
        setup = google.received("setup")[1]["setup"]
        assert setup["generationConfig"]["temperature"] == 0.3
        assert setup["sessionResumption"]["handle"]
        assert google.heard[-1] == [("user", "One."), ("model", "You said: One."), ("user", "Two.")]


async def test_new_settings_of_our_own_leave_the_connection_alone() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("One.")
        await bench.push(LLMUpdateSettingsFrame(delta=GeminiLiveTextSettings(filler_after=9.0)))
        await bench.answer("Two.")
        assert len(google.received("setup")) == 1


async def test_new_tools_are_declared_before_the_next_turn() -> None:
    release = asyncio.Event()
    release.set()
    async with Google(LOOK_UP) as google, talking(google) as bench:
        await bench.answer("Hello.")
        bench.context.set_tools([slow_tool(release, [])])
        await bench.push(LLMSetToolsFrame(tools=bench.context.tools))
        assert await bench.answer("Please look.") == "Found a fox."
        assert len(google.received("setup")) == 2


async def test_text_is_asked_for_where_it_is_given() -> None:
    settings = GeminiLiveTextSettings(model="gemini-live-2.5-flash")
    async with Google([ScriptedReply(STORY, match="story")]) as google:
        brain = GeminiLiveTextProcessor(google.vertex_client(), settings=settings)
        async with talking(brain=brain) as bench:
            assert await bench.answer("Hello.") == "You said: Hello."
            assert await bench.answer("A story.") == STORY
            setups = [message["setup"] for message in google.received("setup")]
            assert [setup["generationConfig"]["responseModalities"] for setup in setups] == [["TEXT"]]
            assert setups[0]["model"].startswith("projects/")


async def test_text_refused_falls_back_to_audio_with_transcription() -> None:
    settings = GeminiLiveTextSettings(modality="text")
    async with Google() as google, talking(google, settings=settings) as bench:
        assert await bench.answer("Hello.") == "You said: Hello."
        setups = [s["setup"] for s in google.received("setup")]
        assert [s["generationConfig"]["responseModalities"] for s in setups] == [["TEXT"], ["AUDIO"]]
        assert "outputAudioTranscription" in setups[1]
        assert not bench.errors


async def test_an_unknown_model_gives_one_line() -> None:
    settings = GeminiLiveTextSettings(model="gemini-9.9-nothing")
    async with Google() as google, talking(google, settings=settings) as bench:
        await bench.until(lambda: bench.errors)
        assert bench.errors == [
            "Model gemini-9.9-nothing does not exist for the Live API: choose another, such as gemini-3.8-live."
        ]
        assert not bench.brain.is_usable


async def test_a_wrong_key_gives_one_line_without_the_key() -> None:
    async with Google(api_key="another") as google, talking(google) as bench:
        await bench.until(lambda: bench.errors)
        assert len(bench.errors) == 1
        assert "credentials" in bench.errors[0]
        assert "test-key" not in bench.errors[0]


async def test_an_unreachable_server_is_reported_and_the_turn_given_up_aloud() -> None:
    google = Google()
    client = google.client()
    options = SessionOptions(backoff_secs=0.02, offline_secs=0.5)
    brain = GeminiLiveTextProcessor(client, options=options)
    async with talking(brain=brain) as bench:
        assert (await bench.answer("Hello?")).startswith("Sorry")
        assert any("cannot be reached" in error for error in bench.errors)


async def test_the_key_never_appears_in_the_log() -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE")
    handler = logging.StreamHandler(stream := io.StringIO())
    logging.getLogger().addHandler(handler)
    level = logging.getLogger().level
    logging.getLogger().setLevel(logging.DEBUG)
    try:
        faults = LiveFaults(drops=[Drop(turn=1, phase="after", code=1011)])
        async with Google(faults=faults) as google, talking(google) as bench:
            await bench.answer("Hello.")
            await bench.answer("Hello again.")
    finally:
        logger.remove(sink)
        logging.getLogger().removeHandler(handler)
        logging.getLogger().setLevel(level)
    assert lines
    assert "test-key" not in "".join(lines) + stream.getvalue()
