"""Function calls of the model that wait for their results. No I/O."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from google.genai import types


@dataclass
class Call:
    """One call.

    Parameters:
        call_id: The server's id.
        name: Function.
        turn: Turn in which it was made.
        serial: Connection on which it came; only there it can be answered.
        group: Calls that came in one message are answered in one message.
        blocking: Whether the model waits for the result.
        response: The result, once there is one.
        speak: Whether the user is to hear what the model says to it.
    """

    call_id: str
    name: str
    turn: int
    serial: int
    group: int
    blocking: bool
    response: dict[str, Any] | None = None
    speak: bool = True


class CallLedger:
    """Keeps what was called, on which connection, and what came back."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}
        self._groups = 0
        self._ids = 0

    def __bool__(self) -> bool:
        return bool(self._calls)

    def number(self, calls: Iterable[types.FunctionCall]) -> tuple[types.FunctionCall, ...]:
        """Give every call an id: Vertex may leave it out (facts/live#server-messages).

        Args:
            calls: As they came.

        Returns:
            The same, each with an id.
        """
        numbered = []
        for call in calls:
            self._ids += 1
            numbered.append(call if call.id else call.model_copy(update={"id": f"{_OWN_ID}{self._ids}"}))
        return tuple(numbered)

    def add(
        self, turn: int, calls: Iterable[types.FunctionCall], serial: int, is_async: Callable[[str], bool]
    ) -> list[str]:
        """Note calls that came in one message.

        Args:
            turn: Turn in which they were made.
            calls: With ids.
            serial: Connection on which they came.
            is_async: Tells whether the named function outlives interruptions, so that the model need not wait.

        Returns:
            Ids of the calls that the model waits for.
        """
        self._groups += 1
        held = []
        for call in calls:
            call_id, name = call.id or "", call.name or ""
            blocking = not is_async(name)
            self._calls[call_id] = Call(call_id, name, turn, serial, self._groups, blocking)
            if blocking:
                held.append(call_id)
        return held

    def cancel(self, ids: Iterable[str]) -> None:
        """Forget calls whose results the server no longer wants.

        Args:
            ids: Call ids.
        """
        for call_id in ids:
            self._calls.pop(call_id, None)

    def returned(self, call_id: str, response: dict[str, Any], *, speak: bool = True) -> bool:
        """Note a result.

        Args:
            call_id: Id of the call.
            response: What to tell the model.
            speak: Whether the user is to hear what the model says to it.

        Returns:
            Whether anybody waits for it.
        """
        call = self._calls.get(call_id)
        if call is None:
            return False
        call.response = response
        call.speak = speak
        return True

    def interrupted(self) -> None:
        """The user spoke: what nobody waits for any more is forgotten; functions that go on may still report."""
        for call in list(self._calls.values()):
            if call.blocking or call.response is not None:
                del self._calls[call.call_id]

    def running(self, turn: int) -> bool:
        """Tell whether a function called in a turn has not returned.

        Args:
            turn: Number of the turn.
        """
        return any(call.turn == turn and call.response is None for call in self._calls.values())

    def of_turn(self, turn: int) -> bool:
        """Tell whether a turn has calls that are not answered.

        Args:
            turn: Number of the turn.
        """
        return any(call.turn == turn for call in self._calls.values())

    def take_ready(self, serial: int, *, idle: bool) -> list[list[Call]]:
        """Take the groups that can be answered on a connection.

        Args:
            serial: The connection.
            idle: Whether the model may be given results it does not wait for.

        Returns:
            Groups whose results are complete.
        """
        groups: dict[int, list[Call]] = {}
        for call in self._calls.values():
            if call.serial == serial:
                groups.setdefault(call.group, []).append(call)
        ready = [
            calls
            for calls in groups.values()
            if all(call.response is not None for call in calls) and (idle or all(call.blocking for call in calls))
        ]
        for calls in ready:
            self.cancel(call.call_id for call in calls)
        return ready

    def take_orphans(self, serial: int) -> list[Call]:
        """Take results of calls made on an earlier connection, where they cannot be answered any more.

        Args:
            serial: The connection there is now.

        Returns:
            Calls with results.
        """
        orphans = [call for call in self._calls.values() if call.serial != serial and call.response is not None]
        self.cancel(call.call_id for call in orphans)
        return orphans


_OWN_ID = "own-"


def response_message(call: Call) -> types.FunctionResponse:
    """Make the answer to a call.

    Args:
        call: With its response.

    Returns:
        As google-genai takes it; an id of our own making is left out again.
    """
    own = call.call_id.startswith(_OWN_ID)
    return types.FunctionResponse(id=None if own else call.call_id, name=call.name, response=call.response)
