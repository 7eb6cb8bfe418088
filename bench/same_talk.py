"""The same ten turns through every door: same words, barge-ins, what was heard, and when, at the client's ear.

python -m bench.same_talk [--doors terminal,browser,websocket,telephone,eval] [--runs N] [--profile reference]

A recorded user talks with the bot through each door in turn, against the emulator (scripted mind) in a process of its
own; three of the ten turns interrupt a story. Everything is judged from the sound that reached the client:

- ``words``: whether the user was understood, and answered, as at the terminal
- ``cut``: stories that the user interrupted / replies that ended without the user's doing
- ``heard``: for each reply, words in the transcript's heard text minus words that sounded at the client; the furthest.
  A gap within a word, as an overloaded machine makes it, counts as one more word
- ``voice to voice``: from the user's last sound at the client's microphone to the bot's first at its loudspeaker
- ``way``: what the door alone takes: a bot that beeps at a click, through the same door, measured the same way.
  Buffers, packets and codecs are in it
- ``buffer``: how much more the client's jitter buffer held back in the talk than for the beeps, on average
- ``above``: voice to voice less the door's way and that, beyond the same of the terminal
- ``there``, ``bot``, ``back``: from the user's last sound until the bot knows of the silence, from there to the first
  sound from its voice, from there to the client's ear; medians, which add up to voice to voice
- ``ducked``, ``silent``: from the bot's decision until the client hears it, and from the user's first sound until then

Prints a table and, last, one line of JSON. The machine's other load is part of the result: run it on a quiet one.
"""

import argparse
import asyncio
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from loguru import logger
from pipecat.frames.frames import InterruptionFrame, TTSAudioRawFrame, VADUserStoppedSpeakingFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed

from bench.dialogue import OVER_SECS, RATE, User, UserTransport, Utterance, say
from bench.door_sound import GAP_SECS, ducked_at, loud_times, silent_at, starts_of, words_heard
from bench.latency import STORY, start_emulator
from bench.parties import LOUD, Party, Sound, TerminalParty, served_parties
from bench.way import Beeper, BeepVisit, click, run_worker, worker_of
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.pipeline import AUDIO_OUT_RATE
from halfcascade.bot.serve.visit import Visit
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.transcript import BotSaid, UserSaid
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.processors.chirp_tts import ChirpTTSService
from halfcascade.processors.frames import DuckFrame
from tests.bot.serve.support import Served, serving

DOORS = ("terminal", "browser", "websocket", "telephone", "eval")
# Each "question" gets the story, and the turn behind it interrupts that.
TURNS = ("weather", "question", "actually", "timer", "question", "weather", "numbers", "question", "timer", "weather")
REPLIES = [
    {"match": "moon", "text": STORY},
    {"match": "weather", "text": "It will be sunny all day."},
    {"match": "timer", "text": "The timer runs for fifteen minutes."},
    {"match": "meeting", "text": "I have put the meeting down."},
    {"match": "another question", "text": "Please go ahead."},
]
_INTERRUPT_SECS = 3.0
_ANSWER_SECS = 12.0
# Speech before this is the answer to an earlier turn: the recordings' ends are estimates.
_EARLY_SECS = 0.1
_POLL_SECS = 0.05


