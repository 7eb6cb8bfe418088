"""OpenTelemetry spans of what the brain does: one of each turn, from when it is sent until its answer is over.

Pipecat's ``traced_llm`` wraps the one call that makes an answer elsewhere; here answers come out of a session.
"""

import json
import time
from typing import TYPE_CHECKING, Any

from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.tracing.service_attributes import add_llm_span_attributes
from pipecat.utils.tracing.setup import is_tracing_available

from halfcascade.processors.gemini_live.protocol.actions import Action, Apologize, TurnSent, Usage
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, TextDelta, ToolCalls
from halfcascade.processors.gemini_live.settings import GeminiLiveTextSettings
from halfcascade.processors.gemini_live.setup_message import SetupMessage
from halfcascade.processors.gemini_live.usage import token_usage

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer
    from pipecat.utils.tracing.tracing_context import TracingContext

if is_tracing_available():
    from opentelemetry import trace

_TRACER = "pipecat"
_PROVIDER = "gcp.gemini"
_COUNTS = {
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
}


class TurnSpans:
    """Writes spans named ``llm`` with Pipecat's attributes, under those of the pipeline's turns; nothing untraced.

    ``input`` holds what was sent: the session knows the rest. ``asked_early`` and ``withdrawn`` tell of guesses, events
    of functions called and of turns sent again. A span ends with the answer's text, but is written when its tokens are
    known, which the server counts later.
    """

    def __init__(self, settings: GeminiLiveTextSettings, setup_message: SetupMessage) -> None:
        """Start untraced.

        Args:
            settings: Of the brain, live.
            setup_message: What the session is told.
        """
        self._settings = settings
        self._setup_message = setup_message
        self._tracer: Tracer | None = None
        self._parents: TracingContext | None = None
        self._span: Span | None = None
        self._turn = 0
        self._output = ""
        self._sent_ns = self._ended_ns = 0
        self._tokens: dict[str, int] = {}

    def start(self, setup: FrameProcessorSetup, tracer: "Tracer | None" = None) -> None:
        """Begin to trace, if the pipeline does.

        Args:
            setup: Pipecat's.
            tracer: Makes spans; None means the process's.
        """
        if setup.enable_tracing and is_tracing_available():
            self._tracer, self._parents = tracer or trace.get_tracer(_TRACER), setup.tracing_context

    def take(self, action: Action, *, early: bool = False) -> None:
        """Write down what is being done.

        Args:
            action: What.
            early: Whether the turn that is sent is not over yet.
        """
        if self._tracer is None:
            return
        match action:
            case TurnSent():
                self._sent(self._tracer, action, early=early)
            case TextDelta(_, text):
                self._said(text)
            case ToolCalls(_, calls):
                for call in calls:
                    self._event("tool_call", {"name": str(call.name)})
            case Usage(metadata):
                self._counted(token_usage(metadata).model_dump())
            case Apologize() if self._span is not None:
                self._span.set_status(trace.StatusCode.ERROR, "no answer")
                self._end()
            case Ended():
                self._end()
            case _:
                pass

    def interrupted(self, *, withdrawn: bool = False) -> None:
        """The user has spoken: if the answer was not over, it is now.

        Args:
            withdrawn: Whether the turn counts as never asked.
        """
        if self._span is None:
            return
        if withdrawn:
            self._span.set_attribute("withdrawn", True)
        if not self._ended_ns:
            self._span.set_attribute("was_interrupted", True)
            self._end()

    def close(self) -> None:
        """Write the span that is open, if one is."""
        span, self._span = self._span, None
        if span is None:
            return
        if self._output:
            span.set_attribute("output", self._output)
        for name, count in self._tokens.items():
            span.set_attribute(name, count)
        span.end(self._ended_ns or None)

    def _sent(self, tracer: "Tracer", sent: TurnSent, *, early: bool) -> None:
        if sent.attempt > 1 and self._span is not None and sent.turn == self._turn:
            self._event("sent_again", {"attempt": sent.attempt})
            return
        self.close()
        parents = self._parents
        parent = (parents.get_turn_context() or parents.get_conversation_context()) if parents else None
        self._span = span = tracer.start_span("llm", context=parent)
        self._turn, self._output, self._tokens = sent.turn, "", {}
        self._sent_ns, self._ended_ns = time.time_ns(), 0
        tools = self._setup_message.tools
        role = "user" if sent.text else "developer"
        add_llm_span_attributes(
            span,
            service_name=_PROVIDER,
            model=self._setup_message.model_name,
            messages=json.dumps([{"role": role, "content": sent.text or sent.prompt}], ensure_ascii=False),
            tools=json.dumps(tools, default=str) if tools else None,
            tool_count=len(tools),
            system_instructions=self._setup_message.instruction,
            parameters=_plain_parameters(self._settings),
        )
        span.set_attribute("asked_early", early)

    def _said(self, text: str) -> None:
        if self._span is not None and not self._output:
            self._span.set_attribute("metrics.ttfb", (time.time_ns() - self._sent_ns) / 1e9)
        self._output += text

    def _counted(self, usage: dict[str, Any]) -> None:
        for field, name in _COUNTS.items():
            if usage.get(field) is not None:
                self._tokens[name] = self._tokens.get(name, 0) + usage[field]
        if self._ended_ns:
            self.close()

    def _event(self, name: str, attributes: dict[str, str | int]) -> None:
        if self._span is not None:
            self._span.add_event(name, attributes)

    def _end(self) -> None:
        self._ended_ns = time.time_ns()
        if self._tokens:
            self.close()


def _plain_parameters(settings: GeminiLiveTextSettings) -> dict[str, Any]:
    given = settings.given_fields().items()
    return {key: value for key, value in given if key != "system_instruction" and isinstance(value, str | int | float)}
