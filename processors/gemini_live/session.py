"""One endless session over connections that end: a state machine without I/O.

It decides when to open, close and resume, what to send when, and what to do when nothing comes back. It is fed what
happens and clock readings in seconds, and returns actions. Answers are dealt to turns by ``TurnMachine``, what the
server's memory holds is kept by ``History``; both are part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from google.genai import types

from processors.gemini_live.actions import (
    Action,
    Apologize,
    Close,
    Open,
    Report,
    SendContent,
    SendResults,
    SendText,
    TurnSent,
    Usage,
)
from processors.gemini_live.history import History, Turn
from processors.gemini_live.models import LiveModel, Modality, Refusal, Remedy
from processors.gemini_live.turns import Ended, Piece, ToolCalls, ToolCancellation, TurnEvent, TurnMachine

_INVALID = 1007


@dataclass(frozen=True)
class SessionOptions:
    """How patient the session is. All times in seconds.

    Parameters:
        renew_after_secs: Age of a connection at which a hand-over is due by our own clock; the server's limit is
            about 10 minutes (facts C8).
        patience_secs: How long a turn may go without a sign of an answer; None takes the model's row.
        stall_secs: Silence in mid-answer after which its text is taken to be over.
        fence_secs: How long a new turn waits for the server to confirm that the old answer was cancelled.
        backoff_secs: First pause before trying to connect again; doubles each time.
        max_backoff_secs: Longest such pause.
        offline_secs: How long a turn may wait for a connection before it is given up aloud.
        max_attempts: How often one turn is sent at most.
        goaway_margin_secs: A hand-over that found no quiet moment happens this long before the announced end.
    """

    renew_after_secs: float = 9 * 60.0
    patience_secs: float | None = None
    stall_secs: float = 10.0
    fence_secs: float = 0.6
    backoff_secs: float = 0.2
    max_backoff_secs: float = 8.0
    offline_secs: float = 12.0
    max_attempts: int = 3
    goaway_margin_secs: float = 3.0


class Link(Enum):
    """State of the connection."""

    CLOSED = "closed"
    OPENING = "opening"
    OPEN = "open"
    CLOSING = "closing"


@dataclass(frozen=True)
class Handle:
    """A resumption handle.

    Parameters:
        value: The server's token.
        mark: How much of the history it holds.
    """

    value: str
    mark: int


@dataclass
class Call:
    """A function call of the model that is not answered yet.

    Parameters:
        call_id: The server's id.
        name: Function.
        turn: Turn in which it was made.
        serial: Connection on which it came.
        group: Calls that came in one message are answered in one message.
        result: The response, once there is one.
    """

    call_id: str
    name: str
    turn: int
    serial: int
    group: int
    result: dict[str, Any] | None = None


class SessionMachine:
    """Connections, turns on their way, the watchdog and hand-overs."""

    def __init__(self, model: LiveModel, options: SessionOptions | None = None) -> None:
        """Start without a connection.

        Args:
            model: Row of the model.
            options: Patience.
        """
        self.model = model
        self.history = History()
        self.turns = TurnMachine(model, model.modality())
        self.context: Sequence[Any] = ()
        self._options = options or SessionOptions()
        self._link = Link.CLOSED
        self._serial = 0
        self._stopped = False
        self._handle: Handle | None = None
        self._opened_at = 0.0
        self._session_began_at = 0.0
        self._goaway_at: float | None = None
        self._renew: str | None = None
        self._failures = 0
        self._retry_at: float | None = None
        self._resuming = False
        self._outgoing: Turn | None = None
        self._outgoing_since = 0.0
        self._current: Turn | None = None
        self._attempt = 0
        self._mark_before_current = 0
        self._handle_before_current: Handle | None = None
        self._fence_until: float | None = None
        self._watch_stage = 0
        self._suspect = False
        self._calls: dict[str, Call] = {}
        self._groups = 0
        self._notes: list[str] = []
        self._unheard = False
        self._user_speaking = False
        self._bot_speaking = False
        self._handle_before_provisional: Handle | None = None
        self._roll_back_at: float | None = None
        self._out: list[Action] = []

    # Queries.

    @property
    def link(self) -> Link:
        """State of the connection."""
        return self._link

    @property
    def serial(self) -> int:
        """Number of the newest connection."""
        return self._serial

    @property
    def deadline(self) -> float | None:
        """Clock reading at which ``tick`` has something to do, or None."""
        if self._stopped:
            return None
        due = [self.turns.deadline, self._retry_at, self._roll_back_at, self._watch_at()]
        if self._outgoing is not None:
            due.append(self._fence_until)
            if self._link is not Link.OPEN:
                due.append(self._outgoing_since + self._options.offline_secs)
        if self._link is Link.OPEN:
            due += [self._renew_at(), self._hard_end_at()]
        return min((at for at in due if at is not None), default=None)

    # What happens to the connection.

    def start(self, now: float) -> list[Action]:
        """Open the first connection."""
        self._open(now, resume=False)
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
        if serial != self._serial or self._stopped:
            return []
        self._link = Link.OPEN
        self._failures = 0
        self._opened_at = now
        self._goaway_at = None
        self._renew = None
        self._deal(self.turns.reset(self.model, modality), now)
        if self._resuming and self._handle is not None:
            self.history.rollback(self._handle.mark)
        else:
            self._session_began_at = now
            self._handle = None
            pending = self._outgoing or (self._current if self._unanswered() else None)
            seed = self.history.seed(self.context, pending.messages if pending else ())
            if seed:
                # Plain models wait with turnComplete=false; the others end the history phase with it (facts C2).
                self._out.append(SendContent(tuple(seed), complete=self.model.history_config))
        if self._outgoing is None and self._unanswered() and self._current is not None:
            self._queue(self._current, now)
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
        if serial != self._serial or self._stopped:
            return []
        self._link = Link.CLOSED
        self._failures += 1
        if refusal.remedy is Remedy.GIVE_UP:
            self._stopped = True
            self._out.append(Report(refusal.line, permanent=True))
            self._give_up(now, "")
            return self._flush()
        quiet_retries = 2
        self._out.append(Report(refusal.line, error=refusal.remedy is Remedy.RETRY and self._failures > quiet_retries))
        if refusal.remedy is Remedy.USE_AUDIO:
            self.model = replace(self.model, text_output=False)
            self._open(now, resume=self._resuming)
        elif refusal.remedy is Remedy.FRESH and (self._failures > quiet_retries or "1011" not in refusal.line):
            self._open(now, resume=False)
        else:
            self._retry(now)
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
        if serial != self._serial or self._link not in (Link.OPEN, Link.CLOSING) or self._stopped:
            return []
        if self._link is Link.CLOSING:
            return self.closed(serial, now)
        self._link = Link.CLOSED
        said = " ".join(reason.split())[:200] or "no reason given"
        self._out.append(
            Report(f"Gemini Live closed the connection ({code} {said}): going on with a new one.", error=False)
        )
        if code == _INVALID:
            # Whatever was sent last is not sent again the same way, and the session that took it is not resumed.
            self._handle = None
            if self._attempt > 1 or not self._unanswered():
                self._give_up(now, f"Gemini Live refused a message ({said}): it is not sent again.")
        self._open(now, resume=True)
        return self._flush()

    def closed(self, serial: int, now: float) -> list[Action]:
        """The connection was closed as asked.

        Args:
            serial: Number of the connection.
            now: Clock reading.

        Returns:
            What to do.
        """
        if serial != self._serial or self._link is not Link.CLOSING or self._stopped:
            return []
        self._link = Link.CLOSED
        self._open(now, resume=self._renew != "fresh")
        return self._flush()

    def stop(self) -> None:
        """The pipeline ends: nothing more is sent or opened."""
        self._stopped = True
        self._link = Link.CLOSED

    def message(self, serial: int, message: types.LiveServerMessage, now: float) -> list[Action]:
        """Take one server message.

        Args:
            serial: Number of the connection it came on.
            message: As parsed by google-genai.
            now: Clock reading.

        Returns:
            What to do.
        """
        if serial != self._serial or self._link is not Link.OPEN:
            return []
        self._deal(self.turns.message(message, now), now)
        update = message.session_resumption_update
        if update is not None and update.resumable and update.new_handle:
            held = self.history.mark if self.turns.closed or not self._unanswered() else self._mark_before_current
            self._handle = Handle(update.new_handle, held)
        if message.go_away is not None:
            self._goaway_at = now + _seconds(message.go_away.time_left)
        if message.usage_metadata is not None:
            self._out.append(Usage(message.usage_metadata))
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
        self.context = turn.context
        if self._roll_back_at is not None:
            # The real turn came right behind the withdrawal: a note costs the user nothing, a new connection would.
            self._roll_back_at = None
            self._notes.append(self.history.withdraw())
        if turn.provisional:
            self._handle_before_provisional = self._handle
        self._queue(turn, now)
        self._pump(now)
        return self._flush()

    def interrupt(self, now: float) -> list[Action]:
        """The user began to speak.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        if self._current is not None and (self._unheard or self._bot_speaking or self.turns.busy):
            self.history.interrupted(self._current.number)
        self._unheard = False
        self._outgoing = None
        self._cancel_answer(now)
        return self._flush()

    def withdraw(self, now: float) -> list[Action]:
        """The provisional turn was sent too early: the user goes on speaking.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        self._unheard = False
        if self._outgoing is not None and self._outgoing.provisional:
            self._outgoing = None
            return []
        self._cancel_answer(now)
        self._roll_back_at = now + 0.1
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
            self._user_speaking = user
        if bot is not None:
            self._bot_speaking = bot
            if not bot and not self.turns.busy:
                self._unheard = False
        self._pump(now)
        return self._flush()

    def renew(self, now: float, model: LiveModel, *, fresh: bool) -> list[Action]:
        """Settings changed: a hand-over before the next turn.

        Args:
            now: Clock reading.
            model: Row of the model from now on.
            fresh: Whether a resumed session would not do: another model, or an instruction, which a resumed session
                was seen to ignore (facts C8).

        Returns:
            What to do.
        """
        self.model = model
        if self._stopped:
            self._stopped = False
            self._failures = 0
            self._open(now, resume=False)
        elif self._link is Link.OPEN:
            self._renew = "fresh" if fresh or self._renew == "fresh" else "resume"
            self._pump(now)
        elif fresh:
            self._handle = None
        return self._flush()

    def result(self, call_id: str, response: dict[str, Any], now: float) -> list[Action]:
        """A function returned.

        Args:
            call_id: Id of the call.
            response: What to tell the model.
            now: Clock reading.

        Returns:
            What to do.
        """
        call = self._calls.get(call_id)
        if call is None:
            return []
        call.result = response
        self._pump(now)
        return self._flush()

    def tick(self, now: float) -> list[Action]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What is due.
        """
        if self._stopped:
            return []
        self._deal(self.turns.tick(now), now)
        if self._retry_at is not None and now >= self._retry_at:
            self._open(now, resume=True)
        if self._roll_back_at is not None and now >= self._roll_back_at:
            self._roll_back(now)
        offline = self._link is not Link.OPEN and self._outgoing is not None
        if offline and now >= self._outgoing_since + self._options.offline_secs:
            self._give_up(now, "Gemini Live cannot be reached: check the network connection.")
        self._watch(now)
        self._pump(now)
        return self._flush()

    # Sending.

    def _queue(self, turn: Turn, now: float) -> None:
        waiting = self._outgoing
        if waiting is not None and not waiting.messages and waiting is not turn:
            # An instruction of our own is in no context where it could be found again.
            turn = replace(turn, text=f"{waiting.text}\n{turn.text}")
        self._outgoing = turn
        self._outgoing_since = now

    def _pump(self, now: float) -> None:
        """Do what can be done now: hand over, answer calls, send the turn that waits."""
        if self._link is not Link.OPEN or self._stopped:
            return
        if self._fence_until is not None and (now >= self._fence_until or not self.turns.generating):
            self._fence_until = None
            self.turns.give_up_unstarted(now)
        if self._hand_over_now(now):
            self._out.append(Close(self._serial))
            self._link = Link.CLOSING
            return
        self._send_results(now)
        turn = self._outgoing
        if turn is None or self._fence_until is not None:
            return
        if not turn.messages and (self.turns.busy or self._user_speaking):
            return  # an instruction of our own waits for its moment
        if any(call.turn == turn.number and call.result is None for call in self._calls.values()):
            return  # a resend waits for the functions its first answer called
        self._send(turn, now)

    def _send(self, turn: Turn, now: float) -> None:
        self._outgoing = None
        again = self._current is not None and self._current.number == turn.number
        self._attempt = self._attempt + 1 if again else 1
        if self._attempt > self._options.max_attempts:
            self._give_up(now, "Gemini Live did not answer: the turn was given up after several connections.")
            return
        delivered = self.turns.delivered(turn.number) if again else ""
        self._current = turn
        self._mark_before_current = self.history.mark
        if not again:
            self._handle_before_current = self._handle
        composed = self.history.compose(turn)
        notes = [note for note in (*self._notes, *self._results_as_notes(), composed.note) if note]
        self._notes.clear()
        if delivered:
            notes.append(
                f'[The connection broke while you answered. The user already has: "{delivered}". Go on from there.]'
            )
        composed = replace(composed, note="\n".join(notes))
        if self.model.client_content:
            self._out.append(SendContent(tuple(composed.contents())))
        else:
            self._out.append(SendText(composed.plain()))
        if delivered:
            self.history.said(turn.number, delivered)
        self._deal(self.turns.sent(turn.number, now, after=delivered), now)
        self._watch_stage = 2 if again else 0
        self._out.append(TurnSent(turn.number, turn.text, self._attempt))

    def _cancel_answer(self, now: float) -> None:
        """Mute the answer, and stop it at the server while it is being generated: never when idle (facts C5)."""
        generating = self.turns.interrupt()
        for call in list(self._calls.values()):
            if call.serial == self._serial and call.result is None:
                continue  # its function is cancelled by the framework, or goes on and tells later
            del self._calls[call.call_id]
        if generating and self._link is Link.OPEN and self.model.empty_turn_cancels and self._fence_until is None:
            self._out.append(SendContent((), complete=True))
            self.turns.cancel_sent()
            self._fence_until = now + self._options.fence_secs

    def _unanswered(self) -> bool:
        """Whether the newest turn still waits for its answer, or for the rest of it."""
        waiting = self.turns.waiting
        current = self._current
        if current is None:
            return False
        held_up = any(call.turn == current.number for call in self._calls.values()) and self.turns.busy
        return held_up or (waiting is not None and waiting.turn == current.number)

    def _give_up(self, now: float, line: str) -> None:
        """The turn gets no answer: say so aloud, and to whoever watches."""
        turn = self._outgoing or (self._current if self._unanswered() else None)
        self._outgoing = None
        if turn is not None:
            self._deal(self.turns.stop(), now)
            self._out.append(Apologize(turn.number))
        if line:
            self._out.append(Report(line))

    # Functions.

    def _send_results(self, now: float) -> None:
        groups = {call.group for call in self._calls.values() if call.serial == self._serial}
        for group in groups:
            calls = [call for call in self._calls.values() if call.group == group]
            if any(call.result is None for call in calls):
                continue
            if self.turns.generating and self.turns.waiting is None and not self._holds_up(calls):
                continue
            for call in calls:
                del self._calls[call.call_id]
                self.history.call_told(call.call_id)
                self.turns.result_sent(call.call_id, now)
            self._watch_stage = 0
            self._out.append(
                SendResults(
                    tuple(types.FunctionResponse(id=c.call_id or None, name=c.name, response=c.result) for c in calls)
                )
            )

    def _holds_up(self, calls: Sequence[Call]) -> bool:
        return self._current is not None and any(call.turn == self._current.number for call in calls)

    def _results_as_notes(self) -> list[str]:
        """Results of calls made on an earlier connection, where no answer can be given any more."""
        notes = []
        for call in list(self._calls.values()):
            if call.serial != self._serial and call.result is not None:
                del self._calls[call.call_id]
                self.history.call_told(call.call_id)
                notes.append(f"[You already called {call.name}; it returned {call.result}. Do not call it again.]")
        return notes

    # Hand-overs.

    def _renew_at(self) -> float | None:
        """When a hand-over becomes due by the clock."""
        at = self._opened_at + self._options.renew_after_secs
        limit = self.model.session_limit_secs
        return min(at, self._session_began_at + limit) if limit is not None else at

    def _hard_end_at(self) -> float | None:
        """When the connection is given up even in mid-turn: the server may just fall silent (facts C8)."""
        if self._goaway_at is None:
            return None
        return max(self._goaway_at - self._options.goaway_margin_secs, self._opened_at)

    def _hand_over_now(self, now: float) -> bool:
        limit = self.model.session_limit_secs
        if limit is not None and now >= self._session_began_at + limit:
            self._renew = "fresh"
        hard_end = self._hard_end_at()
        wanted = (
            self._renew is not None or self._suspect or self._goaway_at is not None or now >= (self._renew_at() or 0)
        )
        if not wanted:
            return False
        if self.turns.busy or self.turns.generating or self._calls:
            # In mid-turn only when the announced end has come; until then the answer may still get through.
            return self._goaway_at is not None and now >= self._goaway_at
        urgent = self._outgoing is not None or (hard_end is not None and now >= hard_end)
        settled = self.turns.closed and not self._user_speaking
        if self._outgoing is not None and self._renew is None and not self._suspect:
            return False  # the turn goes first; the hand-over is for its listening time
        return urgent or settled

    def _roll_back(self, now: float) -> None:
        """Undo a withdrawn provisional turn: the session is resumed from before it, so no trace of it is left."""
        self._roll_back_at = None
        if self._handle_before_provisional is None or self._link is not Link.OPEN:
            self._notes.append(self.history.withdraw())
            return
        self._handle = self._handle_before_provisional
        self._current = None
        self._renew = "resume"
        self._out.append(Close(self._serial))
        self._link = Link.CLOSING

    def _open(self, now: float, *, resume: bool) -> None:
        self._serial += 1
        self._link = Link.OPENING
        self._retry_at = None
        self._fence_until = None
        self._suspect = False
        self._resuming = resume and self._handle is not None
        handle = self._handle.value if self._resuming and self._handle else None
        self._out.append(Open(self._serial, handle, history=handle is None and bool(self.context)))

    def _retry(self, now: float) -> None:
        pause = self._options.backoff_secs * 2 ** (self._failures - 1)
        self._retry_at = now + min(pause, self._options.max_backoff_secs)

    # The watchdog.

    def _watch_at(self) -> float | None:
        waiting = self.turns.waiting
        if waiting is None or self._link is not Link.OPEN:
            return None
        patience = self._options.patience_secs or self.model.patience_secs
        silent = not waiting.started or waiting.answered_call
        return max(waiting.sent_at, self.turns.heard_from_at) + (patience if silent else self._options.stall_secs)

    def _watch(self, now: float) -> None:
        at = self._watch_at()
        if at is None or now < at or self._current is None:
            return
        waiting = self.turns.waiting
        if waiting is not None and waiting.started and not waiting.answered_call:
            self._out.append(Report("Gemini Live stopped in mid-answer: going on without the rest.", error=False))
            self._deal(self.turns.stop(), now)
            self._suspect = True
        elif self._watch_stage == 0:
            self._nudge("[Please answer the user's last message.]", now)
        elif self._watch_stage == 1:
            # Back to before the turn, so that neither it nor the nudge is in the model's memory twice.
            self._handle = self._handle_before_current
            self._out.append(Close(self._serial))
            self._link = Link.CLOSING
        else:
            self._give_up(now, "Gemini Live gave no answer: check the network connection and the model's status.")
            self._suspect = True

    def _nudge(self, text: str, now: float) -> None:
        if self._current is None:
            return
        self._watch_stage = 1
        if self.model.client_content:
            self._out.append(SendContent((types.Content(role="user", parts=[types.Part(text=text)]),)))
        else:
            self._out.append(SendText(text))
        self._deal(self.turns.sent(self._current.number, now), now)

    # Events of the turn machine.

    def _deal(self, events: Sequence[TurnEvent], now: float) -> None:
        for event in events:
            if isinstance(event, Piece):
                self.history.said(event.turn, event.text)
                self._unheard = True
                self._watch_stage = 0
            elif isinstance(event, ToolCalls):
                self._groups += 1
                for call in event.calls:
                    call_id = call.id or ""
                    self._calls[call_id] = Call(call_id, call.name or "", event.turn, self._serial, self._groups)
            elif isinstance(event, ToolCancellation):
                for call_id in event.ids:
                    self._calls.pop(call_id, None)
            elif isinstance(event, Ended) and not event.spoken and self._answer_is_empty(event):
                self._nudge("[Your answer did not arrive. Please give it again.]", now)
                continue
            self._out.append(event)

    def _answer_is_empty(self, event: Ended) -> bool:
        current = self._current
        return current is not None and current.number == event.turn and self._watch_stage == 0 and not self._stopped

    def _flush(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _seconds(duration: str | None) -> float:
    """Read a protobuf duration such as ``50s`` or ``9.5s``."""
    try:
        return float((duration or "0s").removesuffix("s"))
    except ValueError:
        return 0.0
