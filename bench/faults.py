"""What a talk costs when a service fails: services x faults x phases, each a short talk in real time.

    python -m bench.faults                     every cell, about 25 s each
    python -m bench.faults --only ears-mute    those whose names hold this
    python -m bench.faults --list              names only

The recorded user says three sentences to the real pipeline; Google is the scripted emulator behind proxies of ours,
which fail as networks do: connections that swallow data, refuse, or come late. In the second turn the fault begins:
before the user speaks (idle), while they do (speech), or when they wait for the answer (answer).
"""

import argparse
import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from loguru import logger
from pipecat.frames.frames import LLMTextFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from bench.dialogue import DATA, RATE, User, UserTransport, Utterance, say
from halfcascade.bot.pipeline import AUDIO_OUT_RATE, BotPipeline, build_pipeline
from halfcascade.bot.settings import Settings
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.language import normalize

SERVICES = ("ears", "brain", "voice")
FAULTS = ("old-mute", "mute", "refuse", "late")
PHASES = ("idle", "speech", "answer")
DURATIONS = (2.0, 5.0, 10.0)
FOR_EVER = 60.0
LATE_SECS = 3.0
REPLY = "Sure, that is a very good question. Let me think about it for a moment."
# Nobody waits longer for a word than this, and no longer than that for an answer.
_KNOW_SECS, _ANSWER_SECS = 20.0, 30.0
_SETTLE_SECS = 4.0
_POLL_SECS = 0.05
_VARIABLES = {
    "ears": "SPEECH_EMULATOR_HOST",
    "voice": "TEXTTOSPEECH_EMULATOR_HOST",
    "brain": "GOOGLE_GEMINI_BASE_URL",
}


@dataclass(frozen=True)
class Cell:
    """One talk with one fault.

    Parameters:
        service: What fails, or ``all``.
        fault: ``old-mute``: connections that are open swallow data, new ones work. ``mute``: all swallow data.
            ``refuse``: all are cut, new ones refused. ``late``: what the server says comes ``LATE_SECS`` later.
        phase: When it begins in the second turn.
        secs: How long it lasts.
    """

    service: str
    fault: str
    phase: str
    secs: float

    @property
    def name(self) -> str:
        """For people and ``--only``."""
        lasts = "ever" if self.secs >= FOR_EVER else f"{self.secs:g}s"
        return f"{self.service}-{self.fault}-{self.phase}-{lasts}"


@dataclass
class Result:
    """What a talk cost.

    Parameters:
        name: Of the cell.
        unanswered: Turns after which nothing at all was heard.
        no_answer: Turns without an answer of the brain.
        lost: Words of the user that the conversation does not hold.
        doubled: Words that it holds too often.
        knew: Seconds from the end of speech until something was heard, the longest.
        back: Seconds from the end of the fault to the next sound, where somebody waited for it.
        ended: Whether the talk ended by itself.
    """

    name: str
    unanswered: int = 0
    no_answer: int = 0
    lost: int = 0
    doubled: int = 0
    knew: float = 0.0
    back: float | None = None
    ended: bool = False


def cells() -> list[Cell]:
    """Every talk there is: at least ninety."""
    found = [
        Cell(service, fault, phase, secs)
        for service in SERVICES
        for fault in FAULTS
        for phase in PHASES
        for secs in (DURATIONS if fault != "old-mute" else (FOR_EVER,))
    ]
    found += [Cell(service, fault, "idle", FOR_EVER) for service in SERVICES for fault in ("mute", "refuse")]
    return found + [
        Cell("all", fault, phase, secs) for fault in ("mute", "refuse") for phase in PHASES for secs in (5.0, 10.0)
    ]


@dataclass(eq=False)
class _Link:
    writers: list[asyncio.StreamWriter]
    mute: bool = False


