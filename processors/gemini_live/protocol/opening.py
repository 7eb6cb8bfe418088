"""What a new connection must know of the session before anything is asked on it. No I/O."""

from collections.abc import Sequence
from typing import Any

from halfcascade.processors.gemini_live.protocol.actions import Action, SendContent
from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.link import Link
from halfcascade.processors.gemini_live.protocol.withdrawal import Withdrawal


class Opening:
    """Opens connections that resume the session, or are seeded from what was heard.

    Parameters:
        context: The conversation as it was heard, live.
    """

    def __init__(self, link: Link, exchange: Exchange, withdrawal: Withdrawal, todo: list[Action]) -> None:
        """Start without a conversation.

        Args:
            link: The chain of connections.
            exchange: What the session's memory holds, and what waits to be sent.
            withdrawal: What is still to be undone.
            todo: Where to put what is to be done.
        """
        self._link = link
        self._exchange = exchange
        self._withdrawal = withdrawal
        self._todo = todo
        self._seeding = False
        self.context: Sequence[Any] = ()

    def open(self, *, resume: bool) -> None:
        """Begin to open the next connection.

        Args:
            resume: Whether to go on by the handle, if there is one.
        """
        self._withdrawal.connecting()
        self._seeding = self._exchange.history.can_seed(self.context, self._pending)
        self._todo.append(self._link.open(resume=resume, history=self._seeding))

    def opened(self) -> None:
        """The server accepted the setup: bring memory and session together."""
        if self._link.resumed and self._link.handle is not None:
            self._exchange.history.rollback(self._link.handle.mark)
        else:
            self._seed()

    @property
    def _pending(self) -> Sequence[Any]:
        pending = self._exchange.pending
        return pending.messages if pending else ()

    def _seed(self) -> None:
        """Give a fresh session its history, which knows only what was heard."""
        announced, history = self._link.model.history_config, self._exchange.history
        if announced and not self._seeding:
            history.forget()
            return  # the setup did not announce a history: what there is by now is told with the turn
        contents = history.seed(self.context, self._pending)
        if contents:
            # Plain models wait with turnComplete=false; the others end the history with it
            # (facts/live#client-messages).
            self._todo.append(SendContent(tuple(contents), complete=announced))
