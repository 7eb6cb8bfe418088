"""The turn machine alone: orders of messages that the facts allow, and properties over generated ones."""

from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.gemini_live.protocol.answer_text import LATE_DELTA_SECS
from halfcascade.processors.gemini_live.protocol.models import Modality, lookup
from halfcascade.processors.gemini_live.protocol.turn_events import (
    Ended,
    Started,
    TextDelta,
    ToolCalls,
    ToolCancellation,
)
from halfcascade.processors.gemini_live.protocol.turns import DOUBT_SECS, TurnMachine

MODEL = lookup("gemini-3.8-live")
AUDIO = {"modelTurn": {"parts": [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": "AAAA"}}]}}


def content(*parts: dict[str, Any], **fields: Any) -> types.LiveServerMessage:
    merged: dict[str, Any] = {}
    for part in (*parts, fields):
        merged.update(part)
    return types.LiveServerMessage.model_validate({"serverContent": merged})


def words(text: str, **more: Any) -> dict[str, Any]:
    return {"outputTranscription": {"text": text, **more}}


COMPLETE = {"generationComplete": True}
CLOSED = {"turnComplete": True}
INTERRUPTED = {"interrupted": True}


@dataclass
class Table:
    """Drives a machine with a clock and keeps what it says."""

    machine: TurnMachine = field(default_factory=lambda: TurnMachine(MODEL, Modality.AUDIO))
    now: float = 100.0
    events: list[Any] = field(default_factory=list)

    def send(self, turn: int, after: str = "") -> None:
        self.events += self.machine.sent(turn, self.now, after=after)

    def take(self, *messages: types.LiveServerMessage, dt: float = 0.01) -> None:
        for message in messages:
            self.now += dt
            self.events += self.machine.message(message, self.now)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.machine.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            self.events += self.machine.tick(self.now)
        self.now = end

    def spoken(self, turn: int) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta) and event.turn == turn)

    def ends(self, turn: int) -> int:
        return sum(isinstance(event, Ended) and event.turn == turn for event in self.events)


def test_text_ends_with_generation_complete_not_with_turn_complete() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Hello."), AUDIO), content(COMPLETE))
    assert table.events == [Started(1), TextDelta(1, "Hello."), Ended(1, spoken=True)]
    table.wait(20)
    table.take(content(CLOSED))
    assert table.ends(1) == 1
    assert table.machine.closed


def test_one_message_may_carry_words_and_completion() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Hello."), AUDIO, COMPLETE, CLOSED))
    assert table.events == [Started(1), TextDelta(1, "Hello."), Ended(1, spoken=True)]


def test_empty_frames_mean_nothing() -> None:
    table = Table()
    table.send(1)
    table.take(content(), types.LiveServerMessage(), content(words("Hi.")), content(), content(COMPLETE))
    assert table.spoken(1) == "Hi."
    assert table.ends(1) == 1


def test_a_piece_after_generation_complete_still_belongs_to_the_turn() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon")), content(COMPLETE), content(words(" a time.")), content(CLOSED))
    table.wait(LATE_DELTA_SECS)
    assert table.spoken(1) == "Once upon a time."
    assert table.ends(1) == 1


def test_a_late_piece_after_the_end_is_still_spoken_and_teaches_to_wait() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("One.")), content(COMPLETE))
    table.take(content(words(" Two.")), dt=0.4)
    table.wait(5)
    assert table.spoken(1) == "One.Two."
    assert table.ends(1) == 2
    table.send(2)
    table.take(content(words("Three.")), content(COMPLETE))
    assert table.ends(2) == 0
    table.take(content(words(" Four.")), dt=0.4)
    table.wait(5)
    assert table.spoken(2) == "Three. Four."
    assert table.ends(2) == 1


