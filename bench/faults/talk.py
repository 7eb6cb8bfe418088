"""One talk: a recorded user, the real pipeline, and the scripted emulator behind networks that fail."""

import asyncio
import os
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast
from unittest.mock import patch

from loguru import logger

from bench.dialogue import DATA, User, UserTransport, Utterance, say
from bench.faults.cells import FOR_EVER, SERVICES, Cell
from bench.faults.network import Proxy
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.language import normalize
from halfcascade.processors.turns import load_networks

REPLY = "Sure, that is a very good question. Let me think about it for a moment."
# Nobody waits longer for a word than this, and no longer than that for an answer.
_KNOW_SECS, _ANSWER_SECS = 20.0, 30.0
_MENDED_SECS, _SETTLE_SECS = 12.0, 4.0
_POLL_SECS = 0.05
# Ends of speech in the recordings are estimates.
_EARLY_SECS = 0.1
# No talk of the table takes this long.
_HUNG_SECS = 240.0
_VARIABLES = {
    "ears": "SPEECH_EMULATOR_HOST",
    "voice": "TEXTTOSPEECH_EMULATOR_HOST",
    "brain": "GOOGLE_GEMINI_BASE_URL",
}


@dataclass
class Result:
    """What a talk cost.

    Parameters:
        name: Of the cell.
        silent: Turns after which nothing at all was heard.
        unanswered: Turns whose answer nobody heard.
        lost: Words of the user that the conversation does not hold.
        doubled: Words that it holds too often.
        knew: Seconds from the end of speech until something was heard, the longest.
        back: Seconds from the end of the fault to the answer of the turn that waited for it, else from the end of the
            next turn to its answer; None where there was none.
        code: The exit code that the program would have had; -1 for a talk that did not end.
        failure: What it would have told then.
        load: Average load of the machine over the minute before its end.
    """

    name: str
    silent: int = 0
    unanswered: int = 0
    lost: int = 0
    doubled: int = 0
    knew: float = 0.0
    back: float | None = None
    code: int = 0
    failure: str = ""
    load: float = 0.0

    @property
    def bad(self) -> bool:
        """Whether somebody was left in silence, or the talk ended."""
        return bool(self.silent or self.code)


@dataclass
class _Heard:
    """Where the user's turns ended, and when the answers to them were heard."""

    ends: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        """Note the first word of each answer; what else the bot says has other words."""
        if event.type == EventType.HEARD and REPLY.startswith(event.fields["written"].strip() or "-"):
            self.answers.append(time.monotonic())

    def answer(self, turn: int) -> float | None:
        """When the answer of a turn began to be heard, before the next turn was over."""
        until = self.ends[turn + 1] if turn + 1 < len(self.ends) else float("inf")
        return next((at for at in self.answers if self.ends[turn] - _EARLY_SECS < at < until), None)

    def back(self, mended_at: float) -> float | None:
        """Seconds until the answer that the end of the fault allowed."""
        for turn, end in enumerate(self.ends):
            at = self.answer(turn)
            if at is None or at > mended_at:
                return None if at is None else at - max(mended_at, end)
        return None


def sentences() -> list[Utterance]:
    """What the user says."""
    return [say("greeting"), say("weather"), say("timer")]


def prepare() -> None:
    """Get a process ready, so that no talk waits for what is loaded once."""
    logger.remove()
    load_networks(*Settings().listen_for)


def hold(cell: Cell) -> Result:
    """Hold one talk in this process.

    Args:
        cell: What fails when.

    Returns:
        What it cost.
    """
    result = Result(cell.name, code=-1)
    with suppress(TimeoutError):
        asyncio.run(_within_limit(cell, result))
    result.load = round(os.getloadavg()[0], 1)
    return result


async def _within_limit(cell: Cell, result: Result) -> None:
    async with asyncio.timeout(_HUNG_SECS):
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
                    await _converse(cell, proxies, result)
            finally:
                for proxy in proxies.values():
                    await proxy.stop()


async def _converse(cell: Cell, proxies: dict[str, Proxy], result: Result) -> None:
    user, hub, outcome, heard = User(), EventHub(Redactor()), Outcome(), _Heard()
    hub.begin()
    hub.listen(heard.on_event)
    talk = Talk(Settings(), UserTransport(user), hub, outcome)
    failing = [proxies[service] for service in (SERVICES if cell.service == "all" else (cell.service,))]
    mended: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    async def fail(after: float) -> None:
        await asyncio.sleep(after)
        for proxy in failing:
            proxy.fail(cell.fault)
        await asyncio.sleep(cell.secs)
        for proxy in failing:
            proxy.mend()
        mended.set_result(time.monotonic())

    async def speak() -> None:
        await user.ready.wait()
        await asyncio.sleep(1.0)
        for number, utterance in enumerate(sentences()):
            if number == 1:
                after = {"idle": 0.0, "speech": 0.5, "answer": utterance.end + 0.2}[cell.phase]
                faults.append(asyncio.create_task(fail(after)))
                await asyncio.sleep(_POLL_SECS)
            _, end = await user.say(utterance)
            heard.ends.append(end)
            await _wait(user, heard, result)
        if cell.fault != "old-mute":
            await asyncio.wait({mended}, timeout=_MENDED_SECS if cell.secs < FOR_EVER else FOR_EVER)
        await asyncio.sleep(_SETTLE_SECS)
        outcome.end("finished")

    faults: list[asyncio.Task[None]] = []
    talking, speaking = asyncio.create_task(talk.run()), asyncio.create_task(speak())
    try:
        await asyncio.wait({talking, speaking}, return_when=asyncio.FIRST_COMPLETED)
        if speaking.done():
            await speaking
        await talking
    finally:
        for task in (*faults, speaking, talking):
            task.cancel()
        await asyncio.gather(*faults, speaking, talking, return_exceptions=True)
    result.code, result.failure = outcome.exit_code, outcome.failure or ""
    result.silent += len(sentences()) - len(heard.ends)
    result.unanswered = len(sentences()) - sum(heard.answer(turn) is not None for turn in range(len(heard.ends)))
    if mended.done():
        result.back = heard.back(mended.result())
    _count_words(cast(list[dict[str, Any]], talk.bot.context.get_messages()), result)


async def _wait(user: User, heard: _Heard, result: Result) -> None:
    """Wait as a person does: for any sound, then for the answer to be over."""
    end, turn = heard.ends[-1], len(heard.ends) - 1
    sounds: list[float] = []
    while not sounds and time.monotonic() < end + _KNOW_SECS:
        await asyncio.sleep(_POLL_SECS)
        sounds = [at for at in user.starts() if at > end - _EARLY_SECS]
    result.knew = max(result.knew, sounds[0] - end if sounds else _KNOW_SECS)
    if not sounds:
        result.silent += 1
        return
    while heard.answer(turn) is None and time.monotonic() < end + _ANSWER_SECS:  # noqa: ASYNC110 - no event
        await asyncio.sleep(_POLL_SECS)
    await user.bot_is_silent(heard.answer(turn) or sounds[0])


def _count_words(messages: list[dict[str, Any]], result: Result) -> None:
    said = Counter(word for utterance in sentences() for word in normalize(utterance.text).split())
    texts = [str(message["content"]) for message in messages if message["role"] == "user"]
    held = Counter(word for text in texts for word in normalize(text).split())
    result.lost = sum((said - held).values())
    result.doubled = sum((held - said).values())


def _port(address: str) -> int:
    return int(address.rsplit(":", 1)[1].strip("/"))


def _through(address: str, port: int) -> str:
    head = address.rstrip("/").rsplit(":", 1)[0]
    return f"{head}:{port}"
