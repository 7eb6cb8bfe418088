"""Which answer does a server message belong to? A state machine without I/O.

The Live protocol numbers nothing: text, ``generationComplete``, ``interrupted`` and ``turnComplete`` arrive on one
stream and only their order tells whose they are. This machine keeps the pending answers, oldest first,
and deals every message out to them, so that text of turn *n* is only ever spoken in turn *n* and every turn ends:

- An answer's text ends at the first of ``generationComplete``, ``interrupted`` and ``turnComplete``: its *end*. What
  comes after that end belongs to the next answer. ``turnComplete`` is paced by an imagined playback and may be 20 s
  late (facts/live#server-messages); nothing waits for it.
- ``interrupted`` can only hit an answer after which something else was sent; any other one is stale and ignored.
- An answer the user interrupted is *suppressed*: it still takes its messages, so that they cannot leak into the next
  one, but nothing of it is spoken.
- A late delta of a transcript still belongs to the answer just ended as long as nothing newer was sent.

What of an answer is spoken, and when its text is over, is ``AnswerText``'s business.
"""

from collections import deque
from collections.abc import Iterable

from google.genai import types

from halfcascade.processors.gemini_live.protocol.answer import Answer, EndReason
from halfcascade.processors.gemini_live.protocol.answer_text import AnswerText
from halfcascade.processors.gemini_live.protocol.models import LiveModel, Modality
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, ToolCalls, ToolCancellation, TurnEvent

DOUBT_SECS = 0.3
"""How long content is held when it may belong to the answer a newer turn has replaced before its first word."""

LOST_END_SECS = 1.0
"""Silence after which a replaced answer is taken to have ended without saying so."""


