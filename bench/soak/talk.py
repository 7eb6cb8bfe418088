"""One talk of any length in virtual time, and what became of its turns."""

import asyncio
import difflib
import gc
import math
import re
import resource
import time
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from bench.soak.faults import FAULT_EVERY_SECS, Faults, plan
from bench.soak.services import REPLIES, SoakServices
from bench.soak.user import Said, TalkingUser, chatter
from bench.turn_corpus.corpus import RATE, Turn
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.replay import virtual_time
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.transports.wav import WavTransport

# A sentence behind which nothing is heard by then is dead.
_ANSWER_SECS = 15.0
_END_SECS = 20.0
# How often it is asked whether the talk is to end, in seconds of the talk.
_ASKED_SECS = 60.0
_WINDOW = 60
_NUMBERS = re.compile(r"#\d+")


@dataclass
class Soaked:
    """What became of a talk.

    Parameters:
        secs: How long it was.
        turns: How many turns were sent.
        sentences: How many sentences were said.
        dead: Sentences that nobody answered, and when.
        lost: Words that were said and reached the brain in no turn.
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
    """Keeps of a talk's events what is judged afterwards: what reached the brain, or was heard in passing, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, str]] = []
        self.answers: list[float] = []
        self.fingerprint = 0
        self._asked_early = 0

    def take(self, event: Event) -> None:
        text = event.fields.get("text", "")
        if event.type is EventType.TURN_SENT and text and event.fields["attempt"] == 1:
            if self.sent and text.startswith(f"{self.sent[-1][1]}\n"):
                # A turn that nobody answered is sent again with the next, to a session that does not know it.
                self.sent.pop()
            self.sent.append((event.t, text))
        elif event.type is EventType.ASKED_EARLY:
            self._asked_early = len(self.sent)
        elif event.type is EventType.ASKED_TOO_EARLY:
            # If it was sent at all.
            del self.sent[self._asked_early :]
        elif event.type is EventType.TURN_REOPENED and self.sent:
            # A turn may be gone on with before it was sent; what was sent last is another one then.
            if text.startswith(self.sent[-1][1].rpartition("\n")[2]):
                self.sent.pop()
        elif event.type is EventType.BACKCHANNEL:
            self.sent.append((event.t, text))
        elif event.type is EventType.SPEAKING_STARTED:
            self.answers.append(event.t)
        # Processors are numbered through the life of the process.
        told = _NUMBERS.sub("", event.to_json())
        self.fingerprint = zlib.crc32(told.encode(), self.fingerprint)


def soak(
    turns: Sequence[Turn],
    secs: float,
    seed: int,
    *,
    fault_every_secs: float | None = FAULT_EVERY_SECS,
    early: bool | None = None,
    tell: Callable[[str], object] = lambda line: None,
    over: Callable[[], bool] = lambda: False,
) -> Soaked:
    """Talk.

    Args:
        turns: Sentences to choose from, of one language.
        secs: How long.
        seed: Decides what is said, answered and what goes wrong.
        fault_every_secs: How often something goes wrong on average, or None for never.
        early: Whether the brain is asked early; None as the settings have it.
        tell: Told in one line how far it is, every hour of the talk and ten times at least.
        over: Asked every minute of the talk whether it is to end before its time.

    Returns:
        What became of it.
    """
    user = chatter(turns, secs, seed)
    planned = Faults(plan(secs, seed, fault_every_secs) if fault_every_secs else ())
    found = Soaked(secs)
    services = SoakServices(user, planned, partial(Random(seed).choice, REPLIES))
    watcher = _Watcher()
    settings = Settings(_env_file=None, language=turns[0].language)
    if early is not None:
        settings.speculate = early

    def note(passed: float) -> None:
        found.memory.append((passed, _megabytes()))
        _judge(found, user, watcher, passed)
        tell(
            f"seed {seed}: {passed / 3600:.2f} of {secs / 3600:.2f} h, {found.sentences} sentences, "
            f"{len(found.dead)} unanswered, {len(found.lost)} words lost, {len(found.doubled)} doubled, "
            f"{found.memory[-1][1]:.1f} MB"
        )

    virtual_time.run(_hold(user, services, found, watcher, settings, note, over))
    found.fingerprint = watcher.fingerprint
    _judge(found, user, watcher, found.secs + _END_SECS)
    return found


async def _hold(
    user: TalkingUser,
    services: SoakServices,
    found: Soaked,
    watcher: _Watcher,
    settings: Settings,
    note: Callable[[float], None],
    over: Callable[[], bool],
) -> None:
    hub, outcome = EventHub(Redactor()), Outcome()
    hub.begin()
    hub.listen(watcher.take)
    transport = WavTransport(user_audio=user, tap=hub)
    talk = Talk(settings, transport, hub, outcome, services=services)

    async def end_in_time() -> None:
        began = time.monotonic()
        every, noted = min(3600.0, found.secs / 10), 0.0
        while (passed := time.monotonic() - began) < found.secs + _END_SECS:
            if passed >= noted:
                note(passed)
                noted += every
            if over():
                found.secs = max(0.0, passed - _END_SECS)
                break
            await asyncio.sleep(min(_ASKED_SECS, every))
        outcome.end("finished")

    talk.started = end_in_time
    await talk.run()
    found.failure = outcome.failure or ""


def _judge(found: Soaked, user: TalkingUser, watcher: _Watcher, passed: float) -> None:
    """Judge what was said so long ago that it must be answered by now, and what was understood of it."""
    said = [one for one in user.said if one.end / RATE + _ANSWER_SECS < passed]
    # A sentence that goes on has been understood in part.
    later = user.said[len(said)].begin / RATE if len(said) < len(user.said) else math.inf
    sent = [(at, text) for at, text in watcher.sent if at < later]
    found.sentences, found.turns = len(said), len(sent)
    found.dead = list(_dead(said, watcher))
    found.lost, found.doubled = _judge_words(said, sent)


def _dead(said: Sequence[Said], watcher: _Watcher) -> Iterator[tuple[float, str]]:
    """Sentences behind which the bot said nothing at all, not even that it cannot answer."""
    for one in said:
        over = one.end / RATE
        if not _near(watcher.answers, over, over + _ANSWER_SECS):
            yield over, "".join(word.text for word in one.words).strip()


def _near(times: list[float], first: float, last: float) -> list[float]:
    return times[bisect_left(times, first) : bisect_right(times, last)]


def _judge_words(
    said: Sequence[Said], sent: Sequence[tuple[float, str]]
) -> tuple[list[tuple[float, str]], list[tuple[float, str]]]:
    """Which words were lost and which doubled, and when."""
    understood = [(at, word) for at, text in sent for word in _plain(text)]
    spoken = [(word.end / RATE, plain) for one in said for word in one.words for plain in _plain(word.text)]
    lost: list[tuple[float, str]] = []
    doubled: list[tuple[float, str]] = []
    for kind, missing, more in _differences(spoken, understood):
        if kind != "equal":
            lost += missing
            doubled += more
    return lost, doubled


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
