"""How a conversation ends: by itself, on a signal, or because something does not work."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

# Within these seconds the process has ended, whatever hangs.
_PROMISED_SECS = {signal.SIGINT: 3.0, signal.SIGTERM: 10.0}
# A step whose time is over before it begins may still try.
_LEAST_SECS = 0.05


@dataclass
class Outcome:
    """How a conversation ended.

    Parameters:
        failure: Why it failed, or None.
        signal: Number of the signal that ended it, or None.
        reason: For the session's last event.
    """

    failure: str | None = None
    signal: int | None = None
    reason: str = "finished"
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _over_at: float = 0.0

    def fail(self, message: str) -> None:
        """End the conversation because something does not work.

        Args:
            message: One line.
        """
        if not self.over.is_set():
            self.failure, self.reason = message, "failed"
            self._end()

    def end(self, reason: str, signal_number: int | None = None) -> None:
        """End the conversation in order.

        Args:
            reason: For the session's last event.
            signal_number: The signal that asked for it.
        """
        if not self.over.is_set():
            self.reason, self.signal = reason, signal_number
            self._end()

    def patience(self, usual: float, *, share: float) -> float:
        """For how long a step of the end may be waited for.

        Args:
            usual: Seconds where no signal asked for the end.
            share: By which part of the time that is promised after a signal the step has to be over.
        """
        promised = _PROMISED_SECS.get(signal.Signals(self.signal)) if self.signal else None
        if promised is None:
            return usual
        return min(usual, max(_LEAST_SECS, self._over_at + share * promised - time.monotonic()))

    def _end(self) -> None:
        self._over_at = time.monotonic()
        self.over.set()

    @property
    def exit_code(self) -> int:
        """0 when it ended as it should, Ctrl-C included."""
        if self.failure:
            return 1
        return 0 if self.signal in (None, signal.SIGINT) else 128 + int(self.signal)


@contextmanager
def ending_on_signals(outcome: Outcome) -> Iterator[None]:
    """End in order on Ctrl-C, SIGTERM and SIGHUP; a second Ctrl-C ends at once (all files are on disk already).

    Args:
        outcome: What is told; the event loop must be running.

    Yields:
        Nothing; signals do what they did before once the block ends.
    """
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if outcome.over.is_set():
            os._exit(128 + signal.SIGINT)
        outcome.end("Ctrl-C", signal.SIGINT)

    def end_on(number: signal.Signals) -> Callable[[], None]:
        return lambda: outcome.end(number.name, number)

    handlers: dict[signal.Signals, Callable[[], None]] = {signal.SIGINT: interrupt}
    handlers[signal.SIGTERM] = end_on(signal.SIGTERM)
    # The terminal was closed; whoever started the bot with nohup wants it to go on.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        handlers[signal.SIGHUP] = end_on(signal.SIGHUP)
    try:
        for number, handler in handlers.items():
            loop.add_signal_handler(number, handler)
    except NotImplementedError:  # Windows: Ctrl-C then raises KeyboardInterrupt
        handlers = {}
    try:
        yield
    finally:
        for number in handlers:
            loop.remove_signal_handler(number)
