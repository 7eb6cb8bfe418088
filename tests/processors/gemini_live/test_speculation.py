"""Speculative turns: sent early, held by Pipecat's gate, and leaving no trace when they are withdrawn."""

from typing import Any

from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    FunctionCallInProgressFrame,
    LLMContextFrame,
    LLMTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.llm_service import FunctionCallParams

from halfcascade.emulator.minds.base import FunctionCall
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.frames import AnswerForeseenFrame, TurnSentFrame
from tests.processors.gemini_live.harness import Bench, Google, talking


async def begin(bench: Bench) -> None:
    await bench.push(UserStartedSpeakingFrame())
    await bench.interrupt()


async def speculate(bench: Bench, text: str) -> None:
    """The user aggregator's part on an eager end of turn."""
    before = len(bench.of(TurnSentFrame))
    messages: list[Any] = [*bench.context.messages, {"role": "user", "content": text}]
    await bench.push(LLMContextFrame(LLMContext(messages, bench.context.tools), speculation=True))
    await bench.sent(before + 1)


async def withdraw(bench: Bench) -> None:
    before = len(bench.of(EagerEndOfTurnCancelFrame))
    await bench.push(EagerEndOfTurnCancelFrame())
    await bench.until(lambda: len(bench.of(EagerEndOfTurnCancelFrame)) > before)


async def server_is_done(bench: Bench, google: Google, turns: int) -> None:
    await bench.until(lambda: sum("turnComplete" in str(e.data) for e in google.log.find(event="sent")) >= turns)


def foreseen(bench: Bench) -> str:
    return "".join(frame.text for frame in bench.of(AnswerForeseenFrame))


async def test_a_confirmed_speculation_is_spoken_once_the_turn_has_ended() -> None:
    async with Google() as google, talking(google) as bench:
        await begin(bench)
        await speculate(bench, "What time is it")
        await server_is_done(bench, google, 1)
        assert not bench.of(LLMTextFrame)
        # The voice may make ready what nobody hears yet.
        await bench.until(lambda: foreseen(bench) == "You said: What time is it")
        await bench.push(UserStoppedSpeakingFrame())
        await bench.until(lambda: bench.answers == ["You said: What time is it"])
        assert foreseen(bench) == bench.text
        bench.context.add_message({"role": "user", "content": "What time is it?"})
        bench.context.add_message({"role": "assistant", "content": "You said: What time is it"})
        await bench.answer("Thanks.")
        assert google.heard[-1] == [
            ("user", "What time is it"),
            ("model", "You said: What time is it"),
            ("user", "Thanks."),
        ]
        assert len(google.received("setup")) == 1


async def test_a_withdrawn_speculation_leaves_no_trace() -> None:
    async with Google() as google, talking(google) as bench:
        await bench.answer("Hello.")
        await begin(bench)
        await speculate(bench, "What time")
        await server_is_done(bench, google, 2)
        await withdraw(bench)
        await bench.until(lambda: len(google.received("setup")) == 2)
        assert google.received("setup")[1]["setup"]["sessionResumption"]["handle"]
        await bench.push(UserStoppedSpeakingFrame())
        await bench.answer("What time is it in Seoul?")
        assert google.heard[-1] == [
            ("user", "Hello."),
            ("model", "You said: Hello."),
            ("user", "What time is it in Seoul?"),
        ]
        assert bench.text == "You said: Hello.You said: What time is it in Seoul?"


async def test_the_real_turn_right_behind_a_withdrawal_does_not_wait_for_a_new_connection() -> None:
    async with Google(default="Yes.") as google, talking(google) as bench:
        await bench.answer("Hello.")
        await begin(bench)
        await speculate(bench, "What time")
        await bench.push(EagerEndOfTurnCancelFrame())
        await bench.push(UserStoppedSpeakingFrame())
        assert await bench.answer("What time is it in Seoul?") == "Yes."
        assert len(google.received("setup")) == 1
        note, said = google.heard[-1][-1][1].split("]", 1)
        assert "Ignore the user's previous message" in note
        assert said == "What time is it in Seoul?"


async def test_functions_of_an_unconfirmed_speculation_are_not_run() -> None:
    called: list[str] = []

    async def open_door(params: FunctionCallParams) -> None:
        """Open the door."""
        called.append("door")
        await params.result_callback("open")

    replies = [
        ScriptedReply(calls=[FunctionCall("open_door", {})], match="door"),
        ScriptedReply("It is open.", result_of="open_door"),
    ]
    async with Google(replies) as google, talking(google, tools=[open_door]) as bench:
        await begin(bench)
        await speculate(bench, "Open the door")
        await bench.until(lambda: bench.of(EagerEndOfTurnCancelFrame))
        assert not called
        assert not bench.of(FunctionCallInProgressFrame)
        await bench.push(UserStoppedSpeakingFrame())
        assert await bench.answer("Open the door.") == "It is open."
        assert called == ["door"]


async def test_a_confirmation_that_overtakes_the_question_counts() -> None:
    async with Google() as google, talking(google) as bench:
        await begin(bench)
        await bench.push(UserStoppedSpeakingFrame())
        await bench.until(lambda: bench.of(UserStoppedSpeakingFrame))
        await speculate(bench, "What time is it")
        await bench.until(lambda: bench.answers == ["You said: What time is it"])
        bench.context.add_message({"role": "user", "content": "What time is it?"})
        bench.context.add_message({"role": "assistant", "content": "You said: What time is it"})
        await begin(bench)
        await bench.answer("Thanks.")
        assert google.heard[-1] == [
            ("user", "What time is it"),
            ("model", "You said: What time is it"),
            ("user", "Thanks."),
        ]
        assert len(google.received("setup")) == 1


async def test_what_the_program_asks_meanwhile_takes_the_place_of_an_early_question() -> None:
    async with Google() as google, talking(google) as bench:
        await begin(bench)
        await speculate(bench, "What time is it")
        await server_is_done(bench, google, 1)
        await bench.say("The timer went off.", role="developer")
        await bench.until(lambda: any(isinstance(frame, EagerEndOfTurnCancelFrame) for frame in bench.up))
        await bench.push(UserStoppedSpeakingFrame())
        await bench.until(lambda: len(bench.answers) == 1)
        assert "timer" in bench.text
        assert "time is it" not in bench.text