class TurnMachine:
    """Deals server messages out to turns. Feed it what is sent, what arrives, and clock readings in seconds."""

    def __init__(self, model: LiveModel, modality: Modality) -> None:
        """Start without any turn.

        Args:
            model: Row of the model.
            modality: What was agreed at setup.
        """
        self._text = AnswerText(model, modality)
        self._pending: deque[Answer] = deque()
        self._last: Answer | None = None
        # Number of the newest turn that was interrupted: nothing of it, nor of what came before, is spoken any more.
        self._silenced = 0
        self._sends = 0
        self._stray_closings = 0
        self._last_message_at = 0.0
        self._held: list[types.LiveServerContent] = []

    # What is going on.

    @property
    def generating(self) -> bool:
        """Whether the server is, as far as can be known, producing an answer right now."""
        return any(answer.end_reason is None for answer in self._pending)

    @property
    def closed(self) -> bool:
        """Whether the server has closed every turn, so that a resumption handle covers them (facts/live#lifetime)."""
        return not self._pending

    @property
    def busy(self) -> bool:
        """Whether a turn is unfinished for the user: awaited, being spoken, or waiting for words or a function."""
        last = self._last
        running = last is not None and not last.suppressed and (last.end_reason is None or bool(last.calls))
        return running or self._text.speaking is not None or self.trailing

    @property
    def trailing(self) -> bool:
        """Whether the newest answer is over but words of it must still come: there are none, or no sentence ends."""
        return self._text.trailing

    @property
    def waiting(self) -> Answer | None:
        """The newest answer, if it is the server's move: it runs, is not suppressed and no function holds it up."""
        last = self._last
        if last is None or last.suppressed or last.end_reason is not None or last.calls:
            return None
        return last

    @property
    def heard_from_at(self) -> float:
        """Clock reading of the last message that belonged to an answer."""
        return self._last_message_at

    def is_speakable(self, turn: int) -> bool:
        """Whether output of a turn may still be passed on.

        Args:
            turn: Number of the turn.

        Returns:
            False once the user interrupted it. A newer turn that was sent since changes nothing: messages that arrive
            at once may hold the last words of an answer and its end, upon which the next turn is sent.
        """
        return turn > self._silenced

    def delivered(self, turn: int) -> str:
        """What was delivered of a turn's newest answer.

        Args:
            turn: Number of the turn.

        Returns:
            The text, "" if there is none.
        """
        return self._last.text if self._last is not None and self._last.turn == turn else ""

    # What we do.

    def disconnected(self) -> None:
        """The connection is gone, and with it the words that were still to come: the answer broke off."""
        if self.trailing and self._last is not None:
            self._text.break_off()
            self._last.end_reason = None

    def reopen(self, turn: int) -> None:
        """The answer to this turn ended without a word: it is awaited again.

        Args:
            turn: Number of the turn.
        """
        if self._last is not None and self._last.turn == turn and not self._last.text:
            self._last.end_reason = None

    def reset(self, model: LiveModel, modality: Modality) -> list[TurnEvent]:
        """Begin on a new connection: nothing that was pending will come any more.

        Args:
            model: Row of the model.
            modality: What was agreed at setup.

        Returns:
            The end of a text that was complete but for late deltas. An answer that is not complete stays open: its
            turn is sent again and the answer goes on.
        """
        self._text.connect(model, modality)
        self._pending.clear()
        self._held.clear()
        self._stray_closings = 0
        return self._text.end(self._last) if self._last is not None and self._last.end_reason is not None else []

    def sent(self, turn: int, now: float, *, after: str = "") -> list[TurnEvent]:
        """A message that asks for an answer was written.

        Args:
            turn: Number of the turn, the same again for a nudge or a resend.
            now: Clock reading.
            after: Text of this turn that was delivered before its connection broke; a repetition is skipped.

        Returns:
            The end of an older answer's text, if one was still open.
        """
        events: list[TurnEvent] = []
        again = self._last is not None and self._last.turn == turn
        if not again:
            events += self._text.end(self._last)
            self._text.begin()
        if after:
            self._text.resume(after)
        for answer in list(self._pending):
            if answer.turn != turn:
                answer.suppressed = True
            elif not answer.started:
                # A nudge: the answer that never began is given up; should the server close it, that is not the end.
                self._pending.remove(answer)
                self._stray_closings = 1
        self._sends += 1
        answer = Answer(turn, self._sends, now, text=after)
        self._pending.append(answer)
        self._last = answer
        self._held.clear()
        self._last_message_at = now
        return events

    def cancel_sent(self) -> None:
        """Take note of an empty turn that stops the running answer and asks for none (facts/live#interruption)."""
        self._sends += 1
        self._stray_closings = 1

    def give_up_unstarted(self, now: float) -> None:
        """The server had nothing to cancel: a suppressed answer that never began will not come.

        Args:
            now: Clock reading.
        """
        for answer in self._pending:
            if answer.suppressed and not answer.started and answer.end_reason is None:
                answer.end(EndReason.LOST, now)

    def interrupt(self) -> bool:
        """The user speaks: nothing of what was asked for so far is spoken any more.

        Returns:
            Whether the server is still generating.
        """
        for answer in self._pending:
            answer.suppressed = True
        if self._last is not None:
            self._silenced = max(self._silenced, self._last.turn)
            self._last.suppressed = True
            self._last.calls.clear()
        self._text.drop()
        self._held.clear()
        return self.generating

    def hold(self, turn: int, ids: Iterable[str]) -> None:
        """The answer waits for functions that were called.

        Args:
            turn: Number of the turn.
            ids: Ids of the calls that the model waits for.
        """
        if self._last is not None and self._last.turn == turn:
            self._last.calls.update(ids)

    def result_sent(self, call_id: str, now: float) -> None:
        """A function result was written.

        Args:
            call_id: Id of the call.
            now: Clock reading.
        """
        last = self._last
        self._last_message_at = now
        if last is None or last.suppressed:
            return
        last.calls.discard(call_id)
        if last.end_reason is None:
            last.answered_call = True
            return
        # The asking answer is over (non-blocking tools, or a server that closes it): the result gets its own.
        self._sends += 1
        self._last = Answer(last.turn, self._sends, now, answered_call=True, call_words=last.call_words)
        self._pending.append(self._last)

    # What the server does.

    def message(self, message: types.LiveServerMessage, now: float) -> list[TurnEvent]:
        """Take one server message; all its fields count, they are not exclusive (facts/live#server-messages).

        Args:
            message: As parsed by google-genai.
            now: Clock reading.

        Returns:
            What follows from it, in order.
        """
        events = self.tick(now)
        self._give_up_lost_end(now)
        if message.tool_call and message.tool_call.function_calls:
            events += self._tool_calls(message.tool_call.function_calls, now)
        content = message.server_content
        if content is not None:
            events += self._content(content, now)
            if content.interrupted:
                events += self._interrupted(now)
            if content.generation_complete:
                events += self._complete(now)
            if content.turn_complete:
                events += self._turn_complete(content, now)
        if message.tool_call_cancellation and message.tool_call_cancellation.ids:
            events += self._tool_cancellation(message.tool_call_cancellation.ids)
        return events

    def tick(self, now: float) -> list[TurnEvent]:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What is due.
        """
        events: list[TurnEvent] = []
        if self._held and self._last is not None and now >= self._last.sent_at + DOUBT_SECS:
            events += self._release_held(now)
        if self._text.end_at is not None and now >= self._text.end_at:
            events += self._text.end(self._last)
        return events

    @property
    def deadline(self) -> float | None:
        """Clock reading at which ``tick`` has something to do, or None."""
        due = [self._text.end_at] if self._text.end_at is not None else []
        if self._held and self._last is not None:
            due.append(self._last.sent_at + DOUBT_SECS)
        return min(due, default=None)

    def stop(self) -> list[TurnEvent]:
        """End the newest turn for good: no answer is expected any more.

        Returns:
            The end of its text.
        """
        last = self._last
        if last is None or last.suppressed:
            return []
        if last.end_reason is None:
            last.end_reason = EndReason.LOST
        last.calls.clear()
        return self._text.end(self._last) or [Ended(last.turn, spoken=bool(last.text))]

    # Content.

    def _running(self) -> Answer | None:
        """The answer whose content may arrive: the oldest one that has not ended."""
        return next((answer for answer in self._pending if answer.end_reason is None), None)

    def _give_up_lost_end(self, now: float) -> None:
        """A replaced answer that fell silent has ended without saying so; the next content is not its own."""
        running = self._running()
        silent = now - self._last_message_at >= LOST_END_SECS
        if running is not None and running is not self._last and silent:
            running.end(EndReason.LOST, now)

    def _content(self, content: types.LiveServerContent, now: float) -> list[TurnEvent]:
        text, finished = self._text.read(content)
        has_audio = bool(content.model_turn and any(part.inline_data for part in content.model_turn.parts or ()))
        has_content = bool(text or has_audio or content.model_turn)
        if not has_content:
            return []
        self._last_message_at = now
        running = self._running()
        if running is None:
            return self._text.deliver_late(self._last, text, now, finished=finished) if self._last is not None else []
        if running is not self._last and not running.started:
            # Replaced before its first sign: this may be its own content still in flight, or the server may have
            # merged both turns into one answer. An ``interrupted`` soon tells; until then nobody gets it.
            self._held.append(content)
            return []
        running.started = True
        if running is self._last and not running.suppressed:
            self._stray_closings = 0
        running.audio = running.audio or has_audio
        return self._text.deliver(running, text, finished=finished)

    def _release_held(self, now: float) -> list[TurnEvent]:
        """The server merged the replaced turn into the newest one: what was held is the newest one's."""
        held, self._held = self._held, []
        for answer in list(self._pending):
            if answer is not self._last:
                self._pending.remove(answer)
        return [event for content in held for event in self._content(content, now)]

    # Ends.

    def _interrupted(self, now: float) -> list[TurnEvent]:
        running = self._running()
        self._held.clear()
        if running is None or running.sent_index >= self._sends:
            return []  # stale: nothing was sent after the answer that runs
        self._last_message_at = now
        running.end(EndReason.INTERRUPTED, now)
        return self._text.end(self._last) if running is self._text.speaking and running is self._last else []

    def _complete(self, now: float) -> list[TurnEvent]:
        running = self._running()
        self._held.clear()
        if running is None:
            return []
        self._last_message_at = now
        running.started = True
        running.answered_call = False
        running.end(EndReason.COMPLETE, now)
        return self._plan_end(running, now)

    def _turn_complete(self, content: types.LiveServerContent, now: float) -> list[TurnEvent]:
        self._held.clear()
        if not self._pending:
            return []
        self._last_message_at = now
        front = self._pending[0]
        newest = self._pending[-1]
        if front is not newest and newest.end_reason is EndReason.COMPLETE:
            # The newest answer is complete, so what closes now is that one; older closings were merged into it.
            front = newest
            while self._pending[0] is not newest:
                self._pending.popleft()
        if front.end_reason is None and front.answered_call:
            # Closes the phase in which the function was called; the answer to its result is still to come.
            front.answered_call = False
            return []
        if front is self._last and not (front.started or front.suppressed) and self._stray_closings:
            self._stray_closings = 0  # closes the empty turn that cancelled the answer before, not this one
            return []
        self._pending.popleft()
        ends_now = front.end_reason is None
        if ends_now:
            front.end(EndReason.CLOSED, now)
        events = self._plan_end(front, now) if ends_now else []
        if content.interaction_status == types.InteractionStatus.IN_PROGRESS and front is self._last:
            # Extended thinking: this only closed a part, the rest of the answer follows (facts/live#server-messages).
            events += self._text.end(self._last)
            if not front.suppressed:
                self._last = Answer(front.turn, front.sent_index, now, started=True)
                self._pending.append(self._last)
        return events

    def _plan_end(self, answer: Answer, now: float) -> list[TurnEvent]:
        return [] if answer.suppressed or answer is not self._last else self._text.plan_end(answer, now)

    # Functions.

    def _tool_calls(self, calls: Iterable[types.FunctionCall], now: float) -> list[TurnEvent]:
        answer = self._running() or self._last
        if answer is None or answer.suppressed:
            return []
        self._last_message_at = now
        calls = tuple(calls)
        answer.call(calls)
        events = self._text.end(self._last)
        events.append(ToolCalls(answer.turn, calls))
        return events

    def _tool_cancellation(self, ids: Iterable[str]) -> list[TurnEvent]:
        ids = tuple(ids)
        for answer in (*self._pending, *([self._last] if self._last else [])):
            answer.calls.difference_update(ids)
        return [ToolCancellation(ids)]
