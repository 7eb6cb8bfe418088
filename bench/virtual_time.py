"""An event loop whose clock jumps to the next thing that is due, so that seconds of silence take no time.

What runs in threads (neural networks) takes none of the loop's time: the clock stands still until they are done. What a
bench measures on this loop depends on no machine's speed or load.
"""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any, TypeVar
from unittest.mock import patch

_Result = TypeVar("_Result")
_POLL_SECS = 0.001


class _JumpingSelector(selectors.DefaultSelector):
    """Waits only for threads; everything else is due at once."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if self.loop.threads:
            return super().select(_POLL_SECS)
        ready = super().select(0)
        if not ready:
            self.loop.jump(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """The loop. While ``run`` runs, ``time.monotonic``, ``time.time`` and ``time.perf_counter`` tell its time too."""

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        self._now = 1000.0
        self.threads = 0
        super().__init__(selector)

    def time(self) -> float:
        """Seconds on the loop's clock."""
        return self._now

    def jump(self, secs: float) -> None:
        """Let time pass."""
        self._now += secs

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """Run something in a thread; the clock stands still meanwhile."""
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._done)
        return future

    def _done(self, _future: Any) -> None:
        self.threads -= 1


def run(main: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine on a loop of its own, as ``asyncio.run`` does.

    Args:
        main: What to run.

    Returns:
        What it returns.
    """
    loop = VirtualTimeLoop()
    with ExitStack() as patched:
        for name in ("monotonic", "time", "perf_counter"):
            patched.enter_context(patch.object(time, name, loop.time))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            return runner.run(main)
