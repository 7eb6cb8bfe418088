"""One talk of any length in virtual time, and what became of its turns."""

import asyncio
import difflib
import gc
import math
import resource
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from bench.soak.faults import FAULT_EVERY_SECS, Faults, plan
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
_WINDOW = 60


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
        memory: Megabytes of this process, at ten and more times of the talk.
        fingerprint: A number made of all that happened.
    """

    secs: float
    turns: int = 0
    sentences: int = 0
    dead: list[tuple[float, str]] = field(default_factory=list)
    lost: list[tuple[float, str]] = field(default_factory=list)
    doubled: list[tuple[float, str]] = field(default_factory=list)
    failure: str = ""
    memory: list[tuple[float, float]] = field(default_factory=list)
    fingerprint: int = 0

    @property
    def slope(self) -> float:
        """Megabytes that the process grows by in an hour of talk, after the first fifth of it."""
        settled = self.memory[len(self.memory) // 5 :]
        if len(settled) < 2:
            return 0.0
        (first_at, first), (last_at, last) = settled[0], settled[-1]
        return (last - first) / ((last_at - first_at) / 3600)


class _Watcher:
    """Keeps of a talk's events what is judged afterwards."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str]] = []
        self.answers: list[float] = []
        self.fingerprint = 0

    def take(self, event: Event) -> None:
        if event.type is EventType.TURN_SENT and event.fields["text"]:
            self.sent.append((event.t, event.fields["text"]))
        elif event.type is EventType.SPEAKING_STARTED:
            self.answers.append(event.t)
        self.fingerprint = zlib.crc32(event.to_json().encode(), self.fingerprint)


def soak(turns: Sequence[Turn], secs: float, seed: int, *, fault_every_secs: float | None = FAULT_EVERY_SECS) -> Soaked:
    """Talk.

    Args:
        turns: Sentences to choose from, of one language.
        secs: How long.
        seed: Decides what is said, answered and what goes wrong.
        fault_every_secs: How often something goes wrong on average, or None for never.

    Returns:
        What became of it.
    """
    user = chatter(turns, secs, seed)
    planned = Faults(plan(secs, seed, fault_every_secs) if fault_every_secs else ())
    found = Soaked(secs, sentences=len(user.said))
    services = SoakServices(user, planned, partial(Random(seed).choice, REPLIES))
    watcher = _Watcher()
    hub = virtual_time.run(_hold(user, services, found, watcher, turns[0].language))
    found.turns, found.fingerprint = len(watcher.sent), watcher.fingerprint
    found.dead = list(_dead(watcher))
    _judge_words(found, user, hub)
    return found


async def _hold(user: TalkingUser, services: SoakServices, found: Soaked, watcher: _Watcher, language: str) -> EventHub:
    hub, outcome = EventHub(Redactor()), Outcome()
    hub.begin()
    hub.listen(watcher.take)
    transport = WavTransport(user_audio=user, tap=hub)
    talk = Talk(Settings(_env_file=None, language=language), transport, hub, outcome, services=services)

    async def end_in_time() -> None:
        began = time.monotonic()
        every = min(3600.0, found.secs / 10)
        while (passed := time.monotonic() - began) < found.secs + _END_SECS:
            found.memory.append((passed, _megabytes()))
            await asyncio.sleep(every)
        outcome.end("finished")

    talk.started = end_in_time
    await talk.run()
    found.failure = outcome.failure or ""
    return hub


def _dead(watcher: _Watcher) -> Iterator[tuple[float, str]]:
    for (at, text), following in zip(watcher.sent, [*watcher.sent[1:], None], strict=True):
        until = min(at + _ANSWER_SECS, following[0] if following else math.inf)
        hurried = following is not None and following[0] < at + _HURRY_SECS
        if not hurried and not any(at <= answer <= until for answer in _near(watcher.answers, at, until)):
            yield at, text


def _near(times: list[float], first: float, last: float) -> list[float]:
    return times[bisect_left(times, first) : bisect_right(times, last)]


def _judge_words(found: Soaked, user: TalkingUser, hub: EventHub) -> None:
    understood = [
        (entry.t, word)
        for entry in hub.transcript.entries
        if isinstance(entry, UserSaid)
        for word in _plain(entry.text)
    ]
    spoken = [(word.end / RATE, plain) for word in user.words for plain in _plain(word.text)]
    for kind, lost, doubled in _differences(spoken, understood):
        if kind != "equal":
            found.lost += lost
            found.doubled += doubled


def _differences(
    spoken: list[tuple[float, str]], understood: list[tuple[float, str]]
) -> Iterator[tuple[str, list[tuple[float, str]], list[tuple[float, str]]]]:
    """Where two long lists of words differ; what is missing in one never is more than a window."""
    one = other = 0
    while one < len(spoken) or other < len(understood):
        here, there = spoken[one : one + _WINDOW], understood[other : other + _WINDOW]
        matcher = difflib.SequenceMatcher(None, [word for _, word in here], [word for _, word in there], autojunk=False)
        last = one + _WINDOW >= len(spoken) and other + _WINDOW >= len(understood)
        blocks = [block for block in matcher.get_matching_blocks() if block.size]
        # The end of a window is judged with what follows it.
        used = (len(here), len(there)) if last or not blocks else (blocks[-1].a + 1, blocks[-1].b + 1)
        for kind, first, end, other_first, other_end in matcher.get_opcodes():
            if first < used[0] or (first == end and other_first < used[1]):
                yield kind, here[first : min(end, used[0])], there[other_first : min(other_end, used[1])]
        one, other = one + used[0], other + used[1]


def _megabytes() -> float:
    """What this process holds, once what is not used any more has been let go."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1]) if Path("/proc/self/statm").exists() else 0
    return pages * resource.getpagesize() / 1e6


def _plain(text: str) -> list[str]:
    return ["".join(filter(str.isalnum, word)) for word in text.casefold().split() if any(map(str.isalnum, word))]