class Decisions(BaseObserver):
    """Notes when the bot ducks and stops, and the voice as it comes from the service.

    Observers are told a little late, so times are those of the pipeline's clock, moved to ``time.monotonic()`` by the
    promptest frame of all.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ducks: list[float] = []
        self._stops: list[float] = []
        self._ends: dict[int, float] = {}
        self._voice: list[tuple[float, bytes]] = []
        self._offset = math.inf

    @property
    def ducks(self) -> list[float]:
        """When it decided to be quieter."""
        return [at + self._offset for at in self._ducks]

    @property
    def stops(self) -> list[float]:
        """When it decided to be silent."""
        return [at + self._offset for at in self._stops]

    @property
    def ends(self) -> list[float]:
        """When it knew that the user was silent."""
        return [at + self._offset for at in self._ends.values()]

    @property
    def voice(self) -> list[tuple[float, bytes]]:
        """When which audio came from the service."""
        return [(at + self._offset, audio) for at, audio in self._voice]

    async def on_push_frame(self, data: FramePushed) -> None:
        """Take what is pushed."""
        frame, at = data.frame, data.timestamp / 1e9
        self._offset = min(self._offset, time.monotonic() - at)
        if isinstance(frame, DuckFrame) and frame.gain < 1:
            self._ducks.append(at)
        elif isinstance(frame, InterruptionFrame):
            self._stops.append(at)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._ends.setdefault(frame.id, at)
        elif isinstance(frame, TTSAudioRawFrame) and isinstance(data.source, ChirpTTSService):
            self._voice.append((at, frame.audio))


class Watched(Visit):
    """A visit whose decisions are noted."""

    noted: ClassVar[list[Decisions]] = []

    async def _on_started(self) -> None:
        assert self._talk
        self.noted.append(Decisions())
        self._talk.worker.add_observer(self.noted[-1])
        await super()._on_started()


@dataclass
class Turn:
    """One turn of a talk, as it was.

    Parameters:
        name: Of the recording.
        begin: When its recording began.
        start: When its speech began.
        end: When its speech ended.
        interrupts: Whether it was said into a reply.
    """

    name: str
    begin: float
    start: float
    end: float
    interrupts: bool


def utterances() -> list[Utterance]:
    """What the user says."""
    return [say(name, interrupts=index > 0 and TURNS[index - 1] == "question") for index, name in enumerate(TURNS)]


async def converse(party: Party) -> list[Turn]:
    """Say each utterance when the answer to the one before is over, or well begun."""
    turns: list[Turn] = []
    for utterance in utterances():
        if utterance.interrupts:
            started = await _answered(party, turns[-1].end) or time.monotonic()
            await asyncio.sleep(max(0.0, started + _INTERRUPT_SECS - time.monotonic()))
        elif turns:
            await _answered(party, turns[-1].end)
            while time.monotonic() - await party.last() < OVER_SECS:  # noqa: ASYNC110 - no event
                await asyncio.sleep(_POLL_SECS)
        begin, end = await party.say(utterance)
        lead = np.flatnonzero(np.abs(utterance.samples.astype(np.int32)) > LOUD)[0] / RATE
        turns.append(Turn(utterance.name, begin, begin + lead, end, utterance.interrupts))
    await _answered(party, turns[-1].end)
    await asyncio.sleep(3.0)
    return turns


async def _answered(party: Party, after: float) -> float | None:
    deadline = time.monotonic() + _ANSWER_SECS
    while time.monotonic() < deadline:
        if found := [at for at in await party.starts(GAP_SECS) if at > after - _EARLY_SECS]:
            return found[0]
        await asyncio.sleep(_POLL_SECS)
    return None


@dataclass
class Result:
    """What a talk through a door was like; times in seconds.

    Parameters:
        door: Which.
        said: The user's words as understood.
        replies: The bot's words.
        wanted: Stories to be interrupted.
        cut: Which of them were.
        unwanted: Replies cut short without the user's doing.
        off: For each reply, words in its heard text minus words that sounded at the client.
        latencies: Voice to voice at the client.
        way: The door's own way there and back.
        parts: Of each answer: until the bot knew of the silence, until its voice's first sound, until that was heard.
        buffers: How much longer the client held sound back in each talk than on the way.
        ducks: From the decision to duck until the client hears it.
        stops: From the decision to stop until the client hears silence.
        duck_totals: From the user's first sound over the bot until it is quieter.
        stop_totals: From the user's first sound over the bot until it is silent.
    """

    door: str
    said: list[str] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    wanted: int = 0
    cut: int = 0
    unwanted: int = 0
    off: list[int] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    way: list[float] = field(default_factory=list)
    parts: list[tuple[float, float, float]] = field(default_factory=list)
    buffers: list[float] = field(default_factory=list)
    ducks: list[float] = field(default_factory=list)
    stops: list[float] = field(default_factory=list)
    duck_totals: list[float] = field(default_factory=list)
    stop_totals: list[float] = field(default_factory=list)

    def judge(self, turns: Sequence[Turn], sound: Sound, hub: EventHub, noted: Decisions) -> None:
        """Add one talk.

        Args:
            turns: What the user said.
            sound: What reached the client.
            hub: What the bot knows of the talk.
            noted: What the bot decided.
        """
        entries = hub.transcript.entries
        self.said += [one.text.lower().strip(" .?!") for one in entries if isinstance(one, UserSaid)]
        replies = [one for one in entries if isinstance(one, BotSaid)]
        self.replies += [one.text.strip() for one in replies]
        starts = starts_of(loud_times(sound))
        ends = [turn.begin for turn in turns[1:]] + [sound.origin + len(sound.samples) / sound.rate]
        wanted = [turn.name == "question" for turn in turns]
        for index, (turn, until) in enumerate(zip(turns, ends, strict=True)):
            onset = next((at for at in starts if at > turn.end - _EARLY_SECS), None)
            if onset is None:
                continue
            self.latencies.append(float(onset - turn.end))
            self._take_apart(turn, onset, noted)
            if index < len(replies):
                heard = len(replies[index].heard_text.split())
                self.off.append(heard - words_heard(sound, onset - 0.005, self._silence(sound, until, turns, index)))
            if index + 1 < len(turns) and turns[index + 1].interrupts:
                self._judge_cut(turns[index + 1], onset, sound, noted)
        self.wanted += sum(wanted[:-1])
        cut = [reply.interrupted for reply in replies]
        self.cut += sum(is_cut and is_wanted for is_cut, is_wanted in zip(cut, wanted, strict=False))
        self.unwanted += sum(is_cut and not is_wanted for is_cut, is_wanted in zip(cut, wanted, strict=False))

    def _take_apart(self, turn: Turn, onset: float, noted: Decisions) -> None:
        said = [at for at, _ in noted.voice if turn.end - _EARLY_SECS < at < onset]
        known = [at for at in noted.ends if turn.end - _EARLY_SECS < at < (said[0] if said else 0.0)]
        if known:
            self.parts.append((known[-1] - turn.end, said[0] - known[-1], float(onset) - said[0]))

    @staticmethod
    def _silence(sound: Sound, until: float, turns: Sequence[Turn], index: int) -> float:
        """When a reply was over at the client, the next turn being said into it or not."""
        if index + 1 == len(turns) or not turns[index + 1].interrupts:
            return until
        return silent_at(sound, turns[index + 1].start) + 0.01

    def _judge_cut(self, turn: Turn, onset: float, sound: Sound, noted: Decisions) -> None:
        silent = silent_at(sound, turn.start)
        self.stop_totals.append(silent - turn.start)
        decided = [at for at in noted.stops if turn.start < at < turn.end + 2]
        if decided:
            self.stops.append(silent - decided[0])
        ducked = [at for at in noted.ducks if turn.start < at < turn.end + 2]
        voice = b"".join(audio for at, audio in noted.voice if onset - 2.0 < at < turn.end)
        heard = ducked_at(sound, onset, voice, turn.start, silent)
        if ducked and heard:
            self.ducks.append(heard - ducked[0])
            self.duck_totals.append(heard - turn.start)


class _Tap(User):
    """The user at the terminal, with the hub and the client's ear at the same devices."""

    def __init__(self, hub: EventHub | None = None):
        super().__init__()
        self.party = TerminalParty(self)
        self._hub = hub

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        super().captured(audio, sample_rate, at)
        if self._hub:
            self._hub.captured(audio, sample_rate, at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        super().played(audio, sample_rate, at)
        self.party.played(audio, sample_rate, at)
        if self._hub:
            self._hub.played(audio, sample_rate, at)


async def at_the_terminal(result: Result) -> None:
    """Hold the talk over our own transport."""
    hub = EventHub(Redactor.from_environment())
    hub.begin()
    user, outcome, noted = _Tap(hub), Outcome(), Decisions()
    talk = Talk(Settings(_env_file=None), UserTransport(user), hub, outcome, observers=[noted])
    async with asyncio.TaskGroup() as group:
        group.create_task(talk.run())
        await user.ready.wait()
        turns = await converse(user.party)
        outcome.end("done")
    result.judge(turns, await user.party.sound(), hub, noted)


async def way_of_the_terminal() -> list[float]:
    """Click at the beeping bot over our own transport."""
    user = _Tap()
    transport = UserTransport(user)
    worker = worker_of([transport.input(), Beeper(AUDIO_OUT_RATE), transport.output()])
    running = asyncio.create_task(run_worker(worker))
    await user.ready.wait()
    found = await click(user.party)
    await worker.cancel()
    await running
    return found


Parties = dict[str, Callable[[], AbstractAsyncContextManager[Party]]]


@asynccontextmanager
async def _served(visit: type[Visit]) -> AsyncIterator[tuple[Served, Parties]]:
    settings = Settings(_env_file=None)
    async with serving(dict(os.environ), settings, visit=visit, evals=True) as served:
        yield served, served_parties(served.http, served.ws)


async def through(door: str, runs: int) -> Result:
    """Talk through one door."""
    result = Result(door)
    if door == "terminal":
        result.way = await way_of_the_terminal()
        for _ in range(runs):
            await at_the_terminal(result)
        return result
    async with _served(BeepVisit) as (_, parties), parties[door]() as party:
        result.way = await click(party)
        held_back = await party.held_back()
    async with _served(Watched) as (served, parties):
        for _ in range(runs):
            async with parties[door]() as party:
                turns = await converse(party)
                sound = await party.sound()
                result.buffers.append(await party.held_back() - held_back)
            await asyncio.wait_for(served.house.rooms.wait_until_empty(), 90)
            result.judge(turns, sound, served.hubs[-1], Watched.noted[-1])
    return result


def _ms(secs: float | None) -> str:
    return "-" if secs is None else f"{1000 * secs:.0f}"


def _percentile(values: Sequence[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def above(result: Result, terminal: Result) -> float | None:
    """How much later the 90th percentile is than the terminal's, the ways and buffers apart, in seconds."""
    if not (result.latencies and terminal.latencies and result.way and terminal.way):
        return None
    own, desk = (float(np.percentile(one.latencies, 90)) - statistics.median(one.way) for one in (result, terminal))
    return own - desk - (statistics.mean(result.buffers) if result.buffers else 0.0)


def _alike(replies: Sequence[str], others: Sequence[str]) -> bool:
    """Whether replies are the same, but for how far one came before it was interrupted."""
    pairs = zip(replies, others, strict=False)
    return len(replies) == len(others) and all(a.startswith(b) or b.startswith(a) for a, b in pairs)


def table(results: Sequence[Result]) -> str:
    """Lines for a person; times in milliseconds."""
    first = results[0]
    names = ("door", "words", "cut", "unwanted", "heard", "v2v p50/p90", "way", "buffer", "above", "there / bot / back",
             "ducked p95", "silent p95", "from voice: ducked / silent p50")  # fmt: skip
    widths = [max(11, len(name)) for name in names]
    lines = ["  ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))]
    for one in results:
        same = one.said == first.said and _alike(one.replies, first.replies)
        cells = (
            one.door,
            "same" if same else "OTHER",
            f"{one.cut}/{one.wanted}",
            str(one.unwanted),
            f"{max(map(abs, one.off), default=0)}",
            f"{_ms(_percentile(one.latencies, 50))}/{_ms(_percentile(one.latencies, 90))}",
            _ms(_percentile(one.way, 50)),
            _ms(statistics.mean(one.buffers) if one.buffers else None),
            _ms(above(one, first)),
            " / ".join(_ms(statistics.median(part)) for part in zip(*one.parts, strict=True)),
            _ms(_percentile(one.ducks, 95)),
            _ms(_percentile(one.stops, 95)),
            f"{_ms(_percentile(one.duck_totals, 50))} / {_ms(_percentile(one.stop_totals, 50))}",
        )
        lines.append("  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)))
    return "\n".join(lines)


async def measure(doors: Sequence[str], runs: int) -> list[Result]:
    """Talk through the doors, one after the other."""
    results = []
    for door in doors:
        results.append(await through(door, runs))
        print(json.dumps(asdict(results[-1])), flush=True)
    return results


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--doors", default=",".join(DOORS))
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--profile", default="reference")
    options = parser.parse_args()
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        emulator = start_emulator(Path(folder), options.profile, replies=REPLIES)
        try:
            results = asyncio.run(measure(options.doors.split(","), options.runs))
        finally:
            emulator.terminate()
            emulator.wait()
    print(table(results))
    print(json.dumps([asdict(result) for result in results]))


if __name__ == "__main__":
    main()
