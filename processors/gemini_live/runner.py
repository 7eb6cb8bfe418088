"""Runs the session machine: one connection at a time, one clock, one task that performs its actions in order."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVarTuple

from google import genai
from google.genai import types
from loguru import logger
from pipecat.utils.asyncio.task_manager import BaseTaskManager

from halfcascade.processors.gemini_live.connection import (
    CLOSE_SECS,
    MUTE_CLOSE_SECS,
    OPEN_SECS,
    ConnectionLost,
    ConnectionRefused,
)
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Close,
    Open,
    Ping,
    SendContent,
    SendResults,
    SendText,
)
from halfcascade.processors.gemini_live.protocol.models import Modality, Refusal, Remedy, explain_refusal
from halfcascade.processors.gemini_live.protocol.session import SessionMachine

ConfigMaker = Callable[[Open, Modality], types.LiveConnectConfig]
Perform = Callable[[Action], Awaitable[None]]
Arguments = TypeVarTuple("Arguments")
Opener = Callable[[genai.Client, str, types.LiveConnectConfig], Awaitable[Any]]


class SessionRunner:
    """The machine's hands. Feed the machine through ``do``; what concerns the pipeline goes to ``perform``."""

    def __init__(
        self,
        *,
        machine: SessionMachine,
        client: genai.Client,
        model_name: Callable[[], str],
        config: ConfigMaker,
        perform: Perform,
        tasks: BaseTaskManager,
        opener: Opener,
    ) -> None:
        """Prepare to run.

        Args:
            machine: What decides.
            client: google-genai client.
            model_name: Gives the model's name for the next connection.
            config: Makes the setup of a connection.
            perform: Performs the actions that concern the pipeline, in order.
            tasks: Pipecat's task manager.
            opener: Opens a connection.
        """
        self._machine = machine
        self._client = client
        self._model_name = model_name
        self._config = config
        self._perform = perform
        self._tasks = tasks
        self._opener = opener
        self._connection: Any = None
        self._actions: deque[Action] = deque()
        self._wake = asyncio.Event()
        self._main: asyncio.Task[None] | None = None
        self._opening: asyncio.Task[None] | None = None
        self._receiving: asyncio.Task[None] | None = None
        self._pinging: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin: opens the first connection in the background."""
        self._main = self._tasks.create_task(self._run(), "GeminiLive::run")
        self.do(self._machine.start)

    def do(self, step: Callable[[*Arguments, float], Sequence[Action]], *args: *Arguments) -> None:
        """Feed the machine; what it wants done is done soon, in order.

        Args:
            step: Method of the machine whose last argument is the clock reading.
            *args: Its other arguments.
        """
        self._actions.extend(step(*args, time.monotonic()))
        self._wake.set()

    async def stop(self) -> None:
        """End: closes the connection, stops every task."""
        self._machine.stop()
        for task in (self._main, self._opening, self._receiving, self._pinging):
            if task is not None and not task.done():
                await self._tasks.cancel_task(task)
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _run(self) -> None:
        while True:
            while self._actions:
                action = self._actions.popleft()
                try:
                    await self._act(action)
                except ConnectionLost as lost:
                    self.do(self._machine.lost, self._machine.serial, lost.code, lost.reason)
                except Exception as error:
                    logger.exception(f"Gemini Live: {type(action).__name__} failed: {error}")
            self._wake.clear()
            deadline = self._machine.deadline(time.monotonic())
            try:
                # A floor keeps a deadline that stays due from turning this into a busy loop.
                async with asyncio.timeout(None if deadline is None else max(deadline - time.monotonic(), 0.002)):
                    await self._wake.wait()
            except TimeoutError:
                self.do(self._machine.tick)

    async def _act(self, action: Action) -> None:
        match action:
            case Open():
                if self._opening is not None and not self._opening.done():
                    await self._tasks.cancel_task(self._opening)
                self._opening = self._tasks.create_task(self._open(action), f"GeminiLive::open{action.serial}")
            case Close():
                await self._close(action)
            case Ping():
                if self._connection is not None:
                    pinging = self._ping(self._connection, action.serial)
                    self._pinging = self._tasks.create_task(pinging, f"GeminiLive::ping{action.serial}")
            case SendContent():
                if self._connection is not None:
                    await self._connection.send_content(action.contents, complete=action.complete)
            case SendText():
                if self._connection is not None:
                    await self._connection.send_text(action.text)
            case SendResults():
                if self._connection is not None:
                    await self._connection.send_results(action.responses)
            case _:
                await self._perform(action)

    async def _open(self, action: Open) -> None:
        await self._drop_connection()
        model, row = self._model_name(), self._machine.model
        modality = row.modality
        try:
            config = self._config(action, modality)
            # Where data are swallowed, a connection begun before the network came back stays dead: begin another soon.
            async with asyncio.timeout(min(OPEN_SECS, self._machine.open_secs)):
                connection = await self._opener(self._client, model, config)
        except (ConnectionRefused, TimeoutError) as error:
            refused = error if isinstance(error, ConnectionRefused) else ConnectionRefused(0, "no answer in time")
            refusal = explain_refusal(
                model, refused.code, refused.reason, modality=modality, resuming=action.handle is not None
            )
            self.do(self._machine.refused, action.serial, refusal)
            return
        except Exception as error:
            # google-genai refuses some settings itself, before anything is sent; a bot without a brain must say so.
            line = f"Gemini Live could not be set up ({_one_line(error)}): check the settings."
            self.do(self._machine.refused, action.serial, Refusal(Remedy.GIVE_UP, line))
            return
        if not self._machine.awaits(action.serial):
            await connection.close()
            return
        self._connection = connection
        self._receiving = self._tasks.create_task(
            self._receive(connection, action.serial), f"GeminiLive::receive{action.serial}"
        )
        self.do(self._machine.opened, action.serial, modality)

    async def _receive(self, connection: Any, serial: int) -> None:
        try:
            async for message in connection.messages():
                self.do(self._machine.message, serial, message)
        except ConnectionLost as lost:
            self.do(self._machine.lost, serial, lost.code, lost.reason)
        except Exception as error:
            # A message that google-genai cannot read must not leave the session deaf.
            self.do(self._machine.lost, serial, 0, _one_line(error))

    async def _ping(self, connection: Any, serial: int) -> None:
        if await connection.ping():
            self.do(self._machine.ponged, serial)

    async def _close(self, close: Close) -> None:
        let_go = await self._drop_connection(MUTE_CLOSE_SECS if close.mute else CLOSE_SECS)
        self.do(partial(self._machine.closed, let_go=let_go), close.serial)

    async def _drop_connection(self, secs: float = CLOSE_SECS) -> bool:
        """Close the connection, if there is one, and tell whether the server has let go of it."""
        connection, self._connection = self._connection, None
        for task in (self._receiving, self._pinging):
            if task is not None and not task.done():
                await self._tasks.cancel_task(task)
        self._receiving = self._pinging = None
        return connection is None or await connection.close(secs)


def _one_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
