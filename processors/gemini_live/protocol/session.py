"""One endless session over connections that end: a state machine without I/O.

It is fed what happens and clock readings in seconds, and returns what is to be done. ``Link`` keeps the chain of
connections, ``Exchange`` gets turns to the model and answers back. This module brings them together.
``Opening`` knows what a new connection must be told, ``Lifeline`` whether a connection lives, ``HandOver`` when
replacing it disturbs nobody, and ``Withdrawal`` undoes what was sent too early.
"""

from collections.abc import Callable, Sequence
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Recovered,
    Report,
    Usage,
)
from halfcascade.processors.gemini_live.protocol.exchange import Exchange
from halfcascade.processors.gemini_live.protocol.handover import HandOver
from halfcascade.processors.gemini_live.protocol.history import History, Turn
from halfcascade.processors.gemini_live.protocol.lifeline import Lifeline
from halfcascade.processors.gemini_live.protocol.link import Handle, Link, LinkState, Renewal
from halfcascade.processors.gemini_live.protocol.models import LiveModel, Modality, Refusal, Remedy
from halfcascade.processors.gemini_live.protocol.opening import Opening
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.turns import TurnMachine
from halfcascade.processors.gemini_live.protocol.withdrawal import Withdrawal

_INVALID = 1007
# How much longer the next connection may take to open than the one that failed.
_MORE_OPEN_SECS = 0.5
_QUIET_FAILURES = 2


