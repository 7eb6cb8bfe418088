"""The session machine alone: fed messages and clock readings, no sockets, no sleeps."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.gemini_live import wording
from processors.gemini_live.actions import (
    Action,
    Apologize,
    Close,
    Open,
    Report,
    SendContent,
    SendResults,
    SendText,
    TurnSent,
)
from processors.gemini_live.history import Turn
from processors.gemini_live.link import LinkState, Renewal
from processors.gemini_live.models import Modality, Refusal, Remedy, lookup
from processors.gemini_live.options import SessionOptions
from processors.gemini_live.session import SessionMachine
from processors.gemini_live.turn_events import Ended, Piece, Started, ToolCalls
from processors.gemini_live.turns import LATE_PIECE_SECS

OPTIONS = SessionOptions()
MODEL = lookup("gemini-3.8-live")

MAX_ATTEMPTS = SessionOptions().max_attempts


def server(**fields: Any) -> types.LiveServerMessage:
    return types.LiveServerMessage.model_validate(fields)


def says(text: str, **more: Any) -> types.LiveServerMessage:
    return server(serverContent={"outputTranscription": {"text": text}, **more})


COMPLETE = server(serverContent={"generationComplete": True})
CLOSED = server(serverContent={"turnComplete": True})
INTERRUPTED = server(serverContent={"interrupted": True})


def handle(value: str) -> types.LiveServerMessage:
    return server(sessionResumptionUpdate={"newHandle": value, "resumable": True})


class Session:
    """A machine with a clock, whose connections open at once unless told otherwise."""

    def __init__(self, model: Any = MODEL, options: SessionOptions = OPTIONS, *, opens: bool = True) -> None:
        self.machine = SessionMachine(model, options)
        self.now = 1000.0
        self.opens = opens
        self.done: list[Action] = []
        self.context: list[Any] = []
        self.turns = 0
        self.feed(self.machine.start)

    def feed(self, step: Callable[..., list[Action]], *args: Any, **kwargs: Any) -> list[Action]:
        actions = step(*args, self.now, **kwargs)
        for action in actions:
            self.done.append(action)
            if isinstance(action, Open) and self.opens:
                self.feed(self.machine.opened, action.serial, Modality.AUDIO)
            elif isinstance(action, Close):
                self.feed(self.machine.closed, action.serial)
        return actions

    def take(self, *messages: types.LiveServerMessage) -> None:
        for message in messages:
            self.now += 0.01
            self.feed(self.machine.message, self.machine.link.serial, message)

    def say(self, text: str, role: str = "user", **kwargs: Any) -> None:
        self.context.append({"role": role, "content": text})
        self.turns += 1
        turn = self.machine.history.take(self.context, self.turns, **kwargs)
        assert turn is not None
        self.feed(self.machine.submit, turn)

    def heard(self, text: str) -> None:
        self.context.append({"role": "assistant", "content": text})

    def answer(self, text: str) -> None:
        self.take(says(text), COMPLETE, CLOSED)
        self.heard(text)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        steps = 0
        while (due := self.machine.deadline(self.now)) is not None and due <= end:
            steps += 1
            assert steps < 1000, "the machine never comes to rest"
            self.now = max(self.now + 0.001, due)
            self.feed(self.machine.tick)
        self.now = end

    def of(self, kind: type) -> list[Any]:
        return [action for action in self.done if isinstance(action, kind)]

    def sent(self) -> list[str]:
        """Texts of everything written, as roles and parts."""
        written = []
        for action in self.done:
            if isinstance(action, SendContent):
                written.append(" | ".join(f"{c.role}: {' '.join(p.text for p in c.parts)}" for c in action.contents))
            elif isinstance(action, SendText):
                written.append(action.text)
        return written


def test_a_turn_waits_for_the_connection_and_is_sent_once() -> None:
    session = Session(opens=False)
    session.say("Hello.")
    assert session.sent() == []
    session.feed(session.machine.opened, 1, Modality.AUDIO)
    assert session.sent() == ["user: Hello."]
    session.wait(1)
    assert session.sent() == ["user: Hello."]


def test_a_quiet_moment_is_used_before_the_clock_runs_out() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.answer("Hi.")
    session.take(handle("h2"))
    session.wait(OPTIONS.renew_after_secs + 1)
    assert [action.handle for action in session.of(Open)] == [None, "h2"]


def test_no_hand_over_begins_while_the_user_speaks_or_their_turn_is_about_to_come() -> None:
    session = Session()
    session.take(handle("h1"), server(goAway={"timeLeft": "50s"}))
    assert len(session.of(Open)) == 2  # quiet: at once
    session.feed(session.machine.speaking, user=True)
    session.take(handle("h2"), server(goAway={"timeLeft": "50s"}))
    session.wait(3)
    session.feed(session.machine.speaking, user=False)
    session.wait(0.5)
    assert len(session.of(Open)) == 2
    session.say("Hello.")
    assert session.sent() == ["user: Hello."]
    assert len(session.of(Open)) == 2
    session.answer("Hi.")
    assert len(session.of(Open)) == 3


def test_the_announced_end_does_not_wait_for_a_user_who_speaks_on() -> None:
    session = Session()
    session.feed(session.machine.speaking, user=True)
    session.take(handle("h1"), server(goAway={"timeLeft": "10s"}))
    session.wait(5)
    assert len(session.of(Open)) == 1
    session.wait(5)
    assert len(session.of(Open)) == 2


def test_a_server_that_falls_silent_after_goaway_loses_its_turn_to_a_new_connection() -> None:
    session = Session(options=SessionOptions(patience_secs=60))
    session.take(handle("h1"), says("stray"))
    session.say("Hello.")
    session.take(server(goAway={"timeLeft": "5s"}))
    session.wait(6)
    assert session.sent() == ["user: Hello.", "user: Hello."]
    assert [action.attempt for action in session.of(TurnSent)] == [1, 2]


def test_an_hour_old_session_is_replaced_by_a_fresh_one_with_its_history() -> None:
    session = Session()
    session.say("My name is Ada.")
    session.answer("Hello Ada.")
    for number in range(7):
        session.take(handle(f"h{number}"))
        session.wait(OPTIONS.renew_after_secs)
    handles = [action.handle for action in session.of(Open)]
    assert None in handles[1:]
    assert "user: My name is Ada. | model: Hello Ada." in session.sent()


def test_what_a_handle_does_not_hold_is_told_with_the_next_turn() -> None:
    session = Session()
    session.take(handle("before"))
    session.say("My name is Ada.")
    session.take(says("Hello Ada."), COMPLETE)
    session.heard("Hello")
    session.feed(session.machine.lost, 1, 1011, "gone")
    session.say("What is my name?")
    assert session.sent()[-1] == "user: My name is Ada. | model: Hello | user: What is my name?"


def test_connecting_is_tried_again_with_growing_pauses_and_reported_once() -> None:
    session = Session(opens=False)
    times = []
    for _ in range(6):
        times.append(session.now)
        session.feed(session.machine.refused, session.machine.link.serial, Refusal(Remedy.RETRY, "No network."))
        opened = len(session.of(Open))
        while len(session.of(Open)) == opened:
            session.wait(0.1)
    pauses = [round(b - a, 1) for a, b in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[0] < 0.5 < pauses[-1]
    assert sum(report.error for report in session.of(Report)) == 1


def test_a_refusal_for_good_stops_everything_until_settings_change() -> None:
    session = Session(opens=False)
    session.say("Hello.")
    session.feed(session.machine.refused, 1, Refusal(Remedy.GIVE_UP, "No such model."))
    assert session.of(Apologize)
    assert session.of(Report)[-1].permanent
    assert session.machine.link.state is LinkState.STOPPED
    assert session.machine.deadline(session.now) is None
    session.opens = True
    session.feed(session.machine.renew, MODEL, Renewal.FRESH)
    session.say("Hello again.")
    assert session.sent()[-1] == "user: Hello. | user: Hello again." or "Hello again." in session.sent()[-1]


def test_an_unanswered_turn_is_nudged_then_sent_again_then_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.wait(MODEL.patience_secs + 0.1)
    assert "Please answer" in session.sent()[-1]
    session.wait(MODEL.patience_secs)
    assert session.sent()[-1] == "user: Hello."
    assert [action.handle for action in session.of(Open)] == [None, "h1"]
    assert not session.of(Apologize)
    session.wait(MODEL.patience_secs)
    assert len(session.of(Apologize)) == 1
    assert session.of(Report)[-1].error
    session.wait(60)
    assert len(session.of(Apologize)) == 1


AUDIO = server(serverContent={"modelTurn": {"parts": [{"inlineData": {"data": "AAAA"}}]}})


def test_answers_without_words_are_nudged_then_sent_again_then_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    for number, last in enumerate(["did not arrive", "user: Hello."]):
        session.take(AUDIO, COMPLETE, CLOSED, handle(f"holds wordless answer {number}"))
        session.wait(LATE_PIECE_SECS + 0.1)
        assert last in session.sent()[-1]
    assert [action.handle for action in session.of(Open)] == [None, "h1"]
    assert not session.of(Apologize)
    session.take(AUDIO, COMPLETE, CLOSED)
    session.wait(LATE_PIECE_SECS + 0.1)
    session.wait(60)
    assert session.of(Apologize) == [Apologize(1)]
    assert sum(report.error for report in session.of(Report)) == 1
    assert [action.attempt for action in session.of(TurnSent)] == [1, 2]
    session.say("And now?")
    session.answer("Yes.")
    assert session.of(Piece)[-1] == Piece(2, "Yes.")


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
    for connection in range(2, MAX_ATTEMPTS + 1):
        assert not session.of(Apologize)
        session.take(AUDIO, COMPLETE)
        session.feed(session.machine.lost, connection, 1011, "gone")
    session.wait(60)
    assert session.sent() == ["user: Hello."] * MAX_ATTEMPTS
    assert session.of(Apologize) == [Apologize(1)]
    assert session.of(Report)[-1].error


def test_words_lost_with_the_connection_are_awaited_while_there_is_no_new_one() -> None:
    session = Session()
    session.say("Hello.")
    session.take(AUDIO, COMPLETE)
    session.opens = False
    session.feed(session.machine.lost, 1, 1011, "gone")
    session.wait(LATE_PIECE_SECS + 1)
    session.feed(session.machine.opened, 2, Modality.AUDIO)
    session.answer("Hi.")
    assert session.of(Piece) == [Piece(1, "Hi.")]
    assert not session.of(Apologize)


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
    assert "".join(piece.text for piece in session.of(Piece)) == "Hi, how are you?"
    assert session.of(Ended) == [Ended(1, spoken=True)]


def test_silence_after_a_broken_connection_is_nudged_once_more_before_it_is_given_up() -> None:
    session = Session()
    session.take(handle("h1"))
    session.say("Hello.")
    session.feed(session.machine.lost, 1, 1011, "gone")
    session.wait(MODEL.patience_secs)
    assert session.sent() == ["user: Hello.", "user: Hello.", f"user: {wording.NO_ANSWER_NUDGE}"]
    assert not session.of(Apologize)
    session.wait(60)
    assert session.of(Apologize) == [Apologize(1)]
    assert len(session.sent()) == 3


def test_a_long_answer_survives_a_second_broken_connection() -> None:
    session = Session()
    session.say("Tell me a story.")
    for number, piece in enumerate(["Once upon a time ", "there was a fox "]):
        session.take(says(piece))
        session.feed(session.machine.lost, number + 1, 1011, "gone")
    session.answer("in a wood.")
    assert "".join(piece.text for piece in session.of(Piece)) == "Once upon a time there was a fox in a wood."
    assert not session.of(Apologize)


def test_a_turn_that_loses_its_connection_for_good_is_given_up_aloud() -> None:
    session = Session()
    session.say("Hello.")
    session.opens = False
    session.feed(session.machine.lost, 1, 1006, "")
    session.wait(OPTIONS.offline_secs - 1)
    assert not session.of(Apologize)
    session.wait(2)
    assert session.of(Apologize) == [Apologize(1)]
    session.wait(60)
    assert len(session.of(Apologize)) == 1


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
        session.wait(LATE_PIECE_SECS + 1)
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
    assert session.of(Piece)[-1].text == "You are welcome."


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


# Whatever happens, in whatever order, every turn comes to an end.

happenings = st.lists(
    st.one_of(
        st.sampled_from(
            ["say", "interrupt", "lost", "lost1007", "refuse", "open", "goaway", "goaway0", "renew", "fresh", "nudge"]
        ),
        st.sampled_from(["handle", "text", "audio", "complete", "closed", "interrupted", "call", "result", "withdraw"]),
        st.floats(0.0, 8.0),
    ),
    max_size=40,
)


@settings(max_examples=300, deadline=None)
@given(happenings, st.sampled_from(["gemini-3.8-live", "gemini-3.1-flash-live-preview"]))
def test_every_turn_ends_whatever_happens(steps: list[Any], model: str) -> None:
    session = Session(lookup(model))
    machine = session.machine
    calls = 0
    for step in steps:
        session.now += 0.01
        match step:
            case float():
                session.wait(step)
            case "say":
                session.say(f"Number {session.turns + 1}.")
            case "interrupt":
                session.feed(machine.interrupt)
            case "withdraw":
                session.feed(machine.withdraw)
            case "lost":
                session.feed(machine.lost, machine.link.serial, 1011, "gone")
            case "lost1007":
                session.feed(machine.lost, machine.link.serial, 1007, "invalid argument")
            case "refuse":
                session.opens = False
                session.feed(machine.lost, machine.link.serial, 1006, "")
                session.feed(machine.refused, machine.link.serial, Refusal(Remedy.RETRY, "No network."))
            case "open":
                session.opens = True
                if machine.link.state is LinkState.OPENING:
                    session.feed(machine.opened, machine.link.serial, Modality.AUDIO)
            case "goaway":
                session.take(server(goAway={"timeLeft": "5s"}))
            case "goaway0":
                session.take(server(goAway={"timeLeft": "0s"}))
            case "renew" | "fresh":
                session.feed(machine.renew, lookup(model), Renewal(step if step == "fresh" else "resume"))
            case "handle":
                session.take(handle(f"h{session.now}"))
            case "text":
                session.take(says("word "))
            case "audio":
                session.take(AUDIO)
            case "complete":
                session.take(COMPLETE)
            case "closed":
                session.take(CLOSED)
            case "interrupted":
                session.take(INTERRUPTED)
            case "call":
                calls += 1
                session.take(server(toolCall={"functionCalls": [{"id": f"c{calls}", "name": "look", "args": {}}]}))
            case "result":
                session.feed(machine.result, f"c{calls}", {"ok": True})
    for number in range(calls + 1):
        session.feed(machine.result, f"c{number}", {"ok": True})
    # From here on nothing comes any more.
    session.wait(120.0)
    if machine.link.state is LinkState.OPEN:
        assert not machine.turns.busy, session.done[-20:]
    assert machine._outgoing is None
    last = max((i for i, step in enumerate(steps) if step == "say"), default=None)
    taken_back = last is not None and {"interrupt", "withdraw"} & {
        step for step in steps[last:] if isinstance(step, str)
    }
    if last is not None and not taken_back and machine.link.state is LinkState.OPEN:
        ends = [a for a in session.done if isinstance(a, Apologize) or (isinstance(a, Ended) and a.spoken)]
        assert session.turns in [end.turn for end in ends], session.done[-20:]  # silence is no end
    assert all(action.attempt <= OPTIONS.max_attempts for action in session.of(TurnSent))
    starts = [action.turn for action in session.done if isinstance(action, Started)]
    assert starts == sorted(starts)
    pieces = [action.turn for action in session.done if isinstance(action, Piece)]
    assert pieces == sorted(pieces)
