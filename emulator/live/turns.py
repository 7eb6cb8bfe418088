"""The turns of a Live session: history, replies, interruptions and function calls (facts C2 to C7)."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from emulator.live.actions import StopThinking, Think
from emulator.live.agenda import Agenda
from emulator.live.errors import internal, invalid
from emulator.live.faults import DropPhase, FaultScript, GoAway, TurnPlan
from emulator.live.models import Surface
from emulator.live.output import Output
from emulator.live.reply import Pace, Part, Reply
from emulator.live.session import Session
from emulator.live.setup import SessionConfig, function_declarations, text_of
from emulator.live.usage import usage_metadata
from emulator.minds.base import Conversation, FunctionCall, FunctionResult, Message
from emulator.profiles import ThinkerProfile

# Seconds by which a transcript that was told to come too late follows turnComplete.
_LATE = 0.05
_THOUGHT = "**Composing the answer**\n\nThe request is clear, so I answer it directly."


@dataclass
class Turn:
    """The model's turn: one reply, or several around function calls that block it.

    Parameters:
        plan: What goes wrong in it.
        reply: The reply under way.
        prompt: Tokens of the context it answers, by modality.
        blocked_by: Ids of calls that must be answered before it goes on.
        calls: Ids of all its calls.
        complete: Whether generationComplete was sent.
        held: A transcript kept back until after turnComplete.
        response: Tokens of the replies before this one.
    """

    plan: TurnPlan
    reply: Reply
    prompt: dict[str, int]
    blocked_by: set[str] = field(default_factory=set)
    calls: set[str] = field(default_factory=set)
    complete: bool = False
    held: Part | None = None
    response: dict[str, int] = field(default_factory=dict)


class Turns:
    """Takes what the user says and decides what the model says when."""

    def __init__(
        self,
        config: SessionConfig,
        session: Session,
        *,
        output: Output,
        agenda: Agenda,
        script: FaultScript,
        profile: ThinkerProfile,
        surface: Surface,
        on_go_away: Callable[[GoAway, float], None],
    ) -> None:
        """Go on with a session's conversation.

        Args:
            config: The setup.
            session: Holds the history.
            output: Where messages go.
            agenda: Where later things are noted.
            script: Faults.
            profile: Latencies.
            surface: Which API was called.
            on_go_away: Announces the end of the connection.
        """
        self.config = config
        self._session = session
        self._output = output
        self._agenda = agenda
        self._script = script
        self._profile = profile
        self._surface = surface
        self._on_go_away = on_go_away
        self._seeding = config.seeded
        self._turn: Turn | None = None
        self._calls: dict[str, FunctionCall] = {}
        self._call_numbers = itertools.count(1)
        self._replies = itertools.count(1)
        self._not_before = 0.0
        self._unspoken_results = False
        self._accumulated = False
        self._queued: list[tuple[str, dict[str, Any]]] = []
        self._interrupting = False
        self._closing = False
        self.idle_changed = False
        self.audio_bytes = 0

    @property
    def resumable(self) -> bool:
        """Whether the session could be resumed from here: not while generating or running functions (facts C8)."""
        return self._turn is None and not self._calls and not self._interrupting and not self._closing

    # What the client says

    def handle(self, kind: str, body: dict[str, Any], now: float) -> None:
        """Take a message.

        Args:
            kind: ``clientContent``, ``realtimeInput``, ``toolResponse`` or ``contextUpdate``.
            body: Its fields, normalized.
            now: Clock reading.

        Raises:
            Refusal: If the service would close the connection.
        """
        if self._interrupting:
            self._queued.append((kind, body))
            return
        match kind:
            case "clientContent":
                self._client_content(body, now)
            case "realtimeInput":
                self._realtime_input(body, now)
            case "toolResponse":
                self._tool_response(body, now)
            case _:
                self._context_update(body)

    def _client_content(self, body: dict[str, Any], now: float) -> None:
        contents = [content for content in body.get("turns", []) if not self._is_instruction(content)]
        messages = [self._message(content) for content in contents]
        complete = bool(body.get("turnComplete"))
        if self._seeding:
            # History before the conversation triggers no model call (facts C2).
            self._session.messages += messages
            self._seeding = not complete
            self.idle_changed = True
            return
        if self._turn is not None:
            if not self.config.model.client_content_interrupts and not self._turn.complete:
                self._queued.append(("clientContent", body))
                return
            # Any clientContent interrupts, whatever it holds (facts C2, C5).
            self._interrupt(self._turn, now, [("clientContent", body)] if messages else [])
            return
        self._session.messages += messages
        self._accumulated = self._accumulated or bool(messages)
        self.idle_changed = True
        if not complete or self.config.seeded:
            # With historyConfig, inference waits for a realtime input also later in the session (facts C2).
            return
        if self._accumulated:
            self._begin_turn(now)
        else:
            self._answer_nothing(now)

    def _answer_nothing(self, now: float) -> None:
        """Answer an empty turn while idle: nothing, or a filler on extended thinking (facts C5)."""
        if not self.config.model.idle_filler:
            return
        turn = self._start_turn(TurnPlan(0), now)
        self._plan_parts(turn, turn.reply.feed(self.config.model.idle_filler, now))
        self._plan_end(turn, now)

    def _realtime_input(self, body: dict[str, Any], now: float) -> None:
        if "audio" in body:
            self.audio_bytes += len(body["audio"].get("data", "")) * 3 // 4
        text = body.get("text")
        if text is None:
            return
        if self._turn is not None:
            if self._turn.complete:
                # Between generationComplete and turnComplete a message may count as an interruption (facts C3).
                self._interrupt(self._turn, now, [("realtimeInput", body)])
            else:
                # Realtime text does not interrupt (facts C2): it is answered after the reply.
                self._queued.append(("realtimeInput", body))
            return
        self._seeding = False
        if text.strip() or not self._unanswered:
            self._session.messages.append(Message("user", [text]))
        self._begin_turn(now)

    @property
    def _unanswered(self) -> bool:
        return bool(self._session.messages) and self._session.messages[-1].role == "user"

    def _tool_response(self, body: dict[str, Any], now: float) -> None:
        results, scheduling = [], set()
        for response in body.get("functionResponses", []):
            if response.get("scheduling") and not self.config.model.scheduling:
                raise invalid("Function response scheduling is not supported for this model")
            call = self._answered_call(response)
            if call is not None:
                results.append(FunctionResult(call.name, response.get("response", {}), call.id))
                scheduling.add(response.get("scheduling", "WHEN_IDLE"))
        if not results:
            # An unknown id is ignored, not refused (facts C4).
            return
        self._session.messages.append(Message("user", list(results)))
        self.idle_changed = True
        turn = self._turn
        if turn is not None and turn.blocked_by:
            turn.blocked_by -= {result.id for result in results}
            if not turn.blocked_by:
                self._continue_turn(turn, now)
        elif scheduling != {"SILENT"}:
            # Results of functions that ran beside the conversation are spoken when it is idle, unless said otherwise
            # (genai types: FunctionResponseScheduling).
            self._unspoken_results = True
            if turn is None:
                self._go_on(now)
            elif "INTERRUPT" in scheduling:
                self._interrupt(turn, now, [])

    def _answered_call(self, response: dict[str, Any]) -> FunctionCall | None:
        if (identity := response.get("id")) is not None:
            return self._calls.pop(identity, None)
        if self._surface == "vertex":
            # Ids may be missing there (facts C3); then the name tells.
            identity = next((key for key, call in self._calls.items() if call.name == response.get("name")), None)
            return self._calls.pop(identity) if identity else None
        return None

    def _context_update(self, body: dict[str, Any]) -> None:
        if "systemInstruction" in body:
            self.config = replace(self.config, system_instruction=text_of(body["systemInstruction"]))
        if "tools" in body:
            tools = function_declarations(body["tools"].get("tools", []), self.config.model)
            self.config = replace(self.config, tools=tools)

    def _is_instruction(self, content: dict[str, Any]) -> bool:
        """Take a system turn, which replaces the instruction on Vertex and is refused elsewhere (facts C4)."""
        if content.get("role") != "system" or self._surface != "vertex":
            return False
        self.config = replace(self.config, system_instruction=text_of(content))
        return True

    def _message(self, content: dict[str, Any]) -> Message:
        role = content.get("role", "")
        parts = content.get("parts", [])
        if any("functionCall" in part or "functionResponse" in part for part in parts):
            # Function parts are not accepted in clientContent (facts C2).
            raise invalid()
        if role not in ("user", "model") and (role or self.config.model.role_required):
            raise invalid("Please use a valid role: user, model.")
        text = [part["text"] for part in parts if part.get("text")]
        return Message("model" if role == "model" else "user", list(text))

    # Turns

    def _begin_turn(self, now: float, *, counted: bool = True) -> None:
        plan = self._script.begin_turn() if counted else TurnPlan(0)
        if plan.fault.refusal is not None:
            raise plan.fault.refusal
        self._make_room()
        self._accumulated = False
        # Whatever is answered now, it is answered knowing the results.
        self._unspoken_results = False
        if plan.go_away is not None:
            self._on_go_away(plan.go_away, now)
        if not plan.fault.silent:
            self._think(self._start_turn(plan, now))

    def _make_room(self) -> None:
        if self.config.compression is not None:
            self._session.compress(self.config, self.config.compression)
        elif sum(self._session.tokens(self.config).values()) >= self.config.model.input_tokens:
            # A full context without compression (facts C8).
            raise invalid()

    def _start_turn(self, plan: TurnPlan, now: float) -> Turn:
        turn = self._turn = Turn(plan, self._new_reply(plan), self._session.tokens(self.config))
        self.idle_changed = True
        self._announce_reply(turn.reply, now)
        return turn

    def _announce_reply(self, reply: Reply, now: float) -> None:
        """Send the empty frames that come before a reply of 3.x (facts C3)."""
        if self._output.packs:
            at = max(now, reply.not_before)
            self._agenda.add(at, lambda _: self._output.send({}), reply.number)
            self._agenda.add(at, lambda _: self._output.content({}), reply.number)

    def _continue_turn(self, turn: Turn, now: float) -> None:
        """Go on after the calls that blocked a turn were answered."""
        turn.response = _sum(turn.response, self._response_tokens(turn.reply))
        turn.reply = self._new_reply(turn.plan)
        self._announce_reply(turn.reply, now)
        self._think(turn)

    def _new_reply(self, plan: TurnPlan) -> Reply:
        audio, fault, profile = self.config.audio, plan.fault, self._profile
        transcribe = audio and (fault.no_audio or (self.config.transcription and not fault.no_transcript))
        pace = Pace(
            transcribe=transcribe,
            voice=audio and not fault.no_audio,
            transcript_delay=profile.transcript_lag,
            audio_delay=profile.audio_lag,
            transcript_lag=fault.transcript_lag,
            audio_speed=profile.audio_speed,
            chars_per_second=profile.speech_chars_per_second,
            playback_paced=profile.playback_paced,
        )
        return Reply(next(self._replies), pace, self._not_before)

    def _think(self, turn: Turn) -> None:
        config = self.config
        messages = [Message(message.role, list(message.parts)) for message in self._session.messages]
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
        if isinstance(piece, FunctionCall):
            turn.reply.calls.append(piece)
            return
        if not turn.reply.text and self.config.model.thought_parts and self.config.audio:
            thought = {"modelTurn": {"parts": [{"text": _THOUGHT, "thought": True}]}}
            self._plan_parts(turn, [Part(max(now, turn.reply.not_before), "thought", thought)])
        self._plan_parts(turn, turn.reply.feed(piece, now))

    def thought_all(self, reply: int, now: float) -> None:
        """Note that the thinker has said everything."""
        turn = self._turn_of(reply)
        if turn is not None:
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
        complete_at, end_at = turn.reply.end(now)
        action = self._send_calls if turn.reply.calls else self._complete
        self._agenda.add(complete_at, functools.partial(action, turn, end_at), turn.reply.number)

    def _send_part(self, turn: Turn, part: Part, now: float) -> None:
        reply = turn.reply
        if not reply.anything_sent and self._drops(turn, "answer"):
            return
        if part.kind == "transcript" and turn.plan.fault.after_turn_complete:
            part, turn.held = turn.held or part, part
            if part is turn.held:
                return
        self._output.content(part.content)
        if part.kind == "thought":
            return
        reply.sent(part)
        self._remember(reply)
        drop = turn.plan.drop
        if drop is not None and part.kind != "audio" and reply.pieces_sent >= drop.pieces:
            self._drops(turn, "pieces")

    def _remember(self, reply: Reply) -> None:
        if not any(message is reply.message for message in self._session.messages):
            self._session.messages.append(reply.message)

    def _send_calls(self, turn: Turn, end_at: float, now: float) -> None:
        reply = turn.reply
        reply.keep()
        calls = [
            call if call.id else replace(call, id=f"function-call-{next(self._call_numbers)}") for call in reply.calls
        ]
        for call in calls:
            self._calls[call.id] = call
            turn.calls.add(call.id)
            reply.message.parts.append(call)
        self._remember(reply)
        reply.anything_sent = True
        self._output.send(
            {"toolCall": {"functionCalls": [{"id": call.id, "name": call.name, "args": call.args} for call in calls]}}
        )
        self.idle_changed = True
        if turn.plan.fault.phantom:
            self._output.content({"outputTranscription": {"text": turn.plan.fault.phantom}})
        if self._drops(turn, "tool_call"):
            return
        turn.blocked_by = {call.id for call in calls if not self.config.is_non_blocking(call.name)}
        if not turn.blocked_by:
            self._complete(turn, end_at, now)

    def _complete(self, turn: Turn, end_at: float, now: float) -> None:
        reply = turn.reply
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
        self._agenda.add(now if self._queued else end_at, functools.partial(self._end_turn, turn), reply.number)

    def _end_turn(self, turn: Turn, now: float) -> None:
        if self._drops(turn, "turn_complete"):
            return
        self._send_turn_complete(turn, now)
        self._turn = None
        self.idle_changed = True
        if turn.held is not None:
            held = turn.held.content
            self._agenda.add(now + _LATE, lambda _: self._output.content(held))
        if not self._drops(turn, "after"):
            self._go_on(now)

    def _send_turn_complete(self, turn: Turn, now: float) -> None:
        self._closing = False
        self.idle_changed = True
        fields: dict[str, Any] = {"turnComplete": True}
        if self.config.model.interaction_status:
            fields["interactionStatus"] = "IN_PROGRESS" if self._calls else "IDLE"
        usage = usage_metadata(
            turn.prompt,
            _sum(turn.response, self._response_tokens(turn.reply)),
            self.config.model.thoughts,
            vertex=self._surface == "vertex",
        )
        self._output.content(fields, usageMetadata=usage)

    def _response_tokens(self, reply: Reply) -> dict[str, int]:
        tokens = reply.tokens()
        if self._output.packs and reply.pace.voice:
            # 3.x counts a spoken reply's audio alone, 2.5 its transcript too (CASS).
            del tokens["TEXT"]
        return tokens

    def _drops(self, turn: Turn, phase: DropPhase) -> bool:
        drop = turn.plan.drop
        if drop is None or drop.phase != phase:
            return False
        self._output.close(drop.code, drop.reason)
        return True

    # Interruptions

    def _interrupt(self, turn: Turn, now: float, then: list[tuple[str, dict[str, Any]]]) -> None:
        """Stop a turn, then go on with a message. What is due until the interruption takes effect is still sent."""
        self._interrupting = True
        self._queued = then + self._queued
        self._output.do(StopThinking(turn.reply.number))
        # A turn that was just begun is not interrupted before the one before it has ended.
        at = max(now + self._profile.interrupt, self._not_before)
        self._agenda.add(at, functools.partial(self._interrupted, turn))

    def _interrupted(self, turn: Turn, now: float) -> None:
        self._interrupting = False
        if self._turn is turn:
            self._agenda.cancel(turn.reply.number)
            self._cancel_calls(turn)
            self._turn = None
            self._close_interrupted(turn, now)
        self.idle_changed = True
        self._go_on(now)

    def _close_interrupted(self, turn: Turn, now: float) -> None:
        """Send interrupted, then turnComplete, never generationComplete (facts C3)."""
        end_at = now + self._profile.interrupt_end
        interrupted = functools.partial(self._output.content, {"interrupted": True})
        if self._script.faults.interrupted_after_turn_complete:
            self._send_turn_complete(turn, now)
            self._agenda.add(end_at, lambda _: interrupted())
        else:
            interrupted()
            self._closing = True
            self._agenda.add(end_at, functools.partial(self._send_turn_complete, turn))
        # The next answer follows the end of this one.
        self._not_before = end_at

    def _cancel_calls(self, turn: Turn) -> None:
        """Discard the turn's calls that were not answered (facts C5)."""
        ids = [identity for identity in self._calls if identity in turn.calls]
        if not ids:
            return
        for identity in ids:
            del self._calls[identity]
        for message in self._session.messages:
            message.parts = [part for part in message.parts if not (isinstance(part, FunctionCall) and part.id in ids)]
        self._session.messages[:] = [message for message in self._session.messages if message.parts]
        self._output.send({"toolCallCancellation": {"ids": ids}})

    def _go_on(self, now: float) -> None:
        """Take up what came while there was no time for it."""
        queued, self._queued = self._queued, []
        for kind, body in queued:
            self.handle(kind, body, now)
        if self._turn is None and not self._interrupting and self._unspoken_results:
            self._begin_turn(now, counted=False)


def _sum(first: dict[str, int], second: dict[str, int]) -> dict[str, int]:
    return {key: first.get(key, 0) + second.get(key, 0) for key in {**first, **second}}
