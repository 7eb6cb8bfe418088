"""Work beside the event loop and upon it: threads that nobody has to wait for, tasks whose death is seen."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec, TypeVar

from loguru import logger

P = ParamSpec("P")
R = TypeVar("R")


def watched(task: asyncio.Task[Any], what: str) -> asyncio.Task[Any]:
    """See to it that a task which nobody awaits does not die unseen.

    Args:
        task: The task.
        what: Of it, in the log.

    Returns:
        The task.
    """

    def tell(done: asyncio.Task[Any]) -> None:
        if not done.cancelled() and (error := done.exception()):
            logger.opt(exception=error).error(f"{what} failed.")

    task.add_done_callback(tell)
    return task


async def on_daemon_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Make a blocking call that may hang for minutes, such as asking for a token where packets are swallowed.

    Unlike ``asyncio.to_thread``, whose threads the process waits for at its end, the thread is left to itself when the
    caller is cancelled.

    Args:
        call: What to call.
        *args: Its arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What it returns; what it raises is raised.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[R] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def run() -> None:
        result, error = None, None
        try:
            result = call(*args, **kwargs)
        except Exception as raised:  # raised again where it is awaited
            error = raised
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name=getattr(call, "__name__", "call"), daemon=True).start()
    return await done
