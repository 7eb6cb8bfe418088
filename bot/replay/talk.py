"""A saved talk, held again with today's code and the services of then, in virtual time."""

import asyncio
import shutil
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from pipecat.services.llm_service import FunctionCallParams

from halfcascade.bot.controls import TalkControls
from halfcascade.bot.finish import EndOfConversation
from halfcascade.bot.money import Models, Tariff, load_tariff
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.replay import virtual_time
from halfcascade.bot.replay.again import settings_of_talk
from halfcascade.bot.replay.brain import function_results
from halfcascade.bot.replay.played import Guessed, PlayedServices
from halfcascade.bot.replay.tape import USER_RATE, Tape
from halfcascade.bot.report.compare import Limits, compare_talks
from halfcascade.bot.report.saved import SavedTalk, load_talk
from halfcascade.bot.session.events import EventType
from halfcascade.bot.session.folder import Session
from halfcascade.bot.session.names import SERVICES, SERVICES_AUDIO
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.bot.talk import Talk
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live import builtin_tools
from halfcascade.processors.turns import load_networks
from halfcascade.processors.turns.text_end import lacks_text_end
from halfcascade.transports.wav import WavTransport

# What the bot was saying when the recording ended may be finished for so long.
_FINISH_SECS = 60.0
_WITHOUT_MODEL = (
    "No small language model is here to judge ends of turns, which come up to 1.4 s later without it: "
    "compare talks of machines that both have it, or both lack it."
)


@dataclass(frozen=True)
class Replayed:
    """What came of it.

    Parameters:
        folder: The new talk's session folder.
        talked_secs: How long the talk was.
        took_secs: How long it took.
        processor_secs: How much of the processor's time it took, all threads together.
        guesses: What was asked that the recording has no answer to.
        hints: What a difference may come from besides the code.
    """

    folder: Path
    talked_secs: float
    took_secs: float
    processor_secs: float
    guesses: tuple[Guessed, ...]
    hints: tuple[str, ...] = ()


def replay_talk(
    folder: Path, to: Path, *, prepare: Callable[[Talk], None] = lambda talk: None, **changed: Any
) -> Replayed:
    """Hold a saved talk again: the same user, the same answers of the services, today's code. No network is used.

    Args:
        folder: Session folder of the saved talk, with what the services answered (see ``tape``).
        to: Where the new talk's session folder goes.
        prepare: Called with the new talk before it begins, to change something in it.
        **changed: Settings that shall be others than the saved talk's.

    Returns:
        What came of it.

    Raises:
        ConfigurationError: If the folder holds no session, or not what the services answered, or ``to`` cannot be
            written.
    """
    saved, tape = load_talk(folder), Tape(folder)
    settings = Settings(_env_file=None, **{**settings_of_talk(folder), "session": to, **changed})
    load_networks(*settings.listen_for)
    began, computed = time.monotonic(), time.process_time()
    replay = _Replay(saved, tape, settings, prepare)
    session, talked_secs = virtual_time.run(replay.hold(to), wall_clock=_wall_clock(saved))
    took = time.monotonic() - began, time.process_time() - computed
    hints = (_WITHOUT_MODEL,) if lacks_text_end(settings.listen_for) else ()
    return Replayed(session.folder, talked_secs, *took, tuple(replay.services.guesses), hints)


