"""Turns and their answers, through the session machine: asked again, cancelled, given up; functions answered."""

import pytest

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.actions import (
    Apologize,
    Open,
    Report,
    SendResults,
    TurnSent,
)
from halfcascade.processors.gemini_live.protocol.answer_text import LATE_DELTA_SECS
from halfcascade.processors.gemini_live.protocol.history import Turn
from halfcascade.processors.gemini_live.protocol.models import lookup
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, TextDelta, ToolCalls
from tests.processors.gemini_live.machine_harness import (
    AUDIO,
    CLOSED,
    COMPLETE,
    INTERRUPTED,
    MODEL,
    OPTIONS,
    Session,
    handle,
    says,
    server,
)


def test_an_unanswered_turn_is_nudged_then_sent_again_then_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.wait(MODEL.answer_timeout_secs + 0.1)
    assert "Please answer" in session.sent()[-1]
    session.wait(MODEL.answer_timeout_secs)
    assert session.sent()[-1] == "user: Hello."
    assert [action.handle for action in session.of(Open)] == [None, "h1"]
    assert not session.of(Apologize)
    session.wait(MODEL.answer_timeout_secs)
    assert len(session.of(Apologize)) == 1
    assert session.of(Report)[-1].error
    session.wait(60)
    assert len(session.of(Apologize)) == 1


def test_answers_without_words_are_nudged_then_sent_again_then_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    for number, last in enumerate(["did not arrive", "user: Hello."]):
        session.take(AUDIO, COMPLETE, CLOSED, handle(f"holds wordless answer {number}"))
        session.wait(LATE_DELTA_SECS + 0.1)
        assert last in session.sent()[-1]
    assert [action.handle for action in session.of(Open)] == [None, "h1"]
    assert not session.of(Apologize)
    session.take(AUDIO, COMPLETE, CLOSED)
    session.wait(LATE_DELTA_SECS + 0.1)
    session.wait(60)
    assert session.of(Apologize) == [Apologize(1)]
    assert sum(report.error for report in session.of(Report)) == 1
    assert [action.attempt for action in session.of(TurnSent)] == [1, 2]
    session.say("And now?")
    session.answer("Yes.")
    assert session.of(TextDelta)[-1] == TextDelta(2, "Yes.")


def test_empty_answers_go_the_same_way() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    for _ in range(3):
        session.take(COMPLETE, CLOSED)
    assert session.sent() == ["user: Hello.", f"user: {wording.EMPTY_ANSWER_NUDGE}", "user: Hello."]
    assert session.of(Apologize) == [Apologize(1)]


def test_an_answer_whose_words_are_lost_with_the_connection_is_asked_for_again_and_not_nudged() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.take(AUDIO, COMPLETE, CLOSED, handle("h2"))
    session.feed(session.machine.lost, 1, 1011, "gone")
    assert session.sent() == ["user: Hello.", "user: Hello."]
    assert session.of(Open)[-1].handle == "h1"  # h2 remembers an answer nobody got
    for connection in range(2, OPTIONS.max_attempts + 1):
        assert not session.of(Apologize)
        session.take(AUDIO, COMPLETE)
        session.feed(session.machine.lost, connection, 1011, "gone")
    session.wait(60)
    assert session.sent() == ["user: Hello."] * OPTIONS.max_attempts
    assert session.of(Apologize) == [Apologize(1)]
    assert session.of(Report)[-1].error


def test_an_answer_whose_last_words_are_lost_with_the_connection_goes_on() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.take(AUDIO, COMPLETE, says("Hi, how"), handle("h2"))
    session.feed(session.machine.lost, 1, 1011, "gone")
    assert session.of(Open)[-1].handle == "h1"
    assert wording.go_on_from("Hi, how") in session.sent()[-1]
    session.answer("Hi, how are you?")
    session.wait(1)
    assert "".join(delta.text for delta in session.of(TextDelta)) == "Hi, how are you?"
    assert session.of(Ended) == [Ended(1, spoken=True)]


def test_silence_after_a_broken_connection_is_nudged_once_more_before_it_is_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.feed(session.machine.lost, 1, 1011, "gone")
    session.wait(MODEL.answer_timeout_secs)
    assert session.sent() == ["user: Hello.", "user: Hello.", f"user: {wording.NO_ANSWER_NUDGE}"]
    assert not session.of(Apologize)
    session.wait(60)
    assert session.of(Apologize) == [Apologize(1)]
    assert len(session.sent()) == 3


def test_a_long_answer_survives_a_second_broken_connection() -> None:
    session = Session()
    session.say("Tell me a story.")
    for number, delta in enumerate(["Once upon a time ", "there was a fox "]):
        session.take(says(delta))
        session.feed(session.machine.lost, number + 1, 1011, "gone")
    session.answer("in a wood.")
    assert "".join(delta.text for delta in session.of(TextDelta)) == "Once upon a time there was a fox in a wood."
    assert not session.of(Apologize)


def test_a_broken_connection_costs_neither_the_turn_nor_the_instruction_that_waits_behind_it() -> None:
    session = Session()
    session.say("Hello.")
    instruction = Turn(2, "[The timer is up.]", (), session.context)
    session.feed(session.machine.submit, instruction)
    session.feed(session.machine.lost, 1, 1011, "gone")
    assert session.sent()[-1] == "user: [The timer is up.]\nHello."
    session.answer("Hi. Your timer is up.")
    assert session.of(Ended) == [Ended(1, spoken=True)]


