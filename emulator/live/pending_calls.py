"""Functions that the model has called and whose results it has not got."""

from collections.abc import Iterable
from dataclasses import replace

from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.minds.base import FunctionCall


class PendingCalls:
    """The calls of a connection that were not answered."""

    def __init__(self, context: LiveContext) -> None:
        """Begin without a call.

        Args:
            context: What the parts of a connection share.
        """
        self._context = context
        self._calls: dict[str, FunctionCall] = {}

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._calls)

    def add(self, calls: Iterable[FunctionCall]) -> list[FunctionCall]:
        """Take up calls that the model makes.

        Args:
            calls: As the thinker made them.

        Returns:
            The calls, each with an id.
        """
        session = self._context.session
        named = [call if call.id else replace(call, id=session.new_call_id()) for call in calls]
        self._calls.update((call.id, call) for call in named)
        return named

    def answer(self, identity: str | None, name: str) -> FunctionCall | None:
        """Take a call because its result came.

        Args:
            identity: Its id; None = not told, as Vertex allows.
            name: Its function.

        Returns:
            The call, or None if there is no such call.
        """
        if identity is None and self._context.surface == "vertex":
            identity = next((key for key, call in self._calls.items() if call.name == name), None)
        return self._calls.pop(identity, None) if identity is not None else None

    def cancel(self, identities: Iterable[str]) -> list[str]:
        """Discard those of some calls that were not answered (facts/live#interruption), from the history too.

        Args:
            identities: Ids of the calls.

        Returns:
            Ids of what was discarded.
        """
        wanted = set(identities)
        ids = [identity for identity in self._calls if identity in wanted]
        for identity in ids:
            del self._calls[identity]
        if ids:
            messages = self._context.session.messages
            for message in messages:
                message.parts = [p for p in message.parts if not (isinstance(p, FunctionCall) and p.id in ids)]
            messages[:] = [message for message in messages if message.parts]
        return ids
