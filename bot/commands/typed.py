"""A typed conversation: lines in, answers out, Ctrl-C interrupts the answer, Ctrl-D ends."""

import asyncio
import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError


async def converse(answer: Callable[[str], Awaitable[None]], write: Callable[[str], None], terminal: Terminal) -> None:
    """Take turns until the input ends.

    Args:
        answer: Writes the answer to a line; is cancelled when the person interrupts.
        write: Writes to where the answers go.
        terminal: Where hints and errors go.
    """
    lines = _lines()
    if sys.stdin.isatty():
        terminal.say(tr("Type; Ctrl-C interrupts an answer, Ctrl-D or Ctrl-C at an empty line ends."))
    while True:
        if sys.stdin.isatty():
            write("you  ")
        interrupted = asyncio.Event()
        with _on_interrupt(interrupted.set):
            line = await _first(lines.get(), interrupted)
        if not isinstance(line, str):
            write("\n")
            return
        if not line.strip():
            continue
        if sys.stdin.isatty():
            write("bot  ")
        with _on_interrupt(interrupted.set):
            try:
                if await _first(_done(answer(line)), interrupted) is None:
                    write(" —\n")
            except ConfigurationError as error:
                # What cannot be asked costs one turn, not the conversation.
                terminal.fail(str(error))


def _lines() -> asyncio.Queue[str | None]:
    """Read lines on a thread that nobody has to wait for."""
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[str | None]()

    def read() -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            with suppress(ValueError, OSError):  # no text, or closed: it ends there
                for line in sys.stdin:
                    loop.call_soon_threadsafe(queue.put_nowait, line)
            loop.call_soon_threadsafe(queue.put_nowait, None)

    threading.Thread(target=read, name="typing", daemon=True).start()
    return queue


async def _done(work: Awaitable[None]) -> str:
    await work
    return "done"


async def _first(work: Awaitable[str | None], interrupted: asyncio.Event) -> str | None:
    """The result of some work, or None if the person interrupts it."""
    working = asyncio.ensure_future(work)
    waiting = asyncio.create_task(interrupted.wait())
    try:
        await asyncio.wait({working, waiting}, return_when=asyncio.FIRST_COMPLETED)
        return await working if working.done() else None
    finally:
        for task in (working, waiting):
            task.cancel()
        await asyncio.gather(working, waiting, return_exceptions=True)


class _on_interrupt:
    """Call something on Ctrl-C while a block lasts."""

    def __init__(self, act: Callable[[], None]):
        self._act = act
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        with suppress(NotImplementedError):  # Windows: Ctrl-C ends the program
            self._loop.add_signal_handler(signal.SIGINT, self._act)

    def __exit__(self, *_: object) -> None:
        with suppress(NotImplementedError):
            self._loop.remove_signal_handler(signal.SIGINT)
