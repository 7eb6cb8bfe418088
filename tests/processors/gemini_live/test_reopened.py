"""A turn that the user goes on with before its answer was heard: the model must believe in the whole turn only."""

from halfcascade.emulator.minds.scripted_thinker import ScriptedReply
from halfcascade.processors.frames import TurnReopenedFrame
from halfcascade.processors.gemini_live.protocol.actions import Open
from halfcascade.processors.gemini_live.protocol.models import Modality
from tests.processors.gemini_live.harness import Bench, Google, talking
from tests.processors.gemini_live.machine_harness import Session

SLOW = ScriptedReply("Nice to meet you.", match="Daniel$", first_token=60.0)


async def take_back(bench: Bench) -> None:
    """What the user aggregator does when the user goes on with the newest turn."""
    *before, newest = bench.context.get_messages()
    bench.context.set_messages(before)
    await bench.push(TurnReopenedFrame(text=newest["content"]))
    await bench.interrupt()


async def test_the_first_turn_of_all_is_taken_back_without_a_handle() -> None:
    async with Google([SLOW]) as google, talking(google) as bench:
        await bench.say("My name is Daniel")
        await bench.sent(1)
        await take_back(bench)
        await bench.until(lambda: len(google.received("setup")) == 2)
        await bench.answer("My name is Daniel and I live in Boston.")
        assert google.heard[-1] == [("user", "My name is Daniel and I live in Boston.")]
        assert bench.answers == ["You said: My name is Daniel and I live in Boston."]


async def test_a_later_turn_is_taken_back_and_what_was_before_is_kept() -> None:
    async with Google([SLOW]) as google, talking(google) as bench:
        await bench.answer("Hello.")
        await bench.say("My name is Daniel")
        await bench.sent(2)
        await take_back(bench)
        await bench.until(lambda: len(google.received("setup")) == 2)
        assert google.received("setup")[1]["setup"]["sessionResumption"]["handle"]
        await bench.answer("My name is Daniel and I live in Boston.")
        assert google.heard[-1] == [
            ("user", "Hello."),
            ("model", "You said: Hello."),
            ("user", "My name is Daniel and I live in Boston."),
        ]


async def test_a_turn_whose_answer_was_complete_is_taken_back_too() -> None:
    def is_done() -> bool:
        return any("turnComplete" in str(entry.data) for entry in google.log.find(event="sent"))

    async with Google() as google, talking(google) as bench:
        await bench.say("My name is Daniel")
        await bench.until(is_done)
        await take_back(bench)
        await bench.until(lambda: len(google.received("setup")) == 2)
        await bench.answer("My name is Daniel and I live in Boston.")
        assert google.heard[-1] == [("user", "My name is Daniel and I live in Boston.")]


async def test_a_turn_that_ends_again_at_once_is_answered_once() -> None:
    async with Google([SLOW], default="Fine.") as google, talking(google) as bench:
        await bench.say("My name is Daniel")
        await bench.sent(1)
        await take_back(bench)
        assert await bench.answer("My name is Daniel, yes.") == "Fine."
        assert google.heard[-1][-1][1].endswith("My name is Daniel, yes.")


def test_a_turn_that_was_never_sent_leaves_nothing_to_undo() -> None:
    session = Session()
    session.say("Hello.")
    session.answer("Hi.")
    session.opens = False
    session.feed(session.machine.lost, session.machine.link.serial, 1006, "")
    session.say("My name is Daniel")
    session.context.pop()
    opened = len(session.of(Open))
    session.feed(session.machine.withdraw)
    session.opens = True
    session.feed(session.machine.opened, session.machine.link.serial, Modality.AUDIO)
    session.wait(1.0)
    assert len(session.of(Open)) == opened
    assert not any("Daniel" in sent or "gnore" in sent for sent in session.sent())