class SessionMachine:
    """Decides what is sent when, on which connection.

    Parameters:
        link: The chain of connections.
    """

    def __init__(
        self,
        model: LiveModel,
        options: SessionOptions | None = None,
        is_async: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Start without a connection.

        Args:
            model: Row of the model.
            options: Timeouts.
            is_async: Tells whether the named function outlives interruptions, so that the model need not wait for it.
        """
        self._options = options or SessionOptions()
        self._todo: list[Action] = []
        self.link = Link(model, self._options)
        self._exchange = Exchange(self.link, self._options, is_async, self._todo)
        self._lifeline = Lifeline(self.link, self._exchange, self._options, self._todo)
        self._hand_over = HandOver(self.link, self._exchange, self._options)
        self._withdrawal = Withdrawal(self.link, self._exchange, self._options)
        self._opening = Opening(self.link, self._exchange, self._withdrawal, self._todo)

    @property
    def model(self) -> LiveModel:
        """Row of the model from the next connection on."""
        return self.link.model

    @property
    def context(self) -> Sequence[Any]:
        """The conversation as it was heard, live: what a fresh session is seeded from."""
        return self._opening.context

    @context.setter
    def context(self, messages: Sequence[Any]) -> None:
        self._opening.context = messages

    @property
    def serial(self) -> int:
        """Number of the newest connection."""
        return self.link.serial

    @property
    def open_secs(self) -> float:
        """How long connecting and setup may take now: whoever is slow is given more with each failure."""
        return self._options.open_secs + _MORE_OPEN_SECS * self.link.failures

    def awaits(self, serial: int) -> bool:
        """Tell whether a connection that has opened is still wanted.

        Args:
            serial: Its number.
        """
        return self.link.concerns(serial) and self.link.state is LinkState.OPENING

    def is_speakable(self, turn: int) -> bool:
        """Tell whether output of a turn may still be passed on.

        Args:
            turn: Its number.
        """
        return self.turns.is_speakable(turn)

    def is_rewritten(self, messages: Sequence[Any]) -> bool:
        """Tell whether the context lost messages that the session holds: it was summarized or replaced.

        Args:
            messages: All messages of the context.
        """
        return self.history.is_rewritten(messages)

    def is_only_told(self, messages: Sequence[Any]) -> bool:
        """Tell whether the user's newest message is in the session's memory without ever having been asked.

        Args:
            messages: All messages of the context.
        """
        return self.history.is_only_told(messages)

    def take(self, messages: Sequence[Any], number: int, *, provisional: bool = False) -> Turn | None:
        """Find what is new at the end of the context and wants an answer.

        Args:
            messages: All messages of the context.
            number: Number the turn will have.
            provisional: Whether the newest message is not confirmed yet.

        Returns:
            The turn, or None if the session knows everything already.
        """
        return self.history.take(messages, number, provisional=provisional)

    @property
    def turns(self) -> TurnMachine:
        """Whose answer comes, and whether it may be spoken."""
        return self._exchange.turns

    @property
    def history(self) -> History:
        """What the session's memory holds."""
        return self._exchange.history

    def deadline(self, now: float) -> float | None:
        """Tell when ``tick`` has something to do.

        Args:
            now: Clock reading.

        Returns:
            Clock reading, or None.
        """
        if self.link.state is LinkState.STOPPED:
            return None
        due = [self._exchange.deadline(), self.link.retry_at, self._withdrawal.deadline]
        if self.link.is_open:
            due += [*self._hand_over.deadlines(now), self._lifeline.deadline]
        elif self._exchange.pending is not None:
            due.append(self._offline_at)
        return min((at for at in due if at is not None), default=None)

    # What happens to the connection.

    def start(self, now: float) -> list[Action]:
        """Open the first connection.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        self._opening.open(resume=False)
        return self._flush()

    def opened(self, serial: int, modality: Modality, now: float) -> list[Action]:
        """The server accepted the setup.

        Args:
            serial: Number of the connection.
            modality: What was agreed.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial):
            return []
        self.link.opened(now)
        if self._exchange.outage:
            self._exchange.outage = False
            self._todo.append(Recovered())
        self._exchange.deal(self.turns.reset(self.model, modality), now)
        pending = self._exchange.pending
        self._opening.opened()
        if pending is not None and pending is not self._exchange.waiting:
            self._exchange.queue(pending, now)
        self._pump(now)
        return self._flush()

    def refused(self, serial: int, refusal: Refusal, now: float) -> list[Action]:
        """The connection could not be opened.

        Args:
            serial: Number of the connection.
            refusal: What it means.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial):
            return []
        again = self.link.refused(refusal, now)
        hopeless = self.link.state is LinkState.STOPPED
        passing = refusal.remedy in (Remedy.RETRY, Remedy.GIVE_UP)
        worrying = passing and self.link.failures == _QUIET_FAILURES + 1
        self._todo.append(Report(refusal.line, error=hopeless or worrying, permanent=hopeless))
        if hopeless:
            self._exchange.give_up(self._exchange.pending)
        if again is not None:
            self._opening.open(resume=again)
        return self._flush()

    def lost(self, serial: int, code: int, reason: str, now: float) -> list[Action]:
        """The connection broke or was closed by the server.

        Args:
            serial: Number of the connection.
            code: Websocket close code.
            reason: The server's words.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial) or not self.link.is_open:
            return []
        # The session that took something it refuses is not resumed.
        self.link.lost(now, resumable=code != _INVALID)
        said = " ".join(reason.split())[:200] or "no reason given"
        self._todo.append(
            Report(f"Gemini Live closed the connection ({code}: {said}): going on with a new one.", error=False)
        )
        self._lifeline.gone(let_go=True, now=now)
        self._exchange.disconnected(refused=said if code == _INVALID else "")
        self._opening.open(resume=True)
        return self._flush()

    def closed(self, serial: int, now: float, *, let_go: bool = True) -> list[Action]:
        """The connection was closed as asked.

        Args:
            serial: Number of the connection.
            now: Clock reading.
            let_go: Whether the server answered the closing handshake.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial) or self.link.state is not LinkState.CLOSING:
            return []
        self._lifeline.gone(let_go=let_go, now=now)
        self.link.closed(let_go=let_go)
        self._exchange.disconnected()
        self._opening.open(resume=self.link.renewal is not Renewal.FRESH)
        return self._flush()

    def stop(self) -> None:
        """The pipeline ends: nothing more is sent or opened."""
        self.link.state = LinkState.STOPPED

    def message(self, serial: int, message: types.LiveServerMessage, now: float) -> list[Action]:
        """Take one server message.

        Args:
            serial: Number of the connection it came on.
            message: As parsed by google-genai.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial) or not self.link.is_open:
            return []
        self._lifeline.heard()
        self._exchange.received(message, now)
        update, mark = message.session_resumption_update, self._exchange.mark
        if update is not None and update.resumable and update.new_handle and mark is not None:
            self.link.handle = Handle(update.new_handle, mark)
        if message.go_away is not None:
            self.link.goaway(message.go_away.time_left, now)
        if message.usage_metadata is not None:
            self._todo.append(Usage(message.usage_metadata))
        self._pump(now)
        return self._flush()

    # What the conversation wants.

    def submit(self, turn: Turn, now: float) -> list[Action]:
        """Something is to be answered.

        Args:
            turn: The turn.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not turn.provisional:
            self.context = turn.context
            if turn.by_user and self._lifeline.understood():
                self._exchange.note(wording.LATE_NOTE)
        self._hand_over.turn_came()
        self._withdrawal.turn_came(now)
        self._exchange.queue(turn, now)
        self._pump(now)
        return self._flush()

    def interrupt(self, now: float) -> list[Action]:
        """The user began to speak.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        self._exchange.interrupt(now, bot_speaking=self._hand_over.bot_speaking)
        return self._flush()

    def confirm(self, context: Sequence[Any], now: float) -> list[Action]:
        """The turn that was submitted provisionally has ended with the same words.

        Args:
            context: All messages, live.
            now: Clock reading.

        Returns:
            What to do: nothing.
        """
        self.context = context
        self._lifeline.understood()
        self._exchange.confirm(context, now)
        return self._flush()

    def withdraw(self, now: float) -> list[Action]:
        """The user's newest turn was sent too early, they go on speaking.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        self._withdrawal.withdraw(now)
        return self._flush()

    def speaking(self, now: float, *, user: bool | None = None, bot: bool | None = None) -> list[Action]:
        """Somebody began or stopped speaking.

        Args:
            now: Clock reading.
            user: New state of the user, or None.
            bot: New state of the bot's voice, or None.

        Returns:
            What to do.
        """
        if user is not None:
            self._hand_over.user_speaks(user, now)
            if user:
                self._lifeline.needed(now)
        if bot is not None:
            self._hand_over.bot_speaking = bot
            self._exchange.patience.bot_speaks(bot, now)
            if not bot and not self.turns.busy:
                self._exchange.unheard = False
        self._pump(now)
        return self._flush()

    def doubt(self, now: float, *, words: bool = False) -> list[Action]:
        """Another service has trouble: it may be the network, and this connection as dead as the other's.

        Args:
            now: Clock reading.
            words: Whether it is the user's words that do not come.

        Returns:
            What to do.
        """
        self._lifeline.doubt(now, words=words)
        return self._flush()

    def hope(self, now: float) -> list[Action]:
        """Another service works again: it may be the network, and what was begun before may never be answered.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        if self.link.is_trying:
            self._opening.open(resume=True)
        return self._flush()

    def ponged(self, serial: int, now: float) -> list[Action]:
        """The connection answered a ping.

        Args:
            serial: Its number.
            now: Clock reading.

        Returns:
            What to do: nothing.
        """
        if self.link.concerns(serial):
            self._lifeline.ponged(now)
        return self._flush()

    def renew(self, model: LiveModel, renewal: Renewal, now: float) -> list[Action]:
        """Settings changed: a hand-over before the next turn.

        Args:
            model: Row of the model from now on.
            renewal: Whether the session can go on with them. Another model cannot, and a resumed session was seen to
                keep its old instruction (facts/live#lifetime).
            now: Clock reading.

        Returns:
            What to do.
        """
        self.link.model = model
        self.link.renew(renewal)
        if self.link.state is LinkState.STOPPED:
            self._opening.open(resume=False)
        elif not self.link.is_open and renewal is Renewal.FRESH:
            self.link.handle = None
        self._pump(now)
        return self._flush()

    def result(self, call_id: str, response: dict[str, Any], now: float, *, speak: bool = True) -> list[Action]:
        """A function returned.

        Args:
            call_id: Id of the call.
            response: What to tell the model.
            now: Clock reading.
            speak: Whether the user is to hear what the model says to it.

        Returns:
            What to do.
        """
        if self._exchange.calls.returned(call_id, response, speak=speak):
            self._pump(now)
        return self._flush()

    def unspoken(self, text: str, now: float) -> list[Action]:
        """The voice gave up a part of the reply: the model is told with the next turn.

        Args:
            text: The part.
            now: Clock reading.

        Returns:
            What to do: nothing yet.
        """
        self._exchange.note(wording.unspoken(text))
        return self._flush()

    def tick(self, now: float) -> list[Action]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What is due.
        """
        if self.link.state is LinkState.STOPPED:
            return []
        self._exchange.tick(now)
        if self.link.retry_at is not None and now >= self.link.retry_at:
            self._opening.open(resume=True)
        self._withdrawal.tick(now)
        pending = None if self.link.is_open else self._exchange.pending
        if pending is not None and now >= self._offline_at:
            self._exchange.give_up(pending, "Gemini Live cannot be reached: check the network connection.")
        self._exchange.chase(now)
        self._pump(now)
        return self._flush()

    def _pump(self, now: float) -> None:
        """Do what can be done now: hand over, answer calls, send the turn that waits."""
        if not self.link.is_open:
            return
        self._exchange.lower_fence(now)
        if self._lifeline.is_mute(now):
            self._todo.append(self.link.close(now, mute=True))
        elif self._hand_over.is_due(now):
            self._todo.append(self.link.close(now))
        else:
            self._exchange.proceed(now, user_speaking=self._hand_over.user_speaking)
            self._lifeline.asked(now)

    # Connections.

    @property
    def _offline_at(self) -> float:
        """Clock reading at which a turn has waited for a connection for too long."""
        return max(self.link.down_since, self._exchange.queued_at) + self._options.offline_secs

    def _flush(self) -> list[Action]:
        todo = self._todo[:]
        self._todo.clear()
        return todo
