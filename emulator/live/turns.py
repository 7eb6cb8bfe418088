"""The user's side of a session: what is said becomes history, and starts or interrupts the model.

See facts/live#client-messages, #interruption, #tools.
"""

import functools
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from halfcascade.emulator.live.context import LiveContext
from halfcascade.emulator.live.ears import Ears
from halfcascade.emulator.live.errors import invalid
from halfcascade.emulator.live.faults import GoAway
from halfcascade.emulator.live.generation import Generation
from halfcascade.emulator.live.schema import text_of
from halfcascade.emulator.live.setup import function_declarations
from halfcascade.emulator.minds.base import FunctionResult, Message


class Turns:
    """Takes what the user says and decides what is answered when."""

    def __init__(self, context: LiveContext, on_go_away: Callable[[GoAway, float], None]) -> None:
        """Go on with a session's conversation.

        Args:
            context: What the parts of a connection share.
            on_go_away: Announces the end of the connection.
        """
        self._context = context
        self._on_go_away = on_go_away
        self.generation = Generation(context, is_awaited=lambda: bool(self._queued), on_over=self._go_on)
        self._seeding = context.config.seeded
        # Messages that were appended with turnComplete=false since the last answer.
        self._accumulated = False
        self._unspoken_results = False
        self._queued: list[tuple[str, dict[str, Any]]] = []
        self.ears = Ears(context, on_begin=self._user_began, on_said=self._user_said)
        # What came after a message whose audio is not understood yet.
        self._held: list[tuple[str, dict[str, Any]]] = []
        self._transcribing = 0
        self.audio_bytes = 0
        self.video_frames = 0

    def handle(self, kind: str, body: dict[str, Any], now: float) -> None:
        """Take a message.

        Args:
            kind: ``clientContent``, ``realtimeInput``, ``toolResponse`` or ``contextUpdate``.
            body: Its fields, normalized.
            now: Clock reading.

        Raises:
            Refusal: If the service would close the connection.
        """
        if kind == "realtimeInput":
            self._listen(body, now)
            if body.get("text") is None:
                return
        if self._transcribing:
            self._held.append((kind, body))
            return
        if self.generation.interrupting:
            self._queued.append((kind, body))
            return
        match kind:
            case "clientContent":
                if not self._transcribe(body):
                    self._client_content(body, now)
            case "realtimeInput":
                self._say(Message("user", [body["text"]]), now)
            case "spoken":
                self._say(body["message"], now)
            case "toolResponse":
                self._tool_response(body, now)
            case _:
                self._context_update(body)

    def _client_content(self, body: dict[str, Any], now: float) -> None:
        context, generation = self._context, self.generation
        contents = [content for content in body.get("turns", []) if not self._is_instruction(content)]
        messages = [self._message(content) for content in contents]
        complete = bool(body.get("turnComplete"))
        if generation.active and not self._seeding:
            if not context.config.model.client_content_interrupts and not generation.complete:
                self._queued.append(("clientContent", body))
                return
            # Any clientContent interrupts, whatever it holds (facts/live#client-messages, #interruption).
            self._interrupt(now, [("clientContent", body)] if messages else [])
            return
        context.session.messages += messages
        context.touched = True
        if self._seeding:
            # History before the conversation triggers no model call (facts/live#client-messages).
            self._seeding = not complete
            return
        self._accumulated = self._accumulated or bool(messages)
        if not complete or context.config.seeded:
            # With historyConfig, inference waits for a realtime input also later in the session
            # (facts/live#client-messages).
            return
        if self._accumulated:
            self._begin_turn(now)
        elif context.config.model.idle_filler:
            generation.say(context.config.model.idle_filler, now)

    def _listen(self, body: dict[str, Any], now: float) -> None:
        """Take the microphone and the camera."""
        context = self._context
        if "activityStart" in body:
            self.ears.activity_start(now)
        blobs = [body["audio"]] if "audio" in body else []
        chunks = body.get("mediaChunks", [])
        self._see([chunk for chunk in chunks if _is_picture(chunk)] + ([body["video"]] if "video" in body else []))
        if context.config.model.media_chunks:
            blobs += [chunk for chunk in chunks if not _is_picture(chunk)]
        for blob in blobs:
            self.audio_bytes += self.ears.audio(blob, now)
        if body.get("audioStreamEnd"):
            self.ears.stream_end()
        if "activityEnd" in body:
            self.ears.activity_end()

    def _see(self, pictures: list[dict[str, Any]]) -> None:
        self.video_frames += len(pictures)
        self._context.session.pictures += len(pictures)

    def _user_began(self, now: float) -> None:
        """Somebody begins to speak: the model falls silent, unless the client wants it to go on."""
        self._seeding = False
        if self.generation.active and self._context.config.activity.interrupts:
            self.generation.interrupt(now, by_voice=True)

    def _user_said(self, text: str, seconds: float, now: float) -> None:
        config = self._context.config
        if config.model.transcribes_only or (not text and config.activity.automatic):
            # A noise: nothing was said, so nothing is answered.
            return
        body = {"message": Message("user", [text], seconds)}
        if self.generation.active and not self.generation.complete:
            self._queued.append(("spoken", body))
        else:
            self.handle("spoken", body, now)

    def _transcribe(self, body: dict[str, Any]) -> bool:
        """Have the audio parts of a message understood before it is taken; tell whether there are any."""
        parts = [part for content in body.get("turns", []) for part in content.get("parts", [])]
        pictures = [part["inlineData"] for part in parts if "inlineData" in part and _is_picture(part["inlineData"])]
        self._see(pictures)
        audio = [part for part in parts if "inlineData" in part and not _is_picture(part["inlineData"])]
        for part in audio:
            self._transcribing += 1
            self.ears.transcribe(part.pop("inlineData"), functools.partial(self._transcribed, part))
        if audio:
            self._held.append(("clientContent", body))
        return bool(audio)

    def _transcribed(self, part: dict[str, Any], text: str, seconds: float, now: float) -> None:
        part["text"] = text
        part["seconds"] = seconds
        self._transcribing -= 1
        if self._transcribing:
            return
        held, self._held = self._held, []
        for kind, body in held:
            self.handle(kind, body, now)

    def _say(self, message: Message, now: float) -> None:
        body = {"message": message}
        if self.generation.complete:
            # Between generationComplete and turnComplete a message may count as an interruption
            # (facts/live#server-messages).
            self._interrupt(now, [("spoken", body)])
            return
        if self.generation.active:
            # Realtime text does not interrupt (facts/live#client-messages): it is answered after the reply.
            self._queued.append(("spoken", body))
            return
        self._seeding = False
        messages = self._context.session.messages
        if message.text.strip() or not messages or messages[-1].role != "user":
            messages.append(message)
        self._begin_turn(now)

    def _tool_response(self, body: dict[str, Any], now: float) -> None:
        config, generation = self._context.config, self.generation
        results, scheduling = [], set()
        for response in body.get("functionResponses", []):
            if response.get("scheduling") and not config.model.scheduling:
                raise invalid("Function response scheduling is not supported for this model")
            call = generation.answer_call(response.get("id"), response.get("name", ""))
            if call is not None:
                results.append(FunctionResult(call.name, response.get("response", {}), call.id))
                scheduling.add(response.get("scheduling", "WHEN_IDLE"))
        if not results:
            # An unknown id is ignored, not refused (facts/live#models).
            return
        self._context.session.messages.append(Message("user", list(results)))
        self._context.touched = True
        if self._context.script.faults.unasked_update:
            update = {"newHandle": str(uuid.uuid4()), "resumable": True}
            self._context.output.send({"sessionResumptionUpdate": update})
        if generation.unblock([result.id for result in results], now) or scheduling == {"SILENT"}:
            return
        # Results of functions that ran beside the conversation are spoken when it is idle, unless said otherwise
        # (genai types: FunctionResponseScheduling).
        self._unspoken_results = True
        if not generation.active:
            self._go_on(now)
        elif "INTERRUPT" in scheduling:
            self._interrupt(now, [])

    def _context_update(self, body: dict[str, Any]) -> None:
        context = self._context
        if "systemInstruction" in body:
            context.config = replace(context.config, system_instruction=text_of(body["systemInstruction"]))
        if "tools" in body:
            tools = function_declarations(body["tools"].get("tools", []), context.config.model)
            context.config = replace(context.config, tools=tools)

    def _is_instruction(self, content: dict[str, Any]) -> bool:
        """Take a system turn, which replaces the instruction on Vertex and is refused elsewhere (facts/live#models)."""
        context = self._context
        if content.get("role") != "system" or context.surface != "vertex":
            return False
        context.config = replace(context.config, system_instruction=text_of(content))
        return True

    def _message(self, content: dict[str, Any]) -> Message:
        role = content.get("role", "")
        parts = content.get("parts", [])
        if any("functionCall" in part or "functionResponse" in part for part in parts):
            # Function parts are not accepted in clientContent (facts/live#client-messages).
            raise invalid()
        if role not in ("user", "model") and (role or self._context.config.model.role_required):
            raise invalid("Please use a valid role: user, model.")
        text = [part["text"] for part in parts if part.get("text")]
        seconds = sum(part.get("seconds", 0.0) for part in parts)
        return Message("model" if role == "model" else "user", list(text), seconds)

    def _begin_turn(self, now: float, *, counted: bool = True) -> None:
        script = self._context.script
        plan = script.begin_turn() if counted else script.begin_other_turn()
        if plan.fault.refusal is not None:
            raise plan.fault.refusal
        self._make_room()
        self._accumulated = False
        # Whatever is answered now, it is answered knowing the results.
        self._unspoken_results = False
        if plan.go_away is not None:
            self._on_go_away(plan.go_away, now)
        if not plan.fault.silent:
            self.generation.begin(plan, now)

    def _make_room(self) -> None:
        config, session = self._context.config, self._context.session
        if config.compression is not None:
            session.compress(config, config.compression)
        elif sum(session.tokens(config).values()) >= config.model.input_tokens:
            # A full context without compression (facts/live#lifetime).
            raise invalid()

    def _interrupt(self, now: float, then: list[tuple[str, dict[str, Any]]]) -> None:
        self._queued = then + self._queued
        self.generation.interrupt(now)

    def _go_on(self, now: float) -> None:
        """Take up what came while there was no time for it."""
        queued, self._queued = self._queued, []
        for kind, body in queued:
            self.handle(kind, body, now)
        if self._unspoken_results and not self.generation.active and not self.generation.interrupting:
            self._begin_turn(now, counted=False)


def _is_picture(blob: dict[str, Any]) -> bool:
    return str(blob.get("mimeType", "")).startswith(("image/", "video/"))
