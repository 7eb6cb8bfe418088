"""The session machine alone: its connections, and that every turn ends whatever happens to them."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.gemini_live.protocol.actions import (
    Apologize,
    Open,
    Report,
    TurnSent,
)
from halfcascade.processors.gemini_live.protocol.answer_text import LATE_DELTA_SECS
from halfcascade.processors.gemini_live.protocol.link import LinkState, Renewal
from halfcascade.processors.gemini_live.protocol.models import Modality, Refusal, Remedy, lookup
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, Started, TextDelta
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
    session = Session(options=SessionOptions(answer_timeout_secs=60))
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


def test_words_lost_with_the_connection_are_awaited_while_there_is_no_new_one() -> None:
    session = Session()
    session.say("Hello.")
    session.take(AUDIO, COMPLETE)
    session.opens = False
    session.feed(session.machine.lost, 1, 1011, "gone")
    session.wait(LATE_DELTA_SECS + 1)
    session.feed(session.machine.opened, 2, Modality.AUDIO)
    session.answer("Hi.")
    assert session.of(TextDelta) == [TextDelta(1, "Hi.")]
    assert not session.of(Apologize)


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
    assert machine._exchange.waiting is None
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
    deltas = [action.turn for action in session.done if isinstance(action, TextDelta)]
    assert deltas == sorted(deltas)
