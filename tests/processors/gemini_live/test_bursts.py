"""Server messages that arrive at once: what of them is spoken does not depend on how the network packed them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from halfcascade.processors.gemini_live.protocol.actions import Action
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, TextDelta
from tests.processors.gemini_live.harness import talking
from tests.processors.gemini_live.machine_harness import CLOSED, COMPLETE, INTERRUPTED, Session, says

DELTAS = ("Once upon ", "a time ", "there was ", "a fox.")
ANSWER = "".join(DELTAS)


class Packets:
    """A connection whose messages come in packets: those of one packet without a moment between them."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[Sequence[types.LiveServerMessage]] = asyncio.Queue()
        self.sent = 0

    async def open(self, *_: Any) -> "Packets":
        return self

    async def messages(self) -> AsyncIterator[types.LiveServerMessage]:
        while True:
            for message in await self.packets.get():
                yield message

    async def send_content(self, contents: Any, *, complete: bool) -> None:
        self.sent += 1

    async def ping(self) -> bool:
        return True

    async def close(self, secs: float) -> bool:
        return True


async def test_the_last_words_are_spoken_although_the_next_turn_follows_in_the_same_moment() -> None:
    server = Packets()
    brain = GeminiLiveTextProcessor(client=object(), opener=server.open)
    async with talking(brain=brain) as bench:
        await bench.say("Tell me a story.")
        await bench.until(lambda: server.sent == 1)
        server.packets.put_nowait([says(DELTAS[0])])
        await bench.until(lambda: bench.text)
        await bench.say("The tea timer went off.", role="developer")
        server.packets.put_nowait([*map(says, DELTAS[1:]), COMPLETE])
        await bench.until(lambda: server.sent == 2)
        server.packets.put_nowait([says("Tea!"), COMPLETE, CLOSED])
        await bench.until(lambda: len(bench.answers) == 2)
        assert bench.answers == [ANSWER, "Tea!"]


def test_nothing_of_a_packet_is_spoken_once_the_user_has_interrupted() -> None:
    session = Session()
    session.say("Tell me a story.")
    session.take(*map(says, DELTAS))
    session.feed(session.machine.interrupt)
    assert not any(_is_speakable(session, action) for action in session.done)
    session.take(INTERRUPTED, CLOSED)
    session.say("Something else.")
    session.take(says("Of course."), COMPLETE, CLOSED)
    assert [one.text for one in session.done if _is_speakable(session, one)] == ["Of course."]


@given(cuts=st.lists(st.booleans(), min_size=5, max_size=5), instruction=st.integers(0, 4))
def test_packing_changes_nothing_that_is_spoken(cuts: list[bool], instruction: int) -> None:
    session = Session()
    session.say("Tell me a story.")
    messages = [*map(says, DELTAS), COMPLETE, CLOSED]
    spoken: list[Any] = []
    packet: list[Action] = []
    for number, message in enumerate(messages):
        if number == instruction:
            session.say("The tea timer went off.", role="developer")
        before = len(session.done)
        session.take(message)
        packet += session.done[before:]
        if number == len(cuts) or cuts[number]:
            # The shell gets to do what a packet led to only when all of the packet has been taken.
            spoken += [one for one in packet if isinstance(one, Ended) or _is_speakable(session, one)]
            packet.clear()
    of_story = [one for one in spoken if one.turn == 1]
    assert "".join(one.text for one in of_story if isinstance(one, TextDelta)) == ANSWER
    assert isinstance(of_story[-1], Ended)


def _is_speakable(session: Session, action: Action) -> bool:
    return isinstance(action, TextDelta) and session.machine.is_speakable(action.turn)