@dataclass
class Proxy:
    """A network between a client and a server, which can fail.

    Parameters:
        target: Port of the server.
    """

    target: int
    mute: bool = False
    refuse: bool = False
    delay: float = 0.0
    port: int = 0
    _links: set[_Link] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on loopback."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """End all connections."""
        self.cut()
        if self._server:
            self._server.close()

    def fail(self, fault: str) -> None:
        """Begin a fault."""
        if fault == "old-mute":
            for link in self._links:
                link.mute = True
        elif fault == "mute":
            self.mute = True
            for link in self._links:
                link.mute = True
        elif fault == "refuse":
            self.refuse = True
            self.cut()
        else:
            self.delay = LATE_SECS

    def mend(self) -> None:
        """End the fault; connections that were mute stay so, as after a change of networks."""
        self.mute = self.refuse = False
        self.delay = 0.0

    def cut(self) -> None:
        """Break all connections."""
        for link in list(self._links):
            for writer in link.writers:
                writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refuse:
            writer.transport.abort()
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        link = _Link([writer, back], mute=self.mute)
        self._links.add(link)
        try:
            await asyncio.gather(self._pump(reader, back, link), self._pump(there, writer, link, late=True))
        finally:
            self._links.discard(link)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link, *, late: bool = False
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if late and self.delay:
                    await asyncio.sleep(self.delay)
                if not link.mute:
                    writer.write(data)
                    await writer.drain()
        if not link.mute:
            writer.close()


class _Replies(BaseObserver):
    """Notes when the brain gave words."""

    def __init__(self, bot: BotPipeline):
        super().__init__()
        self._brain = bot.brain
        self.times: list[float] = []

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.source is self._brain and isinstance(data.frame, LLMTextFrame):
            self.times.append(time.monotonic())


def sentences() -> list[Utterance]:
    """What the user says."""
    return [say("greeting"), say("weather"), say("timer")]


async def talk(cell: Cell) -> Result:
    """Hold one talk.

    Args:
        cell: What fails when.

    Returns:
        What it cost.
    """
    scenario = {"recordings": [{"index": str(DATA / "recordings.json")}], "default_reply": REPLY}
    async with GoogleEmulator(scenario=scenario, profile="reference") as google:
        proxies = {service: Proxy(_port(google.env[name])) for service, name in _VARIABLES.items()}
        for proxy in proxies.values():
            await proxy.start()
        environ = google.env | {
            name: _through(google.env[name], proxies[service].port) for service, name in _VARIABLES.items()
        }
        try:
            with patch.dict(os.environ, environ):
                return await _converse(cell, proxies)
        finally:
            for proxy in proxies.values():
                await proxy.stop()


async def _converse(cell: Cell, proxies: dict[str, Proxy]) -> Result:
    user, result = User(), Result(cell.name)
    bot = build_pipeline(UserTransport(user), Settings())
    replies = _Replies(bot)
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=AUDIO_OUT_RATE)
    worker = PipelineWorker(bot.pipeline, params=params, observers=[replies], cancel_on_idle_timeout=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    failing = [proxies[service] for service in (SERVICES if cell.service == "all" else (cell.service,))]
    mended = asyncio.Event()
    mended_at = float("inf")

    async def fail(after: float) -> None:
        nonlocal mended_at
        await asyncio.sleep(after)
        for proxy in failing:
            proxy.fail(cell.fault)
        await asyncio.sleep(cell.secs)
        for proxy in failing:
            proxy.mend()
        mended_at = time.monotonic()
        mended.set()

    async def converse() -> None:
        await user.ready.wait()
        await asyncio.sleep(1.0)
        faults: list[asyncio.Task[None]] = []
        for number, utterance in enumerate(sentences()):
            if number == 1:
                after = {"idle": 0.0, "speech": 0.5, "answer": utterance.end + 0.2}[cell.phase]
                faults.append(asyncio.create_task(fail(after)))
                await asyncio.sleep(0.05)
            _, end = await user.say(utterance)
            await _wait(user, replies, end, result)
        with suppress(TimeoutError):
            async with asyncio.timeout(12.0):
                await mended.wait()
        await asyncio.sleep(_SETTLE_SECS)
        if mended_at < time.monotonic():
            result.back = next((at - mended_at for at in user.starts() if at > mended_at), None)
        for task in faults:
            task.cancel()
        await worker.cancel()

    talking = asyncio.create_task(converse())
    try:
        await runner.run()
        result.ended = not talking.done() or talking.cancelled()
    finally:
        talking.cancel()
        with suppress(asyncio.CancelledError):
            await talking
    _count_words(bot, result)
    return result


async def _wait(user: User, replies: _Replies, end: float, result: Result) -> None:
    """Wait as a person does: for any sound, then for the answer to be over."""
    heard: list[float] = []
    while not heard and time.monotonic() < end + _KNOW_SECS:
        await asyncio.sleep(_POLL_SECS)
        heard = [at for at in user.starts() if at > end - 0.1]
    if not heard:
        result.unanswered += 1
        result.knew = max(result.knew, _KNOW_SECS)
        return
    result.knew = max(result.knew, heard[0] - end)
    while not any(at > end - 0.1 for at in replies.times) and time.monotonic() < end + _ANSWER_SECS:  # noqa: ASYNC110
        await asyncio.sleep(_POLL_SECS)
    result.no_answer += not any(at > end - 0.1 for at in replies.times)
    await user.bot_is_silent(heard[0])


def _count_words(bot: BotPipeline, result: Result) -> None:
    said = Counter(word for utterance in sentences() for word in normalize(utterance.text).split())
    messages = cast(list[dict[str, Any]], bot.context.get_messages())
    texts = [str(message["content"]) for message in messages if message["role"] == "user"]
    held = Counter(word for text in texts for word in normalize(text).split())
    result.lost = sum((said - held).values())
    result.doubled = sum((held - said).values())


def _port(address: str) -> int:
    return int(address.rsplit(":", 1)[1].strip("/"))


def _through(address: str, port: int) -> str:
    head = address.rstrip("/").rsplit(":", 1)[0]
    return f"{head}:{port}"


def _table(results: list[Result]) -> Iterator[str]:
    yield f"{'cell':<30}{'silent':>7}{'no answer':>10}{'lost':>6}{'doubled':>8}{'knew':>7}{'back':>7}{'ended':>6}"
    for r in results:
        back = "" if r.back is None else f"{r.back:.1f}"
        yield (
            f"{r.name:<30}{r.unanswered:>7}{r.no_answer:>10}{r.lost:>6}{r.doubled:>8}{r.knew:>7.1f}{back:>7}"
            f"{'yes' if r.ended else '':>6}"
        )


async def _run(chosen: list[Cell]) -> list[Result]:
    results = []
    for cell in chosen:
        results.append(await talk(cell))
        print(list(_table(results))[-1], flush=True)
    return results


def main() -> None:
    """Hold the talks and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="cells whose names hold this")
    parser.add_argument("--list", action="store_true", help="print the names of the cells")
    parser.add_argument("--json", type=Path, help="write the results there, too")
    options = parser.parse_args()
    chosen = [cell for cell in cells() if options.only in cell.name]
    if options.list:
        print("\n".join(cell.name for cell in chosen))
        return
    logger.remove()
    print(next(_table([])))
    results = asyncio.run(_run(chosen))
    if options.json:
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    bad = [r.name for r in results if r.unanswered or r.ended]
    print(f"{len(results)} cells, {len(bad)} bad: {', '.join(bad) or 'none'}")


if __name__ == "__main__":
    main()
