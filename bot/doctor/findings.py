"""What a check found, and checks that cannot hang or crash."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError


class Status(StrEnum):
    """How a check went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters:
        status: ``fail`` means talking would fail.
        line: What was found.
        remedy: What to do about it, empty if nothing.
        secs: How long a service took to begin to answer, where that was measured.
    """

    status: Status
    line: str
    remedy: str = ""
    secs: float | None = None

    def __str__(self) -> str:
        return f"{self.line}: {self.remedy}" if self.remedy else f"{self.line}."


def failure(error: ConfigurationError | str) -> Finding:
    """A failed check from a one-line error: cause, then remedy.

    Args:
        error: The error.
    """
    cause, _, remedy = tr_error(str(error)).partition(": ")
    return Finding(Status.FAIL, cause, remedy) if remedy else Finding(Status.FAIL, cause.rstrip("."))


async def within(secs: float, what: str, check: Awaitable[Sequence[Finding] | Finding]) -> list[Finding]:
    """Await a check in limited time; whatever it raises becomes a finding.

    Args:
        secs: How long it may take.
        what: What it checks; begins a sentence.
        check: The check.

    Returns:
        What it found.
    """
    try:
        async with asyncio.timeout(secs):
            found = await check
    except ConfigurationError as error:
        return [failure(error)]
    except TimeoutError:
        line = tr("{what}: no answer within {seconds} s").format(what=what, seconds=f"{secs:.0f}")
        return [Finding(Status.FAIL, line, tr("try again, or restart what hangs."))]
    except Exception as error:  # a check that breaks is a finding too, and the others go on
        said = " ".join(str(error).split())[:200]
        cause = f"{type(error).__name__}: {said}" if said else type(error).__name__
        line = tr("{what} could not be checked ({cause})").format(what=what, cause=cause)
        return [Finding(Status.FAIL, line, tr("this is unexpected; please report it."))]
    return [found] if isinstance(found, Finding) else list(found)


class Daemons(ThreadPoolExecutor):
    """Runs each call on a daemon thread of its own, so that one which hangs keeps no program from ending."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        """Start a call."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # handed to whoever waits
                future.set_exception(error)

        threading.Thread(target=work, name="check", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nobody."""
