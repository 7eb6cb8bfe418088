"""The brain between Pipecat's own aggregators: what they write into the context is what the model is told."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.frames.frames import (
    FunctionCallResultProperties,
    InterruptionFrame,
    LLMMessagesAppendFrame,
    LLMMessagesUpdateFrame,
    LLMRunFrame,
    LLMTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.services.llm_service import FunctionCallParams

from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, builtin_tools
from tests.processors.gemini_live.harness import LONG, Bench, Google
from tests.running import running


@asynccontextmanager
async def conversing(google: Google, tools: Sequence[Any] = ()) -> AsyncIterator[Bench]:
    """Run aggregators around a brain; without a voice, what is said counts as heard."""
    context = LLMContext(**({"tools": list(tools)} if tools else {}))
    brain = GeminiLiveTextProcessor(google.client(), context=context)
    bench = Bench(brain, context)
    pair = LLMContextAggregatorPair(context)
    worker = PipelineWorker(
        Pipeline([pair.user(), bench.source, brain, bench.sink, pair.assistant()]),
        cancel_on_idle_timeout=False,
        enable_rtvi=False,
    )
    bench.worker = worker
    async with running(worker, LONG):
        yield bench


async def say(bench: Bench, text: str, role: str = "user") -> None:
    await bench.worker.queue_frame(LLMMessagesAppendFrame([{"role": role, "content": text}], run_llm=True))


async def answered(bench: Bench, text: str) -> str:
    before = len(bench.answers)
    await say(bench, text)
    await bench.until(lambda: len(bench.answers) > before)
    spoken = bench.answers[-1]
    await bench.until(lambda: spoken in str(bench.context.messages))
    return spoken


def spoken_roles(google: Google) -> list[tuple[str, str]]:
    return [(role, text) for role, text in google.heard[-1] if text]


async def test_a_greeting_then_a_conversation() -> None:
    async with Google([ScriptedReply("Welcome!", match="your turn")]) as google, conversing(google) as bench:
        await bench.worker.queue_frame(LLMRunFrame())
        await bench.until(lambda: bench.answers == ["Welcome!"])
        await bench.until(lambda: len(bench.context.messages) == 1)
        await answered(bench, "Hello.")
        assert spoken_roles(google)[1:] == [("model", "Welcome!"), ("user", "Hello.")]


async def test_a_function_in_a_conversation_is_told_once() -> None:
    async def look_up(params: FunctionCallParams, what: str) -> None:
        """Look something up.

        Args:
            params: Pipecat's.
            what: What.
        """
        await params.result_callback({"found": what})

    replies = [
        ScriptedReply(calls=[FunctionCall("look_up", {"what": "fox"})], match=r"look\.$"),
        ScriptedReply("Found a fox.", result_of="look_up"),
    ]
    async with Google(replies) as google, conversing(google, [look_up]) as bench:
        assert await answered(bench, "Please look.") == "Found a fox."
        assert await answered(bench, "Thanks.") == "You said: Thanks."
        assert [text for role, text in spoken_roles(google) if role == "user"] == ["Please look.", "Thanks."]
        assert len(google.received("tool_response")) == 1
        assert len(google.received("setup")) == 1


async def test_a_function_in_the_background_is_told_once() -> None:
    release = asyncio.Event()

    @tool_options(cancel_on_interruption=False)
    async def look_up(params: FunctionCallParams, what: str) -> None:
        """Look something up.

        Args:
            params: Pipecat's.
            what: What.
        """
        await release.wait()
        await params.result_callback({"found": what})

    replies = [
        ScriptedReply("I will.", calls=[FunctionCall("look_up", {"what": "fox"})], match=r"look\.$"),
        ScriptedReply("Found a fox.", result_of="look_up"),
    ]
    async with Google(replies) as google, conversing(google, [look_up]) as bench:
        assert await answered(bench, "Please look.") == "I will."
        assert await answered(bench, "And how are you?") == "You said: And how are you?"
        release.set()
        await bench.until(lambda: "Found a fox." in bench.answers)
        await bench.until(lambda: "Found a fox." in str(bench.context.messages))
        await answered(bench, "Thanks.")
        users = [text for role, text in spoken_roles(google) if role == "user"]
        assert users == ["Please look.", "And how are you?", "Thanks."]
        assert bench.answers.count("Found a fox.") == 1


async def test_a_function_whose_result_is_not_to_be_spoken_stays_silent() -> None:
    async def note_down(params: FunctionCallParams) -> None:
        """Write it down.

        Args:
            params: Pipecat's.
        """
        await params.result_callback("noted", properties=FunctionCallResultProperties(run_llm=False))

    replies = [
        ScriptedReply("Sure.", calls=[FunctionCall("note_down", {})], match=r"down\.$"),
        ScriptedReply("I noted it.", result_of="note_down"),
    ]
    async with Google(replies) as google, conversing(google, [note_down]) as bench:
        assert await answered(bench, "Note it down.") == "Sure."
        await bench.until(lambda: google.received("tool_response"))
        await answered(bench, "Thanks.")
        assert "I noted it." not in bench.text


async def test_a_timer_speaks_up_by_itself() -> None:
    replies = [
        ScriptedReply(calls=[FunctionCall("set_timer", {"seconds": 0.1, "label": "tea"})], match="^Set"),
        ScriptedReply("I will tell you.", result_of="set_timer"),
        ScriptedReply("Your tea is ready.", match="has just gone off"),
    ]
    async with Google(replies) as google, conversing(google, builtin_tools()) as bench:
        await answered(bench, "Set a timer.")
        await bench.until(lambda: "Your tea is ready." in bench.answers)


async def test_what_the_aggregator_kept_of_an_interrupted_answer_is_what_the_model_learns() -> None:
    story = "Once upon a time there was a fox who lived in a wood. " * 8
    replies = [ScriptedReply(story, match=r"^Tell me a story\.$", chars_per_second=60)]
    async with Google(replies, default="A fox.") as google, conversing(google) as bench:
        await say(bench, "Tell me a story.")
        await bench.until(lambda: len(bench.of(LLMTextFrame)) >= 2)
        await bench.worker.queue_frame(InterruptionFrame())
        await bench.until(lambda: bench.of(InterruptionFrame))
        await bench.until(lambda: any(m["role"] == "assistant" for m in bench.context.messages))
        heard = bench.context.messages[-1]["content"]
        assert story.startswith(heard)
        await answered(bench, "What was it about?")
        assert f'heard only: "{heard.strip()}"' in spoken_roles(google)[-1][1]


async def test_a_context_that_was_replaced_gives_a_fresh_session() -> None:
    async with Google() as google, conversing(google) as bench:
        await answered(bench, "One.")
        summary = [{"role": "user", "content": "So far: we counted to one."}, {"role": "assistant", "content": "Yes."}]
        await bench.worker.queue_frame(LLMMessagesUpdateFrame(list(summary), run_llm=False))
        await answered(bench, "Two.")
        assert spoken_roles(google) == [
            ("user", "So far: we counted to one."),
            ("model", "Yes."),
            ("user", "Two."),
        ]
