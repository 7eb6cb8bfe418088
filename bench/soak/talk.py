"""One talk of any length in virtual time, and what became of its turns."""

import asyncio
import difflib
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random

from bench.soak.faults import Faults, plan
from bench.soak.services import REPLIES, SoakServices
from bench.soak.user import TalkingUser, chatter
from bench.turn_corpus.corpus import RATE, Turn
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.replay import virtual_time
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.transcript import UserSaid
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.transports.wav import WavTransport

# A turn that is not answered by then, and not followed by another, is dead.
_ANSWER_SECS = 30.0
# Whoever goes on so soon has not waited for an answer.
_HURRY_SECS = 6.0
_END_SECS = 20.0


@dataclass
class Soaked:
    """What became of a talk.

    Parameters:
        secs: How long it was.
        turns: How many turns were sent.
        sentences: How many sentences were said.
        dead: Turns that nobody answered, and when.
        lost: Words that were said and are in no turn.
        doubled: Words that are in turns and were not said.
        failure: Why the talk ended before its time, or "".
        memory: Megabytes in use at each hour, or at shorter times of a shorter talk.
        events: All that happened.
    """

    secs: float
    turns: int = 0
    sentences: int = 0
    dead: list[tuple[float, str]] = field(default_factory=list)
    lost: list[tuple[float, str]] = field(default_factory=list)
    doubled: list[tuple[float, str]] = field(default_factory=list)
    failure: str = ""
    memory: list[tuple[float, float]] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def slope(self) -> float:
        """Megabytes an hour that memory grows by, after the first fifth of the talk; 0.0 if it was not looked at."""
        settled = self.memory[len(self.memory) // 5 :]
        if len(settled) < 2:
            return 0.0
        (first_at, first), (last_at, last) = settled[0], settled[-1]
        return (last - first) / ((last_at - first_at) / 3600)


def soak(turns: Sequence[Turn], secs: float, seed: int, *, faults: bool = True, look_at_memory: bool = False) -> Soaked:
    """Talk.

    Args:
        turns: Sentences to choose from, of one language.
        secs: How long.
        seed: Decides what is said, answered and what goes wrong.
        faults: Whether anything goes wrong.
        look_at_memory: Whether to follow the memory in use, which takes time.

    Returns:
        What became of it.
    """
    user = chatter(turns, secs, seed)
    planned = Faults(plan(secs, seed) if faults else ())
    found = Soaked(secs, sentences=len(user.said))
    if look_at_memory:
        tracemalloc.start()
    try:
        services = SoakServices(user, planned, partial(Random(seed).choice, REPLIES))
        hub = virtual_time.run(_hold(user, services, found, turns[0].language))
    finally:
        if look_at_memory:
            tracemalloc.stop()
    _judge(found, user, hub)
    return found


async def _hold(user: TalkingUser, services: SoakServices, found: Soaked, language: str) -> EventHub:
    hub, outcome = EventHub(Redactor()), Outcome()
    hub.begin()
    hub.listen(found.events.append)
    transport = WavTransport(user_audio=user, tap=hub)
    talk = Talk(Settings(_env_file=None, language=language), transport, hub, outcome, services=services)

    async def end_in_time() -> None:
        began = time.monotonic()
        every = min(3600.0, found.secs / 10)
        while (passed := time.monotonic() - began) < found.secs + _END_SECS:
            if tracemalloc.is_tracing():
                found.memory.append((passed, tracemalloc.get_traced_memory()[0] / 1e6))
            await asyncio.sleep(every)
        outcome.end("finished")

    talk.started = end_in_time
    await talk.run()
    found.failure = outcome.failure or ""
    return hub


def _judge(found: Soaked, user: TalkingUser, hub: EventHub) -> None:
    sent = [event for event in found.events if event.type is EventType.TURN_SENT and event.fields["text"]]
    answers = [event.t for event in found.events if event.type is EventType.SPEAKING_STARTED]
    found.turns = len(sent)
    for event, following in zip(sent, [*sent[1:], None], strict=True):
        until = min(event.t + _ANSWER_SECS, following.t if following else float("inf"))
        hurried = following is not None and following.t < event.t + _HURRY_SECS
        if not hurried and not any(event.t <= at <= until for at in answers):
            found.dead.append((event.t, event.fields["text"]))
    understood = [
        (entry.t, word)
        for entry in hub.transcript.entries
        if isinstance(entry, UserSaid)
        for word in _plain(entry.text)
    ]
    spoken = [(word.end / RATE, plain) for word in user.words for plain in _plain(word.text)]
    matcher = difflib.SequenceMatcher(
        None, [word for _, word in spoken], [word for _, word in understood], autojunk=False
    )
    for kind, first, last, other_first, other_last in matcher.get_opcodes():
        if kind != "equal":
            found.lost += spoken[first:last]
            found.doubled += understood[other_first:other_last]


def _plain(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)) for word in text.casefold().split() if any(map(str.isalnum, word))]
