"""Tests whose verdict depends on no machine's speed."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

from halfcascade.bot.replay import virtual_time

_Args = ParamSpec("_Args")


def in_virtual_time(test: Callable[_Args, Coroutine[Any, Any, None]]) -> Callable[_Args, None]:
    """Run an async test on a loop of its own whose clock jumps to what is due next.

    What it waits for is there, however slow the machine is, and waiting takes no time. Nothing may come from outside
    of the loop: no sockets, no threads but those of ``run_in_executor``.
    """

    @wraps(test)
    def run(*args: _Args.args, **kwargs: _Args.kwargs) -> None:
        virtual_time.run(test(*args, **kwargs))

    return run


def stall(secs: float) -> None:
    """Let time pass in which nothing on the loop runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, virtual_time.VirtualTimeLoop)
    loop.jump(secs)
