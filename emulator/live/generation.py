"""The model's side of a session: what it says when, and how it stops.

See facts/live#server-messages, #interruption, #transcripts, #tools.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from halfcascade.emulator.live.actions import Speak, StopThinking, Think
from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.live.errors import internal
from halfcascade.emulator.live.faults import DropPhase, TurnPlan
from halfcascade.emulator.live.model_turn import Turn, new_reply
from halfcascade.emulator.live.pending_calls import PendingCalls
from halfcascade.emulator.live.reply import Part, Reply
from halfcascade.emulator.live.usage import usage_metadata
from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult

# Seconds by which a transcript that was told to come too late follows turnComplete.
_LATE = 0.05
_THOUGHT = "**Composing the answer**\n\nThe request is clear, so I answer it directly."


class Generation:
    """Runs the model's turns, one at a time."""

    def __init__(
        self, context: LiveContext, *, is_awaited: Callable[[], bool], on_over: Callable[[float], None]
    ) -> None:
        """Be idle.

        Args:
            context: What the parts of a connection share.
            is_awaited: Whether somebody waits for the turn's end, so that it is not delayed for playback.
            on_over: Called when a turn has ended or an interruption has taken effect.
        """
        self._context = context
        self._output = context.output
        self._agenda = context.agenda
        self._is_awaited = is_awaited
        self._on_over = on_over
        self._turn: Turn | None = None
        self._calls = PendingCalls(context)
        self._replies = itertools.count(1)
        # The next answer follows the end of an interrupted one.
        self._not_before = 0.0
        self._interrupting = False
        self._closing = False
        self._frozen = False

    @property
    def active(self) -> bool:
        """Whether a turn is under way, up to its turnComplete or interruption."""
        return self._turn is not None

    @property
    def complete(self) -> bool:
        """Whether the turn under way waits only for the imagined playback."""
        return self._turn is not None and self._turn.complete

    @property
    def interrupting(self) -> bool:
        """Whether an interruption is taking effect."""
        return self._interrupting

    @property
    def at_rest(self) -> bool:
        """Whether nothing is generated, nothing has to end and no function runs."""
        return self._turn is None and not self._calls and not self._interrupting and not self._closing

    # What begins

    def begin(self, plan: TurnPlan, now: float) -> None:
        """Answer the conversation.

        Args:
            plan: What goes wrong.
            now: Clock reading.
        """
        if not self._frozen:
            self._think(self._start(plan, now))

    def say(self, text: str, now: float) -> None:
        """Say something without thinking."""
        turn = self._start(self._context.script.begin_other_turn(), now)
        self._say(turn, text, now)
        self.thought_all(turn.reply.number, now)

    def answer_call(self, identity: str | None, name: str) -> FunctionCall | None:
        """Take a pending call because its result came.

        Args:
            identity: Its id; None = not told, as Vertex allows.
            name: Its function.

        Returns:
            The call, or None if there is no such call.
        """
        return self._calls.answer(identity, name)

    def unblock(self, answered: Sequence[str], now: float) -> bool:
        """Go on with a turn that waited for results.

        Args:
            answered: Ids of calls whose results are in the history.
            now: Clock reading.

        Returns:
            Whether the turn under way is one that waits.
        """
        turn = self._turn
        if turn is None or not turn.blocked_by:
            return False
        if self._context.script.faults.silent_results:
            self._turn = None
            return True
        turn.blocked_by.difference_update(answered)
        if turn.blocked_by:
            return True
        if self._context.config.model.marked_transcript:
            self._end_calling_turn(turn, now)
            self._think(self._start(self._context.script.begin_other_turn(), now))
        else:
            turn.after_results = True
            turn.response = turn.response_tokens(self._context)
            turn.reply = self._new_reply(turn.plan)
            self._announce(turn.reply, now)
            self._think(turn)
        return True

    def _end_calling_turn(self, turn: Turn, now: float) -> None:
        """End the turn that called functions: their results are answered in another."""
        if turn.reply.pace.transcribe:
            self._output.content({"outputTranscription": {"finished": True}})
        self._output.content({"generationComplete": True})
        self._send_turn_complete(turn, now)

    def _start(self, plan: TurnPlan, now: float) -> Turn:
        model, messages = self._context.config.model, self._context.session.messages
        prompt = self._context.session.tokens(self._context.config)
        turn = self._turn = Turn(plan, self._new_reply(plan), prompt)
        turn.thoughts = 0 if model.thought_parts else model.thoughts
        turn.after_results = bool(messages) and any(isinstance(part, FunctionResult) for part in messages[-1].parts)
        self._context.touched = True
        self._announce(turn.reply, now)
        return turn

    def _announce(self, reply: Reply, now: float) -> None:
        """Send the empty frames that come before a reply (facts/live#server-messages, facts/live#recorded)."""
        model, at = self._context.config.model, max(now, reply.not_before)
        if model.packs_fields:
            if model.bare_frames:
                self._agenda.add(at, lambda _: self._output.send({}), reply.number)
            self._agenda.add(at, lambda _: self._output.content({}), reply.number)
        if model.marked_transcript and reply.pace.transcribe:
            self._agenda.add(at, lambda _: self._output.content({"outputTranscription": {}}), reply.number)

    def _new_reply(self, plan: TurnPlan) -> Reply:
        return new_reply(self._context, plan, next(self._replies), self._not_before)

    def _think(self, turn: Turn) -> None:
        config = self._context.config
        messages = [replace(message, parts=list(message.parts)) for message in self._context.session.messages]
        conversation = Conversation(
            messages, config.system_instruction, config.tools, config.model_name, config.language_code
        )
        self._output.do(Think(turn.reply.number, conversation))

    # What the thinker says

    def thought(self, reply: int, piece: str | FunctionCall, now: float) -> None:
        """Take a piece of a reply; those of a cancelled one are ignored."""
        turn = self._turn_of(reply)
        if turn is None or not piece:
            return
        is_call = isinstance(piece, FunctionCall)
        if not turn.reply.text and not turn.reply.calls and self._thinks_first(turn, is_call=is_call):
            turn.thoughts = self._context.config.model.thoughts
            thought = {"modelTurn": {"parts": [{"text": _THOUGHT, "thought": True}]}}
            self._plan_parts(turn, [Part(max(now, turn.reply.not_before), "thought", thought)])
        if isinstance(piece, FunctionCall):
            turn.reply.calls.append(piece)
            return
        self._say(turn, piece, now)

    def _thinks_first(self, turn: Turn, *, is_call: bool) -> bool:
        config, told = self._context.config, turn.plan.fault.thought
        if not config.model.thought_parts or not config.audio or turn.after_results:
            return False
        return not is_call if told is None else told

    def _say(self, turn: Turn, text: str, now: float) -> None:
        self._plan_parts(turn, turn.reply.feed(text, now))
        if turn.reply.say is None and turn.reply.pace.voice:
            turn.spoken = False
            self._speak(turn, text)

    def _speak(self, turn: Turn, text: str) -> None:
        config = self._context.config
        self._output.do(Speak(turn.reply.number, text, config.voice, config.language_code))

    def thought_all(self, reply: int, now: float) -> None:
        """Note that the thinker has said everything."""
        turn = self._turn_of(reply)
        if turn is None:
            return
        if turn.spoken:
            self._plan_end(turn, now)
        else:
            self._speak(turn, "")

    def spoken(self, reply: int, pcm: bytes, now: float) -> None:
        """Take audio of a reply from the speaker; that of a cancelled one is ignored."""
        turn = self._turn_of(reply)
        if turn is not None:
            self._plan_parts(turn, turn.reply.spoken(pcm, now))

    def spoken_all(self, reply: int, now: float) -> None:
        """Note that the speaker has spoken everything."""
        turn = self._turn_of(reply)
        if turn is not None and not turn.spoken:
            turn.spoken = True
            self._plan_end(turn, now)

    def thought_failed(self, reply: int) -> None:
        """Note that the thinker broke.

        Raises:
            Refusal: The close that the service answers its own faults with.
        """
        if self._turn_of(reply) is not None:
            raise internal()

    def _turn_of(self, reply: int) -> Turn | None:
        turn = self._turn
        return turn if turn is not None and turn.reply.number == reply and not self._interrupting else None

    # What goes out when

    def _plan_parts(self, turn: Turn, parts: list[Part]) -> None:
        for part in parts:
            self._agenda.add(part.at, functools.partial(self._send_part, turn, part), turn.reply.number)

    def _plan_end(self, turn: Turn, now: float) -> None:
        self._plan_parts(turn, turn.reply.rest(now))
        complete_at, end_at = turn.reply.end(now)
        action = self._send_calls if turn.reply.calls else self._complete
        self._agenda.add(complete_at, functools.partial(action, turn, end_at), turn.reply.number)

    def _send_part(self, turn: Turn, part: Part, now: float) -> None:
        reply = turn.reply
        if not reply.anything_sent and self._drops(turn, "answer"):
            return
        if turn.has_stopped:
            return
        if part.kind == "transcript" and turn.plan.fault.after_turn_complete:
            # Each piece waits for the next, so that the last one is left over for after turnComplete.
            earlier, turn.held = turn.held, part
            if earlier is None:
                return
            part = earlier
        self._output.content(part.content)
        if part.kind in ("thought", "mark"):
            return
        reply.sent(part)
        self._remember(reply)
        drop = turn.plan.drop
        if drop is not None and part.kind != "audio" and reply.pieces_sent >= drop.deltas:
            self._drops(turn, "deltas")

    def _remember(self, reply: Reply) -> None:
        messages = self._context.session.messages
        if not any(message is reply.message for message in messages):
            messages.append(reply.message)

    def _send_calls(self, turn: Turn, end_at: float, now: float) -> None:
        reply = turn.reply
        reply.keep()
        calls = self._calls.add(reply.calls)
        turn.calls.update(call.id for call in calls)
        reply.message.parts += calls
        self._remember(reply)
        reply.anything_sent = True
        self._output.send(
            {"toolCall": {"functionCalls": [{"name": call.name, "args": call.args, "id": call.id} for call in calls]}}
        )
        self._context.touched = True
        if turn.plan.fault.phantom:
            self._output.content({"outputTranscription": {"text": turn.plan.fault.phantom}})
        if self._drops(turn, "tool_call"):
            return
        turn.blocked_by = {call.id for call in calls if not self._context.config.is_non_blocking(call.name)}
        if not turn.blocked_by:
            self._complete(turn, end_at, now)

    def _complete(self, turn: Turn, end_at: float, now: float) -> None:
        reply = turn.reply
        if turn.has_stopped:
            return
        reply.keep()
        if reply.message.parts:
            self._remember(reply)
        if not reply.anything_sent and self._drops(turn, "answer"):
            return
        turn.complete = True
        self._output.content({"generationComplete": True})
        if self._drops(turn, "generation_complete"):
            return
        # Whoever spoke meanwhile is not kept waiting for the playback.
        at = now if self._is_awaited() else end_at
        at = max(at, now + turn.plan.fault.turn_complete_delay)
        self._agenda.add(at, functools.partial(self._end_turn, turn), reply.number)

    def _end_turn(self, turn: Turn, now: float) -> None:
        if self._drops(turn, "turn_complete"):
            return
        self._send_turn_complete(turn, now)
        self._turn = None
        self._context.touched = True
        if turn.held is not None:
            held = turn.held.content
            self._agenda.add(now + _LATE, lambda _: self._output.content(held))
        if not self._drops(turn, "after"):
            self._on_over(now)

    def _send_turn_complete(self, turn: Turn, now: float) -> None:
        self._closing = False
        self._context.touched = True
        fields: dict[str, Any] = {"turnComplete": True}
        if self._context.config.model.interaction_status:
            fields["interactionStatus"] = "IN_PROGRESS" if self._calls else "IDLE"
        if self._context.config.model.marked_transcript:
            fields["groundingMetadata"] = {}
        usage = usage_metadata(
            turn.prompt, turn.response_tokens(self._context), turn.thoughts, vertex=self._context.surface == "vertex"
        )
        self._output.content(fields, usageMetadata=usage)

    def _drops(self, turn: Turn, phase: DropPhase) -> bool:
        drop = turn.plan.drop
        if drop is None or drop.phase != phase:
            return False
        self._output.close(drop.code, drop.reason)
        return True

    # Interruptions

    def interrupt(self, now: float, *, by_voice: bool = False) -> None:
        """Stop the turn under way. What is due until the interruption takes effect is still sent.

        Args:
            now: Clock reading.
            by_voice: Whether somebody began to speak, which takes longer to be noticed than a message.
        """
        turn = self._turn
        if turn is None or self._interrupting:
            return
        self._interrupting = True
        self._output.do(StopThinking(turn.reply.number))
        # A turn that was just begun is not interrupted before the one before it has ended.
        profile = self._context.profile
        at = max(now + profile.interrupt + (profile.barge_in if by_voice else 0.0), self._not_before)
        self._agenda.add(at, functools.partial(self._interrupted, turn))

    def _interrupted(self, turn: Turn, now: float) -> None:
        self._interrupting = False
        self._frozen = self._context.script.faults.freeze_after_interruption
        if self._turn is turn:
            self._agenda.cancel(turn.reply.number)
            if ids := self._calls.cancel(turn.calls):
                self._output.send({"toolCallCancellation": {"ids": ids}})
            self._turn = None
            self._close_interrupted(turn, now)
        self._context.touched = True
        self._on_over(now)

    def _close_interrupted(self, turn: Turn, now: float) -> None:
        """Send interrupted, then turnComplete, never generationComplete (facts/live#server-messages)."""
        end_at = now + self._context.profile.interrupt_end
        interrupted = functools.partial(self._output.content, {"interrupted": True})
        if self._context.script.faults.interrupted_after_turn_complete:
            self._send_turn_complete(turn, now)
            self._agenda.add(end_at, lambda _: interrupted())
        else:
            interrupted()
            self._closing = True
            self._agenda.add(end_at, functools.partial(self._send_turn_complete, turn))
        self._not_before = end_at