def test_a_turn_that_was_answered_is_not_sent_again_for_a_wordless_answer_to_a_result() -> None:
    session = Session()
    session.say("Wake me.")
    session.take(
        says("I will."), server(toolCall={"functionCalls": [{"id": "c1", "name": "timer", "args": {}}]}), COMPLETE
    )
    session.take(CLOSED)
    session.feed(session.machine.result, "c1", {"up": True})
    for _ in range(3):
        session.take(AUDIO, COMPLETE, CLOSED)
        session.wait(LATE_DELTA_SECS + 1)
    assert session.sent()[:2] == ["user: Wake me.", f"user: {wording.EMPTY_ANSWER_NUDGE}"]
    assert [action.attempt for action in session.of(TurnSent)] == [1]
    assert session.of(Apologize) == [Apologize(1)]


def test_an_answer_that_stalls_is_ended_with_what_there_is() -> None:
    session = Session()
    session.say("Tell me a story.")
    session.take(says("Once upon a time"))
    session.wait(OPTIONS.stall_secs + 1)
    assert session.of(Ended) == [Ended(1, spoken=True)]
    assert not session.of(Apologize)


def test_a_function_is_answered_on_the_connection_that_asked() -> None:
    session = Session()
    session.say("Weather?")
    session.take(server(toolCall={"functionCalls": [{"id": "c1", "name": "weather", "args": {}}]}))
    session.feed(session.machine.result, "c1", {"sky": "clear"})
    (answered,) = session.of(SendResults)
    assert answered.responses[0].id == "c1"
    assert answered.responses[0].scheduling is None
    assert answered.responses[0].response == {"sky": "clear"}


def test_a_function_call_without_an_id_is_answered_without_one() -> None:
    session = Session()
    session.say("Weather?")
    session.take(server(toolCall={"functionCalls": [{"name": "weather", "args": {}}]}))
    (calls,) = session.of(ToolCalls)
    assert calls.calls[0].id
    session.feed(session.machine.result, calls.calls[0].id, {"sky": "clear"})
    assert session.of(SendResults)[0].responses[0].id is None


def test_a_result_that_the_server_cancelled_is_not_sent() -> None:
    session = Session()
    session.say("Weather?")
    session.take(
        server(toolCall={"functionCalls": [{"id": "c1", "name": "weather", "args": {}}]}),
        server(toolCallCancellation={"ids": ["c1"]}),
    )
    session.feed(session.machine.result, "c1", {"sky": "clear"})
    assert not session.of(SendResults)


def test_a_result_after_an_interruption_of_a_blocking_call_is_not_sent() -> None:
    session = Session()
    session.say("Weather?")
    session.take(server(toolCall={"functionCalls": [{"id": "c1", "name": "weather", "args": {}}]}))
    session.feed(session.machine.interrupt)
    session.feed(session.machine.result, "c1", {"sky": "clear"})
    assert not session.of(SendResults)


def test_a_cancelled_answer_is_waited_for_before_the_next_turn_but_not_long() -> None:
    session = Session()
    session.say("Tell me a story.")
    session.take(says("Once upon"))
    session.feed(session.machine.interrupt)
    session.say("Stop.")
    assert session.sent()[-1] == ""  # the empty turn that cancels
    session.wait(OPTIONS.fence_secs + 0.01)
    assert session.sent()[-1].endswith("Stop.")


def test_a_turn_that_only_waits_for_its_imagined_playback_is_closed_while_the_user_speaks() -> None:
    session = Session()
    session.say("Tell me a story.")
    session.take(says("Once upon a time."), COMPLETE)
    session.heard("Once upon a time.")
    session.feed(session.machine.speaking, bot=False)
    session.feed(session.machine.interrupt)
    assert session.sent()[-1] == ""
    session.take(INTERRUPTED, CLOSED)
    session.feed(session.machine.interrupt)
    session.say("Thanks.")
    assert session.sent() == ["user: Tell me a story.", "", "user: Thanks."]
    session.answer("You are welcome.")
    assert session.of(TextDelta)[-1].text == "You are welcome."


@pytest.mark.parametrize("model", ["gemini-3.1-flash-live-preview", "gemini-2.5-flash-native-audio-latest"])
def test_a_model_that_finishes_its_answers_loses_the_connection_instead(model: str) -> None:
    session = Session(lookup(model))
    session.take(handle("h1"))
    session.say("Tell me a story.")
    session.take(says("Once upon"))
    session.feed(session.machine.interrupt)
    assert [action.handle for action in session.of(Open)] == [None, "h1"]


def test_a_withdrawn_turn_is_in_no_seed() -> None:
    session = Session()
    session.say("Hello.")
    session.answer("Hi.")
    turn = session.machine.history.take([*session.context, {"role": "user", "content": "What ti"}], 2, provisional=True)
    session.feed(session.machine.submit, turn)
    session.feed(session.machine.withdraw)
    session.feed(session.machine.lost, session.machine.link.serial, 1011, "gone")
    session.turns += 1
    session.say("What time is it?")
    assert "What ti " not in session.sent()[-2] + session.sent()[-1]
    assert session.sent()[-1].endswith("What time is it?")
    assert session.sent()[-2] == "user: Hello. | model: Hi."