class _Replay:
    def __init__(self, saved: SavedTalk, tape: Tape, settings: Settings, prepare: Callable[[Talk], None]):
        self._saved = saved
        self._settings = settings
        self._prepare = prepare
        self._results = function_results(tape.lines("brain"))
        self._user = tape.user
        self._finish = EndOfConversation()
        self._session: Session | None = None
        self.services = PlayedServices(tape, self._guessed)

    async def hold(self, to: Path) -> tuple[Session, float]:
        session = self._session = Session(to, Redactor())
        session.metrics.tariff = _tariff(self._settings)
        settings = self._settings.model_dump(mode="json", exclude_none=True)
        session.start({**_head(self._saved), "replays": str(self._saved.folder)}, settings)
        session.emit(EventType.BACKEND, backend="recorded", reason="it is a replay")
        outcome = Outcome()
        transport = WavTransport(user_audio=self._user, user_audio_rate=USER_RATE, tap=session)
        transport.add_event_handler("on_user_audio_finished", self._on_user_audio_finished)
        session.watch_transport(lambda: transport.stats.as_dict())  # noqa: PLW0108 read anew each time
        talk = Talk(self._settings, transport, session, outcome, services=self.services)
        own = {tool.__name__ for tool in builtin_tools()} if self._settings.tools else set()
        for name in self._results.keys() - own:
            talk.bot.brain.register_function(name, _giving(self._results[name]))
        session.listen(lambda event: self._finish.apply(event, time.monotonic()))
        controls = TalkControls(talk, session, outcome)
        talk.started = lambda: self._accompany(talk, controls, session, outcome)
        self._prepare(talk)
        began = time.monotonic()
        try:
            await talk.run()
        finally:
            talked_secs = time.monotonic() - began
            await session.close(outcome.failure or outcome.reason)
            for name in (SERVICES, SERVICES_AUDIO):
                # So that what came of it can be run again, too, and be kept alone.
                shutil.copy(self._saved.folder / name, session.folder / name)
        if outcome.failure:
            raise ConfigurationError(f"The replay ended early: {outcome.failure}")
        return session, talked_secs

    async def _accompany(self, talk: Talk, controls: TalkControls, session: Session, outcome: Outcome) -> None:
        """Type what was typed, and end the talk when it is over."""
        for event in self._saved.of_type(EventType.TYPED):
            talk.soon(_at(event.t, session, partial(controls.type, str(event.fields["text"]))))
        last = time.monotonic() + len(self._user) / USER_RATE + _FINISH_SECS
        while time.monotonic() < last and not self._finish.over(time.monotonic()):  # noqa: ASYNC110 silence is no event
            await asyncio.sleep(0.1)
        outcome.end("finished")

    async def _on_user_audio_finished(self, transport: Any) -> None:
        if self._session:
            self._session.emit(EventType.USER_AUDIO_FINISHED)

    def _guessed(self, guessed: Guessed) -> None:
        if self._session:
            self._session.emit(EventType.GUESSED, service=guessed.service, message=guessed.line)


async def _at(t: float, session: Session, act: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(max(0.0, t - session.clock.seconds()))
    await act()


def _giving(results: list[tuple[float, Any]]) -> Callable[[FunctionCallParams], Awaitable[None]]:
    """A function that returns what it returned in the recording; the last of it again, if it is called more often."""
    left = list(results)

    async def give(params: FunctionCallParams) -> None:
        secs, result = left.pop(0) if len(left) > 1 else left[0]
        await asyncio.sleep(secs)
        await params.result_callback(result)

    return give


def _head(saved: SavedTalk) -> Mapping[str, Any]:
    return {name: saved.title[name] for name in ("language", "model", "voice") if name in saved.title}


def _tariff(settings: Settings) -> Tariff:
    return load_tariff(Models(settings.stt_model, settings.model, settings.voice_name), settings.prices)


def _wall_clock(saved: SavedTalk) -> float:
    try:
        return datetime.fromisoformat(str(saved.title.get("started", ""))).timestamp()
    except ValueError:
        return time.time()


def assert_replay_no_worse(folder: Path, to: Path, limits: Limits | None = None, **changed: Any) -> Replayed:
    """Fail if today's code makes a saved talk worse: for tests that keep a project's worst talks.

    Args:
        folder: Session folder of the saved talk, best one that a replay left (see ``replay_talk``).
        to: Where the new talk's session folder goes.
        limits: What is a difference.
        **changed: Settings that shall be others than the saved talk's.

    Returns:
        What came of the replay.

    Raises:
        AssertionError: If something became worse; the message tells what, and what the services were asked that the
            recording has no answer to.
        ConfigurationError: If there is nothing to replay.
    """
    replayed = replay_talk(folder, to, **changed)
    comparison = compare_talks(folder, replayed.folder, limits)
    if comparison.worse:
        guesses = [f"guess   {guessed.service}: {guessed.line}" for guessed in replayed.guesses]
        raise AssertionError("\n".join([*guesses, *comparison.lines(), *replayed.hints]))
    return replayed
