"""One conversation at this desk as a process: its session folder, signals, and exit code."""

import asyncio
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from loguru import logger

from halfcascade.bot.conversation import Conversation
from halfcascade.bot.logs import LOG_FILE, set_up_logs
from halfcascade.bot.money import Models, Tariff, in_words, load_tariff
from halfcascade.bot.outcome import Outcome, ending_on_signals
from halfcascade.bot.session.events import EventType
from halfcascade.bot.session.metrics import Metrics
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.retention import forget_old_sessions
from halfcascade.bot.settings import Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError
from halfcascade.unusable import tell_path

_SESSIONS = Path("sessions")
_LINGER_SECS = 0.5


def run_conversation(
    settings: Settings, *, terminal: Terminal, verbose: bool = False, mirror: bool = False, mind: str = "local"
) -> int:
    """Hold one conversation.

    Args:
        settings: Everything that can be chosen.
        terminal: Where to show it.
        verbose: Whether log lines are shown too.
        mirror: Whether the conversation of a recorded user is heard on the loudspeaker, if there is one.
        mind: What stands behind the embedded servers.

    Returns:
        The process's exit code.
    """
    folder = settings.session or _SESSIONS / datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    try:
        with asyncio.Runner() as runner:
            code = runner.run(_hold(settings, folder, terminal, verbose=verbose, mirror=mirror, mind=mind))
            _leave(runner.get_loop(), code)
        return code
    except ConfigurationError as error:  # before there was a session to write it to
        terminal.fail(str(error))
    except KeyboardInterrupt:
        terminal.say(tr("Ended before the conversation began."))
        return 0
    return 1


def _leave(loop: asyncio.AbstractEventLoop, code: int) -> None:
    """End the process here if the event loop could not be closed: a task holds on that takes no notice of its end.

    Args:
        loop: The loop; everything is written down and told.
        code: The process's exit code.
    """
    if held := asyncio.all_tasks(loop):
        for task in held:
            task.cancel()
        _, held = loop.run_until_complete(asyncio.wait(held, timeout=_LINGER_SECS))
    if held:
        logger.error(f"Left behind at the end: {', '.join(task.get_name() for task in held)}.")
        logger.complete()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


async def _hold(settings: Settings, wanted: Path, terminal: Terminal, *, verbose: bool, mirror: bool, mind: str) -> int:
    redactor = Redactor.from_environment()
    tariff = load_tariff(Models(settings.stt_model, settings.model, settings.voice_name), settings.prices)
    outcome = Outcome()
    with ending_on_signals(outcome):
        with terminal.working(tr("Starting")):
            from halfcascade.bot.session.folder import Session

            session = Session(wanted, redactor, settings.recording_options)
            folder = session.folder
            set_up_logs(folder, redactor, verbose=verbose)
            session.metrics.tariff = tariff
            session.start(_title(settings), settings.model_dump(mode="json", exclude_none=True))
        if settings.keep_days:
            await asyncio.to_thread(forget_old_sessions, _SESSIONS, settings.keep_days)
        counting = asyncio.create_task(_count_month(session.metrics, folder), name="month")
        _tell_budget(settings, tariff, terminal)
        if folder != wanted:
            told = tr("{wanted} holds an earlier session, so this one goes to {folder}.")
            terminal.say(told.format(wanted=wanted, folder=folder), "yellow")
        try:
            await Conversation(settings, session, terminal, outcome, mirror=mirror, mind=mind).run()
        except ConfigurationError as error:
            outcome.fail(str(error))
        except Exception as error:  # whatever it is, a person gets one line and the log the rest
            logger.exception("The conversation failed.")
            of_a_path = tell_path(error) if isinstance(error, OSError) else ""
            bug = f"{type(error).__name__}: {error}. This is a bug; {folder / LOG_FILE} tells more."
            outcome.fail(of_a_path or bug)
        finally:
            if outcome.failure and not session.has_told(outcome.failure):
                session.emit(EventType.ERROR, message=outcome.failure, source="bot", permanent=True)
            counting.cancel()
            await asyncio.gather(counting, return_exceptions=True)
            await session.close(outcome.reason)
            if settings.report and session.clock.origin is not None:
                await _report(folder, tariff, round(1000 * settings.latency_budget), terminal)
    if outcome.failure:
        terminal.fail(redactor.text(outcome.failure))
    if session.incomplete:
        terminal.fail(f"The record lacks something of {', '.join(session.incomplete)}: free some space.")
    if cost := in_words(session.metrics.bill(), tariff, emulated=session.metrics.emulated):
        terminal.say(cost, "dim")
    terminal.say(tr("Session folder: {folder}").format(folder=folder))
    return outcome.exit_code or int(bool(session.incomplete))


async def _count_month(metrics: Metrics, folder: Path) -> None:
    """Find out, while the talk goes on, what this month has cost so far."""
    from halfcascade.bot.report.index import spent_this_month

    try:
        month = datetime.now().astimezone().isoformat()[:7]
        metrics.spent_before = await asyncio.to_thread(spent_this_month, folder.parent, month)
    except Exception:  # a sum that is nice to know
        logger.exception("The talks of this month could not be summed up.")


async def _report(folder: Path, tariff: Tariff, budget_ms: int, terminal: Terminal) -> None:
    from halfcascade.bot.report.page import write_report

    try:
        with terminal.working(tr("Writing the report")):
            await asyncio.to_thread(write_report, folder, tariff, budget_ms)
    except ConfigurationError as error:
        terminal.warn(str(error))
    except Exception:  # the talk is over and kept; a report can be made again
        logger.exception("The report was not written.")
        terminal.warn(f"The report was not written: {folder / LOG_FILE} tells more.")


def _tell_budget(settings: Settings, tariff: Tariff, terminal: Terminal) -> None:
    if settings.budget and tariff.without_price:
        unknown = ", ".join(tariff.without_price)
        told = tr("The budget cannot count what has no price: {unknown}. Add it with --prices FILE.")
        terminal.say(told.format(unknown=unknown), "yellow")


def _title(settings: Settings) -> dict[str, Any]:
    return {
        "language": settings.language,
        "model": settings.model,
        "voice": settings.voice_name,
        "user audio": str(settings.user_audio or ""),
        "continues": settings.continue_from or "",
    }
