"""One endless session over connections that end: a state machine without I/O.

It is fed what happens and clock readings in seconds, and returns what is to be done. Its parts: ``Link`` keeps the
chain of connections, ``TurnMachine`` deals answers to turns, ``History`` knows what the model's memory holds,
``CallLedger`` what functions run, ``Watchdog`` what to do when nothing comes. This module holds what concerns several
of them: when a turn may be sent, what is sent again, when a hand-over disturbs nobody.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.genai import types

from processors.gemini_live import wording
from processors.gemini_live.actions import (
    Action,
    Apologize,
    Report,
    SendContent,
    SendResults,
    SendText,
    TurnSent,
    Usage,
)
from processors.gemini_live.calls import CallLedger, response_message
from processors.gemini_live.history import History, Turn
from processors.gemini_live.link import Handle, Link, LinkState, Renewal
from processors.gemini_live.models import LiveModel, Modality, Refusal, Remedy
from processors.gemini_live.options import SessionOptions
from processors.gemini_live.turn_events import Ended, Piece, ToolCalls, ToolCancellation, TurnEvent
from processors.gemini_live.turns import TurnMachine
from processors.gemini_live.watchdog import Step, Watchdog

_INVALID = 1007
_QUIET_FAILURES = 2


class SessionMachine:
    """Decides what is sent when, on which connection."""

    def __init__(
        self,
        model: LiveModel,
        options: SessionOptions | None = None,
        is_async: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Start without a connection.

        Args:
            model: Row of the model.
            options: Patience.
            is_async: Tells whether the named function outlives interruptions, so that the model need not wait for it.
        """
        self._is_async = is_async
        self.model = model
        self.options = options or SessionOptions()
        self.link = Link(self.options)
        self.turns = TurnMachine(model, model.modality)
        self.history = History()
        self.calls = CallLedger()
        self.context: Sequence[Any] = ()
        self._watchdog = Watchdog(self.options)
        self._outgoing: Turn | None = None
        self._waiting_since = 0.0
        self._current: Turn | None = None
        self._attempt = 0
        self._mark_before_current = 0
        self._handle_before_current: Handle | None = None
        self._fence_until: float | None = None
        self._suspect = False
        self._seeding = False
        self._notes: list[str] = []
        self._unheard = False
        self._user_speaking = False
        self._bot_speaking = False
        self._listening_until = 0.0
        self._roll_back_at: float | None = None
        self._out: list[Action] = []

    def deadline(self, now: float) -> float | None:
        """Tell when ``tick`` has something to do.

        Args:
            now: Clock reading.

        Returns:
            Clock reading, or None.
        """
        if self.link.state is LinkState.STOPPED:
            return None
        due = [self.turns.deadline, self.link.retry_at, self._roll_back_at]
        if self._outgoing is not None and self.link.is_open:
            due.append(self._fence_until)
        if self._pending() is not None and not self.link.is_open:
            due.append(self._waiting_since + self.options.offline_secs)
        if self.link.is_open:
            due.append(self._watchdog.due_at(self.turns.waiting, self.turns.heard_from_at, self.model))
            due += [at for at in (*self.link.deadlines(self.model), self._listening_until) if at > now]
        return min((at for at in due if at is not None), default=None)

    # What happens to the connection.

    def start(self, now: float) -> list[Action]:
        """Open the first connection.

        Args:
            now: Clock reading.

        Returns:
            What to do.
        """
        self._open(resume=False)
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
        self._deal(self.turns.reset(self.model, modality), now)
        pending = self._pending()
        if self.link.resumed and self.link.handle is not None:
            self.history.rollback(self.link.handle.mark)
        else:
            self._seed(pending.messages if pending else ())
        if pending is not None and pending is not self._outgoing:
            self._queue(pending, now)
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
        hopeless = refusal.remedy is Remedy.GIVE_UP
        worrying = refusal.remedy is Remedy.RETRY and self.link.failures == _QUIET_FAILURES + 1
        self._out.append(Report(refusal.line, error=hopeless or worrying, permanent=hopeless))
        if hopeless:
            self._give_up(self._pending())
        if refusal.remedy is Remedy.USE_AUDIO:
            self.model = replace(self.model, text_output=False)
        if again is not None:
            self._open(resume=again)
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
        self.turns.disconnected()
        self._waiting_since = now
        said = " ".join(reason.split())[:200] or "no reason given"
        self._out.append(
            Report(f"Gemini Live closed the connection ({code}: {said}): going on with a new one.", error=False)
        )
        if code == _INVALID:
            # The session that took something it refuses is not resumed, and a turn that was refused is sent once more
            # at most: to a fresh session, without notes. Twice would be blind.
            self.link.handle = None
            self._notes.clear()
            if self._attempt > 1 and self._unanswered():
                self._give_up(self._current, f"Gemini Live refused a message ({said}): it is not sent again.")
        self._open(resume=True)
        return self._flush()

    def closed(self, serial: int, now: float) -> list[Action]:
        """The connection was closed as asked.

        Args:
            serial: Number of the connection.
            now: Clock reading.

        Returns:
            What to do.
        """
        if not self.link.concerns(serial) or self.link.state is not LinkState.CLOSING:
            return []
        self.turns.disconnected()
        self._open(resume=self.link.renewal is not Renewal.FRESH)
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
        self._deal(self.turns.message(message, now), now)
        update = message.session_resumption_update
        # A handle that comes now remembers an answer that nobody got, and that may have to be undone.
        missing = self.turns.trailing or self._watchdog.nudged
        if update is not None and update.resumable and update.new_handle and not missing:
            # A handle does not hold a turn that is still being answered (facts C8).
            held = self._mark_before_current if self._unanswered() else self.history.mark
            self.link.handle = Handle(update.new_handle, held)
        if message.go_away is not None:
            self.link.goaway(_seconds(message.go_away.time_left), now)
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
        if not turn.provisional:
            self.context = turn.context
        self._listening_until = 0.0
        if self._roll_back_at is not None:
            # The real turn came right behind the withdrawal: a note costs the user nothing, a new connection would.
            # It also stops the answer, unless the model insists on finishing it.
            self._roll_back_at = None
            if self.turns.generating and not self.model.empty_turn_cancels:
                self._roll_back(now)
            else:
                self._notes.append(wording.WITHDRAWAL_NOTE)
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
            self.history.interrupted(self._current.number, unfinished=self.turns.generating)
        self._unheard = False
        # What waits to be sent is in the context, and told with the turn that comes now.
        self._outgoing = None
        self.calls.interrupted()
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
        self.history.withdraw()
        self.turns.interrupt()
        self._roll_back_at = now + self.options.withdrawal_secs
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
            # What they said is about to come as a turn: no moment to begin a hand-over.
            self._listening_until = now if user else now + self.options.turn_grace_secs
        if bot is not None:
            self._bot_speaking = bot
            if not bot and not self.turns.busy:
                self._unheard = False
        self._pump(now)
        return self._flush()

    def renew(self, model: LiveModel, renewal: Renewal, now: float) -> list[Action]:
        """Settings changed: a hand-over before the next turn.

        Args:
            model: Row of the model from now on.
            renewal: Whether the session can go on with them. Another model cannot, and a resumed session was seen to
                keep its old instruction (facts C8).
            now: Clock reading.

        Returns:
            What to do.
        """
        self.model = model
        self.link.renew(renewal)
        if self.link.state is LinkState.STOPPED:
            self._open(resume=False)
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
        if self.calls.returned(call_id, response, speak=speak):
            self._pump(now)
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
        self._deal(self.turns.tick(now), now)
        if self.link.retry_at is not None and now >= self.link.retry_at:
            self._open(resume=True)
        if self._roll_back_at is not None and now >= self._roll_back_at:
            self._roll_back(now)
        pending = None if self.link.is_open else self._pending()
        if pending is not None and now >= self._waiting_since + self.options.offline_secs:
            self._give_up(pending, "Gemini Live cannot be reached: check the network connection.")
        self._watch(now)
        self._pump(now)
        return self._flush()

    # Sending.

    def _queue(self, turn: Turn, now: float) -> None:
        waiting = self._outgoing
        if waiting is not None and waiting is not turn and not waiting.messages:
            # An instruction of our own stands in no context where it could be found again.
            turn = replace(turn, text=f"{waiting.text}\n{turn.text}")
        self._outgoing = turn
        self._waiting_since = now

    def _pump(self, now: float) -> None:
        """Do what can be done now: hand over, answer calls, send the turn that waits."""
        if not self.link.is_open:
            return
        if self._fence_until is not None and (now >= self._fence_until or not self.turns.generating):
            self._fence_until = None
            self.turns.give_up_unstarted(now)
        if self._hand_over_now(now):
            self._close(now)
            return
        self._answer_calls(now)
        turn = self._outgoing
        if turn is None or self._fence_until is not None:
            return
        if not turn.by_user and (self.turns.busy or self._user_speaking):
            return  # an instruction waits for its moment
        if self.calls.running(turn.number):
            return  # a turn that is sent again waits for the functions its first answer called
        self._send(turn, now)

    def _send(self, turn: Turn, now: float) -> None:
        self._outgoing = None
        again = self._current is not None and self._current.number == turn.number
        self._attempt = self._attempt + 1 if again else 1
        if again and self._attempt > self.options.max_attempts:
            self._give_up(turn, "Gemini Live gave no answer on several connections: the turn was given up.")
            return
        if not again:
            self._handle_before_current = self.link.handle
        delivered = self.turns.delivered(turn.number) if again else ""
        self._current = turn
        self._mark_before_current = self.history.mark
        orphans = self.calls.take_orphans(self.link.serial)
        for call in orphans:
            self.history.call_told(call.call_id)
        composed = self.history.compose(turn)
        notes = [*self._notes, composed.note]
        notes += [wording.already_called(call.name, call.response) for call in orphans]
        if delivered:
            notes.append(wording.go_on_from(delivered))
        self._notes = []
        composed = replace(composed, note="\n".join(note for note in notes if note))
        self._write(composed.contents(), composed.plain())
        if delivered:
            self.history.said(turn.number, delivered)
        self._deal(self.turns.sent(turn.number, now, after=delivered), now)
        self._watchdog.sent(again=again)
        self._out.append(TurnSent(turn.number, turn.text, self._attempt))

    def _write(self, contents: Sequence[types.Content], plain: str) -> None:
        """Write in the form the model takes in mid-session (facts C2, C4)."""
        self._out.append(SendContent(tuple(contents)) if self.model.client_content else SendText(plain))

    def _cancel_answer(self, now: float) -> None:
        """Mute the answer, and stop it at the server while it is being generated: never when idle (facts C5)."""
        generating = self.turns.interrupt()
        if not self.link.is_open or self._fence_until is not None:
            return
        # A turn whose text is complete stays open while the server imagines its playback (facts C3). Left open, it
        # costs the next turn the 0.5 s that closing takes (facts C5); so it is closed while the user speaks. Extended
        # thinking might take the moment for idle and speak a filler.
        imagines_playback = not self.turns.closed and not self.model.interaction_status
        if generating and not self.model.empty_turn_cancels:
            self._close(now)
        elif self.model.empty_turn_cancels and (generating or imagines_playback):
            self._out.append(SendContent((), complete=True))
            self.turns.cancel_sent()
            self._fence_until = now + self.options.fence_secs

    def _unanswered(self) -> bool:
        """Whether the newest turn still waits for its answer, or for the rest of it."""
        current, waiting = self._current, self.turns.waiting
        if current is None:
            return False
        held_up = self.calls.of_turn(current.number) and self.turns.busy
        return held_up or (waiting is not None and waiting.turn == current.number)

    def _pending(self) -> Turn | None:
        """The user's turn that waits to be sent, or else the one that waits for its answer, or an instruction."""
        waiting = self._outgoing
        if (waiting is None or not waiting.by_user) and self._unanswered():
            return self._current
        return waiting

    def _give_up(self, turn: Turn | None, line: str = "") -> None:
        """A turn gets no answer: say so aloud, and to whoever watches."""
        if turn is self._outgoing:
            self._outgoing = None
        if turn is not None:
            self._out += self.turns.stop()
            self._out.append(Apologize(turn.number))
        if line:
            self._out.append(Report(line))

    def _answer_calls(self, now: float) -> None:
        idle = not self.turns.generating and not self._user_speaking
        for calls in self.calls.take_ready(self.link.serial, idle=idle):
            for call in calls:
                self.history.call_told(call.call_id)
                self.turns.result_sent(call.call_id, now)
            self._watchdog.answered()
            if not any(call.speak for call in calls):
                self.turns.interrupt()  # the model answers every result; this answer is not for the user
            self._out.append(SendResults(tuple(response_message(call) for call in calls)))

    # Connections.

    def _close(self, now: float) -> None:
        self._waiting_since = now
        self._out.append(self.link.close())

    def _open(self, *, resume: bool) -> None:
        self._fence_until = None
        self._suspect = False
        if self._roll_back_at is not None:
            # The connection broke before the withdrawn turn was undone: going back does it.
            self._roll_back_at = None
            self.link.handle = self._handle_before_current
        pending = self._pending()
        self._seeding = self.history.can_seed(self.context, pending.messages if pending else ())
        self._out.append(self.link.open(resume=resume, history=self._seeding))

    def _seed(self, pending: Sequence[Any]) -> None:
        """Give a fresh session its history, which knows only what was heard."""
        if self.model.history_config and not self._seeding:
            self.history.forget()
            return  # the setup did not announce a history: what there is by now is told with the turn
        contents = self.history.seed(self.context, pending)
        if contents:
            # Plain models wait with turnComplete=false; the others end the history with it (facts C2).
            self._out.append(SendContent(tuple(contents), complete=self.model.history_config))

    def _hand_over_now(self, now: float) -> bool:
        """Whether the connection is to be replaced at this moment: nobody must wait for it, nothing get lost."""
        if not self.link.renewal_due(self.model, now) and not self._suspect:
            return False
        if self.turns.busy or self.turns.generating or self.calls:
            return self.link.expired(now)  # until then the answer may still get through
        if self.link.renewal is not None or self._suspect:
            return True
        if self._outgoing is not None:
            return self.link.last_call(now)  # else the turn goes first, and the hand-over into its listening time
        quiet = not self._user_speaking and now >= self._listening_until
        return self.link.last_call(now) or (self.turns.closed and quiet)

    def _roll_back(self, now: float) -> None:
        """Undo a withdrawn provisional turn: the session is resumed from before it, so no trace of it is left."""
        self._roll_back_at = None
        if self._handle_before_current is None or not self.link.is_open:
            self._notes.append(wording.WITHDRAWAL_NOTE)
            return
        self.link.handle = self._handle_before_current
        self._current = None
        self._close(now)

    # The watchdog.

    def _watch(self, now: float) -> None:
        waiting = self.turns.waiting
        due_at = self._watchdog.due_at(waiting, self.turns.heard_from_at, self.model)
        if waiting is None or due_at is None or now < due_at or not self.link.is_open:
            return
        step = self._watchdog.step(waiting)
        if step is Step.CUT:
            self._out.append(Report("Gemini Live stopped in mid-answer: going on without the rest.", error=False))
            self._suspect = True
            self._deal(self.turns.stop(), now)
        elif self._current is not None:
            self._insist(self._current, step, wording.NO_ANSWER_NUDGE, now)

    def _insist(self, turn: Turn, step: Step, nudge: str, now: float) -> None:
        """Take the next step towards an answer, or tell the user that there is none."""
        if step is Step.RESEND and self.history.has_words(turn.number) and not self.turns.delivered(turn.number):
            step = Step.GIVE_UP  # only what it said to a function's result is missing: all else would be said twice
        match step:
            case Step.NUDGE:
                self._watchdog.nudge()
                self._write([types.Content(role="user", parts=[types.Part(text=nudge)])], nudge)
                self._deal(self.turns.sent(turn.number, now), now)
            case Step.RESEND:
                # From before the turn, so that neither it nor the nudge is in the model's memory twice.
                self.link.handle = self._handle_before_current
                self.turns.reopen(turn.number)
                self._close(now)
            case _:
                self._give_up(turn, "Gemini Live gave no answer: check the network connection and the model's status.")
                self._suspect = True

    # Events of the turn machine.

    def _deal(self, events: Sequence[TurnEvent], now: float) -> None:
        for event in events:
            match event:
                case Piece(turn, text):
                    self.history.said(turn, text)
                    self._unheard = True
                    self._watchdog.answered()
                case ToolCalls(turn, calls):
                    numbered = self.calls.number(calls)
                    self.turns.hold(turn, self.calls.add(turn, numbered, self.link.serial, self._is_async))
                    self._out.append(ToolCalls(turn, numbered))
                    continue
                case ToolCancellation(ids):
                    self.calls.cancel(ids)
                case Ended(turn, spoken=False) if (missing := self._missing(turn)) is not None:
                    self._insist(missing, self._watchdog.next, wording.EMPTY_ANSWER_NUDGE, now)
                    continue
                case _:
                    pass
            self._out.append(event)

    def _missing(self, turn: int) -> Turn | None:
        """The turn whose answer ended without a word, if nothing newer replaces it and no function may still help."""
        current = self._current
        if current is None or current.number != turn or self.calls.of_turn(turn) or not self.link.is_open:
            return None
        return None if self._outgoing is not None and self._outgoing.by_user else current

    def _flush(self) -> list[Action]:
        out, self._out = self._out, []
        return out


def _seconds(duration: str | None) -> float:
    """Read a protobuf duration such as ``50s`` or ``9.5s``."""
    try:
        return float((duration or "0s").removesuffix("s"))
    except ValueError:
        return 0.0
