"""Two functions for the model that need no network: the time, and timers that speak up later."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from pipecat.adapters.llm.schemas.direct_function import DirectFunction
from pipecat.frames.frames import LLMMessagesAppendFrame
from pipecat.services.llm_service import FunctionCallParams, LLMService

LONGEST_TIMER_SECS = 24 * 60 * 60
"""A timer lives as long as the talk; longer ones would promise what cannot be kept."""

WENT_OFF = (
    "The timer{label} that the user set {seconds} seconds ago has just gone off. Tell the user now, in one sentence."
)
"""What the model is told when a timer goes off."""


@dataclass
class _Timer:
    number: int
    label: str
    seconds: float
    ends_at: float
    task: asyncio.Task[Any] | None = None


class Timers:
    """Timers of one talk. A timer that goes off becomes a message for the model, which then speaks up by itself."""

    def __init__(self) -> None:
        self._timers: dict[int, _Timer] = {}
        self._numbers = itertools.count(1)
        self._llm: LLMService[Any] | None = None

    def start(self, llm: LLMService[Any], seconds: float, label: str) -> int:
        """Start a timer.

        Args:
            llm: Service whose pipeline is told when it goes off.
            seconds: How long, from now.
            label: What for, or "".

        Returns:
            Its number.
        """
        self._llm = llm
        timer = _Timer(next(self._numbers), label, seconds, asyncio.get_running_loop().time() + seconds)
        self._timers[timer.number] = timer
        timer.task = llm.create_task(self._run(llm, timer), f"timer {timer.number}")
        return timer.number

    async def cancel(self, label: str) -> list[str]:
        """Cancel timers.

        Args:
            label: Name or number of one, or "" for all.

        Returns:
            What was cancelled.
        """
        wanted = label.strip().casefold()
        found = [t for t in self._timers.values() if not wanted or wanted in (t.label.casefold(), str(t.number))]
        for timer in found:
            del self._timers[timer.number]
            if self._llm is not None and timer.task is not None:
                await self._llm.cancel_task(timer.task)
        return [timer.label or f"timer {timer.number}" for timer in found]

    def running(self) -> list[dict[str, Any]]:
        """List the timers that run, with the seconds they have left."""
        now = asyncio.get_running_loop().time()
        return [
            {"number": t.number, "label": t.label, "seconds_left": max(0, round(t.ends_at - now))}
            for t in self._timers.values()
        ]

    async def close(self) -> None:
        """The talk is over."""
        await self.cancel("")

    async def _run(self, llm: LLMService[Any], timer: _Timer) -> None:
        await asyncio.sleep(timer.seconds)
        self._timers.pop(timer.number, None)
        label = f' "{timer.label}"' if timer.label else ""
        text = WENT_OFF.format(label=label, seconds=f"{timer.seconds:g}")
        frame = LLMMessagesAppendFrame(messages=[{"role": "developer", "content": text}], run_llm=True)
        # Downstream lies the assistant aggregator, which holds it while somebody speaks; an interruption on the way
        # must not swallow it.
        frame.interruptible = False
        await llm.push_frame(frame)


def builtin_tools(now: Callable[[ZoneInfo | None], datetime] = datetime.now) -> list[DirectFunction]:
    """Make the functions, with timers of their own, for ``LLMContext(tools=...)``.

    Args:
        now: Gives the time in a zone, or local time with None.

    Returns:
        Direct functions.
    """
    timers = Timers()

    async def get_current_time(params: FunctionCallParams, timezone: str = "") -> None:
        """Get the current date and time.

        Args:
            params: Pipecat's.
            timezone: IANA name of a time zone such as "Asia/Seoul". Leave it out for the user's own.
        """
        await params.result_callback(_time_in(timezone.strip(), now))

    async def set_timer(params: FunctionCallParams, seconds: float, label: str = "") -> None:
        """Set a timer. When it goes off, you will be told and can tell the user.

        Args:
            params: Pipecat's.
            seconds: How long from now, in seconds.
            label: What the timer is for, if the user said so.
        """
        if not 0 < seconds <= LONGEST_TIMER_SECS:
            await params.result_callback({"error": "A timer runs from 1 second to 24 hours."})
            return
        number = timers.start(params.llm, seconds, label)
        await params.result_callback({"timer": number, "label": label, "seconds": seconds})

    async def cancel_timer(params: FunctionCallParams, label: str = "") -> None:
        """Cancel a timer.

        Args:
            params: Pipecat's.
            label: Name or number of the timer. Leave it out to cancel all timers.
        """
        cancelled = await timers.cancel(label)
        await params.result_callback({"cancelled": cancelled} if cancelled else {"error": "There is no such timer."})

    async def list_timers(params: FunctionCallParams) -> None:
        """List the timers that are running.

        Args:
            params: Pipecat's.
        """
        await params.result_callback({"timers": timers.running()})

    set_timer._pipecat_cleanup = timers.close  # type: ignore[attr-defined]
    return [get_current_time, set_timer, cancel_timer, list_timers]


def _time_in(timezone: str, now: Callable[[ZoneInfo | None], datetime]) -> Mapping[str, Any]:
    if timezone and timezone not in available_timezones():
        return {"error": f"There is no time zone {timezone!r}; use an IANA name such as Europe/Paris."}
    moment = now(ZoneInfo(timezone) if timezone else None)
    return {
        "date": moment.strftime("%Y-%m-%d"),
        "weekday": moment.strftime("%A"),
        "time": moment.strftime("%H:%M:%S"),
        "timezone": timezone or "local",
    }
