"""An event loop whose clock jumps to the next thing that is due, so that seconds of silence take no time.

What would run in threads (neural networks, files) runs at once and takes none of the loop's time, so what happens on
this loop depends on no machine's speed or load, and is the same each time.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar
from unittest.mock import patch

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame

_Result = TypeVar("_Result")
_BEGIN_SECS = 1000.0
# Each round of the loop takes so long, or a deadline nearer than the clock's resolution would never pass.
_STEP_SECS = 1e-7


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: what is due later is due at once."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            return super().select(timeout)
        self.loop.jump(_STEP_SECS)
        if timeout <= 0:
            return super().select(0)
        ready = super().select(0)
        if not ready:
            self.loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop. While ``run`` runs, the functions of ``time`` tell its time too."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._now = _BEGIN_SECS
        super().__init__(selector)

    def time(self) -> float:
        """Seconds on the loop's clock."""
        return self._now

    def time_ns(self) -> int:
        """Nanoseconds on the loop's clock."""
        return round(self._now * 1e9)

    def jump(self, secs: float) -> None:
        """Let time pass."""
        self._now += secs

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Do what would be done in a thread, at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # raised again where it is awaited
            future.set_exception(error)
        return future


def run(main: Coroutine[Any, Any, _Result], *, wall_clock: float = _BEGIN_SECS) -> _Result:
    """Run a coroutine on a loop of its own, as ``asyncio.run`` does.

    Args:
        main: What to run.
        wall_clock: What ``time.time`` tells at the beginning, in seconds.

    Returns:
        What it returns.
    """
    loop = VirtualTimeLoop()
    ahead = wall_clock - _BEGIN_SECS
    clocks: dict[str, Callable[[], float]] = {
        "monotonic": loop.time,
        "perf_counter": loop.time,
        "monotonic_ns": loop.time_ns,
        "perf_counter_ns": loop.time_ns,
        "time": lambda: loop.time() + ahead,
        "time_ns": lambda: loop.time_ns() + round(ahead * 1e9),
    }
    with ExitStack() as patched:
        for name, clock in clocks.items():
            patched.enter_context(patch.object(time, name, clock))
        patched.enter_context(_stamped())
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)


@contextmanager
def _stamped() -> Iterator[None]:
    """Let frames that carry the moment of their making carry the loop's; their classes remember the real clock."""
    with ExitStack() as patched:
        for kind in (VADUserStartedSpeakingFrame, VADUserStoppedSpeakingFrame):
            patched.enter_context(patch.object(kind, "__init__", _stamping(kind.__init__)))
        yield


def _stamping(made: Callable[..., None]) -> Callable[..., None]:
    def make(frame: Frame, *args: Any, **kwargs: Any) -> None:
        made(frame, *args, **{"timestamp": time.time(), **kwargs})

    return make