def test_an_interrupted_answer_is_silent_and_does_not_leak() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon")))
    assert table.machine.interrupt()
    table.machine.cancel_sent()
    table.take(content(words(" a time")), content(INTERRUPTED), content(words(" there was")), content(CLOSED))
    table.send(2)
    table.take(content(words("Blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(1) == "Once upon"
    assert table.spoken(2) == "Blue."


def test_interrupted_may_come_after_turn_complete() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon")))
    table.machine.interrupt()
    table.machine.cancel_sent()
    table.take(content(CLOSED))
    table.send(2)
    table.take(content(INTERRUPTED), content(words("Blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(2) == "Blue."
    assert table.ends(2) == 1


def test_a_stale_turn_complete_does_not_end_the_next_turn() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Long story.")), content(COMPLETE))
    table.machine.interrupt()
    table.send(2)
    table.take(content(INTERRUPTED), content(CLOSED))
    assert table.ends(2) == 0
    table.take(content(words("Blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(2) == "Blue."
    assert table.ends(2) == 1


def test_a_second_turn_complete_of_a_cancelled_answer_is_not_taken_for_the_next_ones() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon")))
    table.machine.interrupt()
    table.machine.cancel_sent()
    table.take(content(INTERRUPTED), content(CLOSED))
    table.send(2)
    table.take(content(CLOSED))
    assert table.ends(2) == 0
    table.take(content(words("Blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(2) == "Blue."


def test_a_turn_replaced_before_its_first_word_does_not_speak_in_the_next() -> None:
    table = Table()
    table.send(1)
    table.machine.interrupt()
    table.send(2)
    table.take(content(words("Red.")), content(INTERRUPTED), content(CLOSED))
    table.take(content(words("Blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(1) == ""
    assert table.spoken(2) == "Blue."


def test_turns_merged_by_the_server_are_answered_in_the_newest() -> None:
    table = Table()
    table.send(1)
    table.machine.interrupt()
    table.send(2)
    table.take(content(words("Red")))
    table.wait(DOUBT_SECS)
    table.take(content(words(" and blue.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(2) == "Red and blue."
    assert table.ends(2) == 1


def test_an_answer_without_any_transcript_ends() -> None:
    table = Table()
    table.send(1)
    table.take(content(AUDIO), content(AUDIO), content(COMPLETE), content(CLOSED))
    table.wait(LATE_DELTA_SECS)
    assert table.events == [Ended(1, spoken=False)]


def test_an_empty_answer_ends() -> None:
    table = Table()
    table.send(1)
    table.take(content(CLOSED))
    assert table.events == [Ended(1, spoken=False)]


def call(name: str = "get_weather", call_id: str = "1", **args: Any) -> types.LiveServerMessage:
    return types.LiveServerMessage.model_validate(
        {"toolCall": {"functionCalls": [{"id": call_id, "name": name, "args": args}]}}
    )


def test_a_call_ends_the_text_before_it_and_its_result_is_answered_in_the_same_turn() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Let me look.")), call())
    table.machine.hold(1, ["1"])
    assert isinstance(table.events[-1], ToolCalls)
    assert table.ends(1) == 1
    assert table.machine.busy
    assert table.machine.waiting is None
    table.machine.result_sent("1", table.now)
    assert table.machine.waiting is not None
    table.take(content(words("Clear sky.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(1) == "Let me look.Clear sky."
    assert table.ends(1) == 2
    assert not table.machine.busy


def test_a_turn_complete_between_call_and_answer_does_not_end_the_turn() -> None:
    table = Table()
    table.send(1)
    table.take(call())
    table.machine.hold(1, ["1"])
    table.machine.result_sent("1", table.now)
    table.take(content(CLOSED))
    assert table.ends(1) == 0
    table.take(content(words("Clear sky.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(1) == "Clear sky."
    assert table.ends(1) == 1


def test_a_result_after_the_answer_gets_an_answer_of_its_own() -> None:
    table = Table()
    table.send(1)
    table.take(call(), content(words("I will tell you.")), content(COMPLETE), content(CLOSED))
    table.machine.result_sent("1", table.now)
    table.take(content(words("Clear sky.")), content(COMPLETE), content(CLOSED))
    assert table.spoken(1) == "I will tell you.Clear sky."


def test_a_phantom_transcript_of_an_argument_is_not_spoken() -> None:
    table = Table(TurnMachine(lookup("gemini-3.1-flash-live-preview"), Modality.AUDIO))
    table.send(1)
    table.take(call(city="Seoul"), content(words("seoul")))
    table.machine.result_sent("1", table.now)
    table.take(content(words("Seoul"), AUDIO), content(words(" is clear."), AUDIO), content(COMPLETE), content(CLOSED))
    table.wait(LATE_DELTA_SECS)
    assert table.spoken(1) == "Seoul is clear."


def test_calls_of_an_interrupted_answer_are_not_run() -> None:
    table = Table()
    table.send(1)
    table.machine.interrupt()
    table.take(call())
    assert not any(isinstance(event, ToolCalls) for event in table.events)


def test_cancelled_calls_are_reported() -> None:
    table = Table()
    table.send(1)
    table.take(call(), types.LiveServerMessage.model_validate({"toolCallCancellation": {"ids": ["1"]}}))
    assert ToolCancellation(("1",)) in table.events


def test_in_progress_keeps_the_turn_open_for_the_rest() -> None:
    table = Table(TurnMachine(lookup("gemini-3.8-live-extended-thinking"), Modality.AUDIO))
    table.send(1)
    table.take(content(words("Let me think.")), content(COMPLETE), content(CLOSED, interactionStatus="IN_PROGRESS"))
    assert table.machine.busy
    table.take(content(words("It is four.")), content(COMPLETE), content(CLOSED, interactionStatus="IDLE"))
    assert table.spoken(1) == "Let me think.It is four."
    assert not table.machine.busy


def test_a_repeated_beginning_is_skipped_after_a_broken_connection() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon a time there")))
    table.events += table.machine.reset(MODEL, Modality.AUDIO)
    assert table.ends(1) == 0
    table.send(1, after="Once upon a time there")
    table.take(content(words("Once upon a")), content(words(" time there was a fox.")), content(COMPLETE))
    assert table.spoken(1) == "Once upon a time there was a fox."
    assert [type(event) for event in table.events].count(Started) == 1
    assert table.ends(1) == 1


def test_a_text_that_waits_for_late_pieces_ends_when_the_connection_breaks() -> None:
    table = Table()
    table.send(1)
    table.take(content(words("Once upon a time")), content(COMPLETE))
    assert table.ends(1) == 0
    table.events += table.machine.reset(MODEL, Modality.AUDIO)
    assert table.ends(1) == 1


# Properties over generated orders.


@dataclass
class Plan:
    """How one turn goes."""

    deltas: int
    audio: bool
    framing: str
    late: str
    interrupt_at: int | None
    in_flight: int
    cancel: bool
    order: str
    pause: float
    noise: bool


plans = st.builds(
    Plan,
    deltas=st.integers(0, 4),
    audio=st.booleans(),
    framing=st.sampled_from(["plain", "bundled"]),
    late=st.sampled_from(["no", "after_complete", "after_closed"]),
    interrupt_at=st.none() | st.integers(0, 5),
    in_flight=st.integers(0, 2),
    cancel=st.booleans(),
    order=st.sampled_from(["interrupted_closed", "closed_interrupted", "closed_only", "paced"]),
    pause=st.floats(0.0, 3.0),
    noise=st.booleans(),
)


def play(table: Table, turn: int, plan: Plan, leftovers: list[types.LiveServerMessage]) -> str:
    """Play one turn as a server would; returns what must have been spoken of it."""

    def delta(index: int) -> types.LiveServerMessage:
        return content(words(f"{turn}x{index} "), *([AUDIO] if plan.audio else []))

    table.send(turn)
    # What was still pending of the turn before: it comes before anything of the new one.
    table.take(*leftovers)
    leftovers.clear()
    expected = ""
    for index in range(plan.deltas):
        if plan.interrupt_at == index:
            break
        if plan.noise:
            table.take(content(), content({"modelTurn": {"parts": [{"text": "hm", "thought": True}]}}))
        held_back = index == plan.deltas - 1 and plan.late != "no" and plan.interrupt_at is None
        if not held_back:
            table.take(delta(index))
        expected += f"{turn}x{index} "
    if plan.interrupt_at is not None and plan.interrupt_at < plan.deltas:
        generating = table.machine.interrupt()
        assert generating
        if plan.cancel:
            table.machine.cancel_sent()
        table.take(*(delta(plan.interrupt_at + extra) for extra in range(plan.in_flight)))
        ending = {
            "interrupted_closed": [content(INTERRUPTED), content(CLOSED)],
            "closed_interrupted": [content(CLOSED), content(INTERRUPTED)],
            "closed_only": [content(CLOSED)],
            "paced": [content(INTERRUPTED, CLOSED)],
        }[plan.order]
        if plan.cancel:
            table.take(*ending)
            if plan.order == "interrupted_closed" and plan.noise:
                leftovers.append(content(CLOSED))  # the empty turn's own
        else:
            leftovers += [*(delta(9) for _ in range(plan.in_flight and plan.deltas)), *ending]
    else:
        last = [delta(plan.deltas - 1)] if plan.deltas and plan.late != "no" and plan.interrupt_at is None else []
        paced = plan.order == "paced"
        if plan.framing == "bundled" and not paced and not last:
            table.take(content(COMPLETE, CLOSED))
        else:
            table.take(content(COMPLETE))
            if last and (plan.late == "after_complete" or paced):
                table.take(*last)
                last = []
            if paced:
                leftovers.append(content(CLOSED))
            else:
                table.take(content(CLOSED), *last)
    table.wait(plan.pause)
    return expected


@settings(max_examples=300, deadline=None)
@given(st.lists(plans, min_size=1, max_size=5))
def test_text_of_a_turn_is_only_spoken_in_that_turn_and_every_turn_ends(plan_list: list[Plan]) -> None:
    table = Table()
    leftovers: list[types.LiveServerMessage] = []
    expected: dict[int, str] = {}
    for turn, plan in enumerate(plan_list, start=1):
        expected[turn] = play(table, turn, plan, leftovers)
    table.take(*leftovers)
    table.wait(LATE_DELTA_SECS + 1)
    for turn, plan in enumerate(plan_list, start=1):
        spoken = table.spoken(turn).replace(" ", "")
        assert spoken == expected[turn].replace(" ", ""), (turn, table.events)
        interrupted = plan.interrupt_at is not None and plan.interrupt_at < plan.deltas
        assert interrupted or table.ends(turn) >= 1, (turn, table.events)
    assert not table.machine.busy or plan_list[-1].interrupt_at is not None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["send", "interrupt", "cancel", "wait"]),
            st.sampled_from([words("a"), AUDIO, COMPLETE, CLOSED, INTERRUPTED, {}]),
        ),
        max_size=30,
    )
)
def test_no_order_whatever_breaks_it_and_silence_always_lets_a_turn_end(steps: list[Any]) -> None:
    table = Table()
    turn = 0
    for step in steps:
        match step:
            case "send":
                turn += 1
                table.send(turn)
            case "interrupt":
                table.machine.interrupt()
            case "cancel":
                table.machine.cancel_sent()
            case "wait":
                table.wait(0.5)
            case _:
                table.take(content(step))
    table.wait(LATE_DELTA_SECS + 1)
    table.events += table.machine.stop()
    table.wait(LATE_DELTA_SECS + 1)
    assert not table.machine.busy
    assert table.machine.deadline is None
    starts = sum(isinstance(event, Started) for event in table.events)
    assert starts >= sum(isinstance(event, Ended) and event.spoken for event in table.events) - turn
