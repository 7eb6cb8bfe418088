"""One turn and its answer: how a turn is written, cancelled, asked for again and given up. No I/O.

It knows the turn that waits to be sent and the one sent last. When something may be sent at all, and when connections
are replaced, is the session machine's business.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.actions import (
    Action,
    Apologize,
    Report,
    SendContent,
    SendResults,
    SendText,
    TurnSent,
    Waiting,
)
from halfcascade.processors.gemini_live.protocol.calls import CallLedger, response_message
from halfcascade.processors.gemini_live.protocol.history import Composed, History, Turn
from halfcascade.processors.gemini_live.protocol.link import Handle, Link
from halfcascade.processors.gemini_live.protocol.options import SessionOptions
from halfcascade.processors.gemini_live.protocol.patience import Patience
from halfcascade.processors.gemini_live.protocol.suspicion import Suspicion
from halfcascade.processors.gemini_live.protocol.turn_events import (
    Ended,
    TextDelta,
    ToolCalls,
    ToolCancellation,
    TurnEvent,
)
from halfcascade.processors.gemini_live.protocol.turns import TurnMachine
from halfcascade.processors.gemini_live.protocol.watchdog import Step, Watchdog


class Exchange:
    """Gets every turn to the model, and an answer back or an apology out.

    Parameters:
        turns: Deals what the server sends out to the turns.
        history: What the session's memory holds.
        calls: Functions that run.
        patience: How long the user waits for a word.
        waiting: The turn that waits to be sent.
        queued_at: Clock reading since when it waits.
        current: The turn that was sent last, unless it was undone.
        unheard: Whether text was passed on whose speech has not ended.
        outage: Whether the user was told that there is no connection.
    """

    def __init__(
        self, link: Link, options: SessionOptions, is_async: Callable[[str], bool], todo: list[Action]
    ) -> None:
        """Start without a turn.

        Args:
            link: Where to send.
            options: Timeouts.
            is_async: Tells whether the named function outlives interruptions, so that the model need not wait for it.
            todo: Where to put what is to be done.
        """
        self._link = link
        self._options = options
        self._is_async = is_async
        self._todo = todo
        self.turns = TurnMachine(link.model, link.model.modality)
        self.history = History()
        self.calls = CallLedger()
        self.patience = Patience(options)
        self.waiting: Turn | None = None
        self.queued_at = 0.0
        self.current: Turn | None = None
        self.unheard = False
        self.outage = False
        self._watchdog = Watchdog(options)
        self._suspicion = Suspicion(options)
        self._attempt = 0
        self._mark_before = 0
        self._handle_before: Handle | None = None
        self._fence_until: float | None = None
        self._notes: list[str] = []

    @property
    def unanswered(self) -> bool:
        """Whether the newest turn still waits for its answer, or for the rest of it."""
        current, answer = self.current, self.turns.waiting
        if current is None:
            return False
        held_up = self.calls.of_turn(current.number) and self.turns.busy
        return held_up or (answer is not None and answer.turn == current.number)

    @property
    def pending(self) -> Turn | None:
        """The user's turn that waits to be sent, or else the one that waits for its answer, or an instruction."""
        if (self.waiting is None or not self.waiting.by_user) and self.unanswered:
            return self.current
        return self.waiting

    @property
    def mark(self) -> int | None:
        """How much of the history a handle holds that comes now; None if it remembers an answer that nobody got."""
        if self.turns.trailing or self._watchdog.nudged:
            return None  # the answer may have to be undone
        # A handle does not hold a turn that is still being answered (facts/live#lifetime).
        return self._mark_before if self.unanswered else self.history.mark

    def deadline(self) -> float | None:
        """Tell when ``tick`` has something to do, or the waiting turn may be sent.

        Returns:
            Clock reading, or None.
        """
        due = [self.turns.deadline, self._filler_at]
        if self._link.is_open:
            due.append(self._suspect_at)
            due.append(self._watchdog.due_at(self.turns.waiting, self.turns.heard_from_at, self._link.model))
            due.append(self._fence_until if self.waiting is not None else None)
        return min((at for at in due if at is not None), default=None)

    # Sending.

    def queue(self, turn: Turn, now: float) -> None:
        """Let a turn wait to be sent.

        Args:
            turn: The turn; replaces one that waits already.
            now: Clock reading.
        """
        waiting = self.waiting
        if waiting is not None and waiting is not turn and not waiting.messages:
            # An instruction of our own stands in no context where it could be found again.
            turn = replace(turn, text=f"{waiting.text}\n{turn.text}")
        if self.pending is None or self.pending.number != turn.number:
            self.patience.waits(now)
        self.waiting = turn
        self.queued_at = now

    def note(self, text: str) -> None:
        """Tell the model something with the next turn.

        Args:
            text: In brackets.
        """
        self._notes.append(text)

    def lower_fence(self, now: float) -> None:
        """Let the next turn be sent if the cancelled answer is over, or was given time enough to be.

        Args:
            now: Clock reading.
        """
        if self._fence_until is not None and (now >= self._fence_until or not self.turns.generating):
            self._fence_until = None
            self.turns.give_up_unstarted(now)

    def proceed(self, now: float, *, user_speaking: bool) -> None:
        """Send what can be sent on the open connection: results of functions, and the turn that waits.

        Args:
            now: Clock reading.
            user_speaking: What does not come from the user waits until they have finished.
        """
        self._answer_calls(now, idle=not self.turns.generating and not user_speaking)
        turn = self.waiting
        if turn is None or self._fence_until is not None:
            return
        if not turn.by_user and (self.turns.busy or user_speaking):
            return  # an instruction waits for its moment
        if self.calls.running(turn.number):
            return  # a turn that is sent again waits for the functions its first answer called
        self._send(turn, now)

    def _send(self, turn: Turn, now: float) -> None:
        self.waiting = None
        again = self.current is not None and self.current.number == turn.number
        self._attempt = self._attempt + 1 if again else 1
        if again and self._attempt > self._options.max_attempts:
            self.give_up(turn, "Gemini Live gave no answer on several connections: the turn was given up.")
            return
        if not again:
            self._handle_before = self._link.handle
        delivered = self.turns.delivered(turn.number) if again else ""
        self.current = turn
        self._mark_before = self.history.mark
        orphans = self.calls.take_orphans(self._link.serial)
        for call in orphans:
            self.history.call_told(call.call_id)
        composed = self.history.compose(turn)
        notes = [*self._notes, composed.note]
        notes += [wording.already_called(call.name, call.response) for call in orphans]
        if delivered:
            notes.append(wording.go_on_from(delivered))
        self._notes = []
        self._write(replace(composed, note="\n".join(note for note in notes if note)), now)
        if delivered:
            self.history.said(turn.number, delivered)
        self.deal(self.turns.sent(turn.number, now, after=delivered), now)
        self._watchdog.sent(again=again)
        self._todo.append(TurnSent(turn.number, turn.said, self._attempt, "" if turn.by_user else turn.text))

    def _answer_calls(self, now: float, *, idle: bool) -> None:
        for calls in self.calls.take_ready(self._link.serial, idle=idle):
            for call in calls:
                self.history.call_told(call.call_id)
                self.turns.result_sent(call.call_id, now)
            self._watchdog.answered()
            if not any(call.speak for call in calls):
                self.turns.interrupt()  # the model answers every result; this answer is not for the user
            self._todo.append(SendResults(tuple(response_message(call) for call in calls)))

    # Taking back.

    def interrupt(self, now: float, *, bot_speaking: bool) -> None:
        """The user began to speak: suppress the answer, and stop it at the server while it is being generated.

        Args:
            now: Clock reading.
            bot_speaking: Whether the bot's voice was heard at that moment.
        """
        if self.current is not None and (self.unheard or bot_speaking or self.turns.busy):
            self.history.interrupted(self.current.number, unfinished=self.turns.generating)
        self.unheard = False
        # What waits to be sent is in the context, and told with the turn that comes now.
        self.waiting = None
        self.calls.interrupted()
        generating = self.turns.interrupt()
        if not self._link.is_open or self._fence_until is not None:
            return
        # A turn whose text is complete stays open while the server imagines its playback (facts/live#server-messages).
        # Left open, it costs the next turn the 0.5 s that closing takes (facts/live#interruption); so it is closed
        # while the user speaks, but never when idle. Extended thinking might take the moment for idle and speak a
        # filler.
        model = self._link.model
        imagines_playback = not self.turns.closed and not model.interaction_status
        if generating and not model.empty_turn_cancels:
            self._todo.append(self._link.close(now))
        elif model.empty_turn_cancels and (generating or imagines_playback):
            self._todo.append(SendContent((), complete=True))
            self.turns.cancel_sent()
            self._fence_until = now + self._options.fence_secs

    def confirm(self, context: Sequence[Any], now: float) -> None:
        """The turn that was asked early has ended with the words that were asked.

        Args:
            context: All messages, live; the newest of the user stands for the turn.
            now: Clock reading.
        """
        early = next((turn for turn in (self.waiting, self.current) if turn and turn.provisional), None)
        message = self.history.confirm(early.number, context, early.context) if early else None
        if early is None or message is None:
            return
        turn = replace(early, messages=(*early.messages[:-1], message), context=context, provisional=False)
        self.waiting = turn if self.waiting is early else self.waiting
        self.current = turn if self.current is early else self.current
        self.patience.waits(now)

    def withdraw(self) -> bool:
        """The user's newest turn was sent too early: suppress its answer, and do not send it again.

        Returns:
            Whether it was sent, so that it has to be undone.
        """
        self.unheard = False
        if self.waiting is not None and self.waiting.by_user:
            unsent, self.waiting = self.waiting, None
            if unsent is not self.current:
                return False
        if self.current is None:
            return False
        self.history.withdraw(self.current.number)
        self.turns.interrupt()
        self.calls.interrupted()
        self.current = None
        return True

    def undo(self, now: float) -> None:
        """Go back to before the turn that was withdrawn, so that no trace of it is left.

        Args:
            now: Clock reading.
        """
        if self._link.is_open:
            self.rewind()
            self._todo.append(self._link.close(now))
        elif self._link.handle is not self._handle_before:
            # The session that is being opened was saved after the turn.
            self.note(wording.WITHDRAWAL_NOTE)

    def rewind(self) -> None:
        """Let the next connection resume the session from before the current turn."""
        self._link.handle = self._handle_before

    # Answers.

    def received(self, message: types.LiveServerMessage, now: float) -> None:
        """Take one server message.

        Args:
            message: As parsed by google-genai.
            now: Clock reading.
        """
        if message.server_content or message.tool_call or message.tool_call_cancellation:
            self._suspicion.cleared()
        self.deal(self.turns.message(message, now), now)

    def disconnected(self, *, refused: str = "") -> None:
        """The connection is gone.

        Args:
            refused: The server's words, if it closed because of something it was sent.
        """
        self.turns.disconnected()
        self._suspicion.cleared()
        self._fence_until = None
        if refused:
            # A turn that was refused is sent once more at most: to a fresh session, without notes. Twice is blind.
            self._notes.clear()
            if self._attempt > 1 and self.unanswered:
                self.give_up(self.current, f"Gemini Live refused a message ({refused}): it is not sent again.")

    def tick(self, now: float) -> None:
        """Let time pass: end texts that are over, and tell a user who waits that it goes on.

        Args:
            now: Clock reading.
        """
        self.deal(self.turns.tick(now), now)
        if (at := self._filler_at) is not None and now >= at and (turn := self.pending) is not None:
            self.patience.told(turn.number)
            offline = not self._link.is_open
            self.outage = self.outage or offline
            self._todo.append(Waiting(turn.number, offline))

    @property
    def _filler_at(self) -> float | None:
        """When the user has waited long enough for a word from us, as long as nothing has come of their turn."""
        turn = self.pending
        if turn is not None and (self.calls.of_turn(turn.number) or self.turns.delivered(turn.number)):
            return None
        return self.patience.over_at(turn, self.turns.waiting)

    def suspect(self, now: float) -> bool:
        """Tell whether the connection took what it was asked and has said nothing since, for too long.

        Args:
            now: Clock reading.
        """
        return (at := self._suspect_at) is not None and now >= at

    @property
    def _suspect_at(self) -> float | None:
        # The watchdog looks after an answer that is waited for.
        return None if self.turns.waiting is not None else self._suspicion.due_at(self._link.model)

    def chase(self, now: float) -> None:
        """Go after an answer that does not come.

        Args:
            now: Clock reading.
        """
        answer = self.turns.waiting
        due_at = self._watchdog.due_at(answer, self.turns.heard_from_at, self._link.model)
        if answer is None or due_at is None or now < due_at or not self._link.is_open:
            return
        step = self._watchdog.step(answer)
        if step is Step.CUT:
            self._todo.append(Report("Gemini Live stopped in mid-answer: going on without the rest.", error=False))
            self._link.distrust()
            self.deal(self.turns.stop(), now)
        elif self.current is not None:
            self._insist(self.current, step, wording.NO_ANSWER_NUDGE, now)

    def give_up(self, turn: Turn | None, line: str = "") -> None:
        """A turn gets no answer: say so aloud, and to whoever watches.

        Args:
            turn: The turn, if there is one.
            line: Cause and remedy, if they were not told already.
        """
        if turn is self.waiting:
            self.waiting = None
        # First: an apology says why.
        if line:
            self._todo.append(Report(line))
        if turn is not None:
            self._todo += self.turns.stop()
            self._todo.append(Apologize(turn.number))

    def deal(self, events: Sequence[TurnEvent], now: float) -> None:
        """Pass on what the turn machine says, and take note of it.

        Args:
            events: In order.
            now: Clock reading.
        """
        for event in events:
            match event:
                case TextDelta(turn, text):
                    self.history.said(turn, text)
                    self.unheard = True
                    self._watchdog.answered()
                case ToolCalls(turn, calls):
                    numbered = self.calls.number(calls)
                    self.turns.hold(turn, self.calls.add(turn, numbered, self._link.serial, self._is_async))
                    self._todo.append(ToolCalls(turn, numbered))
                    continue
                case ToolCancellation(ids):
                    self.calls.cancel(ids)
                case Ended(turn, spoken=False) if (missing := self._missing(turn)) is not None:
                    self._insist(missing, self._watchdog.next, wording.EMPTY_ANSWER_NUDGE, now)
                    continue
                case _:
                    pass
            self._todo.append(event)

    def _missing(self, turn: int) -> Turn | None:
        """The turn whose answer ended without a word, if nothing newer replaces it and no function may still help."""
        current = self.current
        if current is None or current.number != turn or self.calls.of_turn(turn) or not self._link.is_open:
            return None
        return None if self.waiting is not None and self.waiting.by_user else current

    def _insist(self, turn: Turn, step: Step, nudge: str, now: float) -> None:
        """Take the next step towards an answer, or tell the user that there is none."""
        if step is Step.RESEND and self.history.has_words(turn.number) and not self.turns.delivered(turn.number):
            step = Step.GIVE_UP  # only what it said to a function's result is missing: all else would be said twice
        match step:
            case Step.NUDGE:
                self._watchdog.nudge()
                self._write(Composed((), "", nudge), now)
                self.deal(self.turns.sent(turn.number, now), now)
            case Step.RESEND:
                # From before the turn, so that neither it nor the nudge is in the model's memory twice.
                self.rewind()
                self.turns.reopen(turn.number)
                self._todo.append(self._link.close(now))
            case _:
                self.give_up(turn, "Gemini Live gave no answer: check the network connection and the model's status.")
                self._link.distrust()

    def _write(self, composed: Composed, now: float) -> None:
        """Write in the form the model takes in mid-session (facts/live#client-messages, #models)."""
        if self._link.model.client_content:
            self._todo.append(SendContent(tuple(composed.contents())))
        else:
            self._todo.append(SendText(composed.plain()))
        self._suspicion.asked(now)
