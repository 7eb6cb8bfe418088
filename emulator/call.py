"""Carries one gRPC call: moves messages between the client, a protocol machine and a stream of the mind."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, ClassVar, NoReturn, Protocol

import grpc
from loguru import logger

from halfcascade.emulator.actions import Abort, Action, Begin, End, Feed, Finish, RequestError, Send
from halfcascade.emulator.faults import Api, Fault, Faults
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import MindError
from halfcascade.emulator.profiles import drawn
from halfcascade.emulator.rpc import UNDECODABLE_TEXT, Undecodable

# What Google's front end says for statuses that it answers itself.
_FAULT_TEXTS = {
    "UNAVAILABLE": "The service is currently unavailable.",
    "RESOURCE_EXHAUSTED": "Resource has been exhausted (e.g. check quota).",
    "INTERNAL": "Internal error encountered.",
    "UNAUTHENTICATED": "Request had invalid authentication credentials.",
    "PERMISSION_DENIED": "The caller does not have permission",
}
_DROP = Abort(grpc.StatusCode.UNAVAILABLE, "Connection reset by peer")
# Keeps messages that would be due at the same instant in their order.
_TICK = 1e-6


class Machine(Protocol):
    """What every protocol machine offers."""

    @property
    def deadline(self) -> float | None:
        """When ``tick`` must be called at the latest."""

    def receive(self, request: Any, now: float) -> list[Action]:
        """Take a client message."""

    def half_close(self, now: float) -> list[Action]:
        """The client sends no more."""

    def tick(self, now: float) -> list[Action]:
        """Let time pass."""


class MindStream(ABC):
    """A stream of the mind, the same to a call whatever the API."""

    @abstractmethod
    async def feed(self, data: Any) -> None:
        """Hand it input."""

    @abstractmethod
    async def finish(self) -> None:
        """Tell it that no more input comes."""

    @abstractmethod
    def results(self) -> AsyncIterator[Any]:
        """Yield what it makes."""

    @abstractmethod
    async def close(self) -> None:
        """Give it up at once."""


class StreamCall(ABC):
    """One bidirectional streaming call.

    The machine decides and the mind works; the call moves what goes between them, delays messages in both directions by
    the network's travel time, and lets injected faults happen.

    Parameters:
        machine: Protocol machine of this call.
        one_way: Seconds that a message travels.
        faults: What may go wrong.
        log: Where to write down what happens.
    """

    api: ClassVar[Api]

    def __init__(self, machine: Machine, one_way: float, faults: Faults, log: UsageLog) -> None:
        self._machine = machine
        self._one_way = one_way
        self._faults = faults.take(self.api)
        self._log = log
        self._number = log.open_stream()
        self._loop = asyncio.get_running_loop()
        self._opened = self._loop.time()
        self._inbox: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._outbox: asyncio.Queue[tuple[float, Send | Abort | End]] = asyncio.Queue()
        self._made: deque[Any] = deque()
        self._mind: MindStream | None = None
        self._mind_task: asyncio.Task[None] | None = None
        self._bytes = self._texts = 0
        self._last_arrival = self._hold_until = 0.0
        self._muted = False

    @abstractmethod
    def begin(self, request: Any) -> MindStream:
        """Begin a stream of the mind."""

    @abstractmethod
    def take_made(self, made: list[Any], now: float) -> list[Action]:
        """Hand what the mind made to the machine."""

    @abstractmethod
    def take_done(self, now: float) -> list[Action]:
        """Tell the machine that the mind's stream has ended."""

    @abstractmethod
    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        """Say what a client message is, for the log."""

    @abstractmethod
    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        """Say what a response is, for the log."""

    async def run(self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> None:
        """Carry the call from its first to its last message.

        Args:
            requests: The client's messages.
            context: gRPC's side of the call.
        """
        self._note("open")
        reader = asyncio.create_task(self._read(requests))
        writer = asyncio.create_task(self._write(context))
        outcome: Abort | End | None = None
        try:
            outcome = await self._serve()
            await self._outbox.put((self._loop.time() + self._travel(outcome), outcome))
            await writer
        finally:
            for task in (reader, writer):
                task.cancel()
            await asyncio.gather(reader, writer, return_exceptions=True)
            await self._close_mind()
            self._note("close", outcome=_outcome_name(outcome))
        if isinstance(outcome, Abort):
            await abort(context, outcome.code, outcome.text)

    async def _serve(self) -> Abort | End:
        while True:
            outcome = await self._carry_out(self._due_faults())
            if outcome is None:
                outcome = await self._carry_out(await self._next_actions())
            if outcome is None:
                continue
            if self._muted:
                await asyncio.Event().wait()  # Until the client gives up.
            return outcome

    async def _next_actions(self) -> list[Action]:
        try:
            async with asyncio.timeout_at(self._next_deadline()):
                kind, value = await self._inbox.get()
        except TimeoutError:
            return self._machine.tick(self._loop.time())
        now = self._loop.time()
        # A message may come in the very moment of a deadline: time counts first.
        return self._machine.tick(now) + await self._take(kind, value, now)

    async def _take(self, kind: str, value: Any, now: float) -> list[Action]:
        if kind == "request" and isinstance(value, Undecodable):
            return [Abort(grpc.StatusCode.INVALID_ARGUMENT, UNDECODABLE_TEXT)]
        if kind == "request":
            event, data = self.describe_request(value)
            self._bytes += data.get("bytes", 0)
            self._texts += event == "text"
            self._note(event, **data)
            return self._machine.receive(value, now)
        if kind == "half_close":
            self._note("half_close")
            return self._machine.half_close(now)
        if kind == "made":
            made = list(self._made)
            self._made.clear()
            return self.take_made(made, now) if made else []
        await self._close_mind()
        if kind == "failed":
            return [value]
        return self.take_done(now)

    def _next_deadline(self) -> float | None:
        deadlines = [self._opened + fault.at for fault in self._faults if fault.at is not None]
        deadlines = [deadline for deadline in deadlines if deadline > self._loop.time()]
        if self._machine.deadline is not None:
            deadlines.append(self._machine.deadline)
        return min(deadlines, default=None)

    async def _carry_out(self, actions: list[Action]) -> Abort | End | None:
        for action in actions:
            match action:
                case Send(message):
                    event, data = self.describe_response(message)
                    self._bytes += data.get("bytes", 0)
                    self._note(event, **data)
                    self._outbox.put_nowait((self._loop.time() + drawn(self._one_way), action))
                    if outcome := await self._carry_out(self._due_faults()):
                        return outcome
                case Begin(request):
                    try:
                        self._mind = self.begin(request)
                    except MindError as error:
                        return await self._carry_out([_refused(error)])
                    self._mind_task = asyncio.create_task(self._listen_to_mind(self._mind))
                case Feed(data) if self._mind:
                    await self._mind.feed(data)
                case Finish() if self._mind:
                    await self._mind.finish()
                case Abort(code, text):
                    self._note("error", code=code.name, text=text)
                    return action
                case End():
                    return action
        return None

    def _due_faults(self) -> list[Action]:
        elapsed = self._loop.time() - self._opened
        due = [fault for fault in self._faults if fault.due(elapsed, self._bytes, self._texts)]
        self._faults = [fault for fault in self._faults if fault not in due]
        actions: list[Action] = []
        for fault in due:
            self._note("fault", kind=fault.kind)
            if fault.kind == "stall":
                self._hold_until = self._loop.time() + fault.seconds
            elif fault.kind == "mute":
                self._muted = True
            else:
                actions.append(fault_abort(fault))
        return actions

    async def _listen_to_mind(self, mind: MindStream) -> None:
        try:
            async for result in mind.results():
                self._made.append(result)
                self._inbox.put_nowait(("made", None))
        except MindError as error:
            self._inbox.put_nowait(("failed", _refused(error)))
        except Exception:
            logger.exception(f"The {self.api} mind failed")
            self._inbox.put_nowait(("failed", Abort(grpc.StatusCode.INTERNAL, _FAULT_TEXTS["INTERNAL"])))
        else:
            self._inbox.put_nowait(("done", None))

    async def _close_mind(self) -> None:
        mind, task, self._mind, self._mind_task = self._mind, self._mind_task, None, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if mind is not None:
            await mind.close()

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            self._arrive("request", request)
        self._arrive("half_close", None)

    def _arrive(self, kind: str, value: Any) -> None:
        if not self._one_way:
            self._inbox.put_nowait((kind, value))
            return
        self._last_arrival = max(self._loop.time() + drawn(self._one_way), self._last_arrival + _TICK)
        self._loop.call_at(self._last_arrival, self._inbox.put_nowait, (kind, value))

    async def _write(self, context: grpc.aio.ServicerContext) -> None:
        while True:
            due, item = await self._outbox.get()
            if (wait := max(due, self._hold_until) - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            if not isinstance(item, Send):
                return
            if not self._muted:
                await context.write(item.message)

    def _travel(self, outcome: Abort | End) -> float:
        """Seconds until the client learns of the end: a broken connection is not told over the network."""
        return 0.0 if outcome is _DROP else self._one_way

    def _note(self, event: str, **data: Any) -> None:
        self._log.add(self.api, self._number, event, **data)


class UnaryCalls:
    """Carries calls of one request and one response.

    Parameters:
        api: Which API, for faults and log.
        one_way: Seconds that a message travels.
        faults: What may go wrong.
        log: Where to write down what happens.
    """

    def __init__(self, api: Api, one_way: float, faults: Faults, log: UsageLog) -> None:
        self._api: Api = api
        self._one_way = one_way
        self._faults = faults
        self._log = log

    @contextlib.asynccontextmanager
    async def call(self, context: grpc.aio.ServicerContext, event: str, **data: Any) -> AsyncIterator[int]:
        """Surround the work of one call with network, faults, log and errors.

        Args:
            context: gRPC's side of the call.
            event: What is called, for the log.
            data: The request's fields, for the log.

        Yields:
            The number of the call in the log.
        """
        number = self._log.open_stream()
        await asyncio.sleep(self._one_way)
        self._log.add(self._api, number, event, **data)
        try:
            for fault in self._faults.take(self._api):
                self._log.add(self._api, number, "fault", kind=fault.kind)
                await asyncio.sleep(fault.seconds if fault.kind == "stall" else 0)
                if fault.kind not in ("stall", "mute"):
                    action = fault_abort(fault)
                    raise RequestError(action.code, action.text)
            yield number
        except MindError as error:
            await self._refuse(context, number, _refused(error))
        except RequestError as error:
            await self._refuse(context, number, Abort(error.code, error.text))
        await asyncio.sleep(self._one_way)

    async def _refuse(self, context: grpc.aio.ServicerContext, number: int, error: Abort) -> NoReturn:
        self._log.add(self._api, number, "error", code=error.code.name, text=error.text)
        await asyncio.sleep(self._one_way)
        await abort(context, error.code, error.text)


def fault_abort(fault: Fault) -> Abort:
    """Make the error of a ``drop`` or ``error`` fault."""
    if fault.kind == "drop":
        return _DROP
    code = fault.code or "UNAVAILABLE"
    return Abort(grpc.StatusCode[code], fault.message or _FAULT_TEXTS.get(code, code))


async def abort(context: grpc.aio.ServicerContext, code: grpc.StatusCode, text: str) -> NoReturn:
    """End a call with an error."""
    await context.abort(code, text)
    raise AssertionError("gRPC's abort always raises")


def _refused(error: MindError) -> Abort:
    return Abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))


def _outcome_name(outcome: Abort | End | None) -> str:
    if outcome is None:
        return "cancelled"
    return outcome.code.name if isinstance(outcome, Abort) else "OK"
