"""Spans of the brain's turns, in whatever way they end."""

import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from google.genai import types
from pipecat.adapters.llm.services.gemini_live_adapter import GeminiLiveLLMAdapter
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.utils.tracing.tracing_context import TracingContext

from halfcascade.processors.gemini_live.protocol.actions import Action, Apologize, TurnSent, Usage
from halfcascade.processors.gemini_live.protocol.turn_events import Ended, TextDelta, ToolCalls
from halfcascade.processors.gemini_live.settings import default_settings
from halfcascade.processors.gemini_live.setup_message import SetupMessage
from halfcascade.processors.gemini_live.spans import TurnSpans

sdk = pytest.importorskip("opentelemetry.sdk.trace")
export = pytest.importorskip("opentelemetry.sdk.trace.export")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")

COUNTS = types.UsageMetadata(prompt_token_count=7, response_token_count=3)


class Traced:
    """The spans of one session, fed with what it does."""

    def __init__(self, *, enabled: bool = True):
        self._exporter = memory.InMemorySpanExporter()
        provider = sdk.TracerProvider()
        provider.add_span_processor(export.SimpleSpanProcessor(self._exporter))
        tracer = provider.get_tracer("test")
        self.parents = TracingContext()
        settings = default_settings()
        told = SetupMessage(settings, GeminiLiveLLMAdapter(), lambda name: False)
        told.take(None, "Be brief.", told.row)
        self.spans = TurnSpans(settings, told)
        setup = SimpleNamespace(enable_tracing=enabled, tracing_context=self.parents)
        self.spans.start(cast(FrameProcessorSetup, setup), tracer)
        self.turn = tracer.start_span("turn")
        self.parents.set_turn_context(self.turn.get_span_context())

    def feed(self, *actions: Action, **kwargs: Any) -> "Traced":
        for action in actions:
            self.spans.take(action, **kwargs)
        return self

    @property
    def written(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())


def test_an_answer_is_a_span_of_its_turn_written_when_its_tokens_are_known():
    traced = Traced()
    traced.feed(TurnSent(1, "Hello.", 1, ""), TextDelta(1, "Hi "), TextDelta(1, "there."), Ended(1, spoken=True))
    assert not traced.written
    traced.feed(Usage(COUNTS))
    (span,) = traced.written
    assert (span.name, span.parent.span_id) == ("llm", traced.turn.get_span_context().span_id)
    assert json.loads(span.attributes["input"]) == [{"role": "user", "content": "Hello."}]
    assert span.attributes["output"] == "Hi there."
    assert span.attributes["gen_ai.provider.name"] == "gcp.gemini"
    assert span.attributes["gen_ai.system_instructions"] == "Be brief."
    assert span.attributes["gen_ai.usage.input_tokens"] == 7
    assert span.attributes["gen_ai.usage.output_tokens"] == 3
    assert span.attributes["metrics.ttfb"] > 0
    assert not span.attributes["asked_early"]


def test_an_interrupted_answer_ends_there_and_the_next_is_its_own():
    traced = Traced().feed(TurnSent(1, "Hello.", 1, ""), TextDelta(1, "Hi "))
    traced.spans.interrupted()
    traced.feed(TurnSent(2, "", 1, "Go on."), TextDelta(2, "Well."), Ended(2, spoken=True))
    traced.spans.interrupted()
    traced.spans.close()
    first, second = traced.written
    assert first.attributes["was_interrupted"]
    assert first.end_time <= second.start_time
    assert "was_interrupted" not in second.attributes
    assert json.loads(second.attributes["input"]) == [{"role": "developer", "content": "Go on."}]


def test_a_wrong_guess_is_told():
    traced = Traced().feed(TurnSent(1, "Hello and", 1, ""), early=True)
    traced.spans.interrupted(withdrawn=True)
    traced.spans.close()
    (span,) = traced.written
    assert span.attributes["asked_early"]
    assert span.attributes["withdrawn"]


def test_functions_and_resends_are_events_and_no_answer_is_an_error():
    calls = (types.FunctionCall(name="get_time"),)
    traced = Traced().feed(
        TurnSent(1, "Hello.", 1, ""), ToolCalls(1, calls), TurnSent(1, "Hello.", 2, ""), Apologize(1)
    )
    traced.spans.close()
    (span,) = traced.written
    assert [(event.name, dict(event.attributes)) for event in span.events] == [
        ("tool_call", {"name": "get_time"}),
        ("sent_again", {"attempt": 2}),
    ]
    assert span.status.description == "no answer"


def test_a_pipeline_that_does_not_trace_has_none():
    traced = Traced(enabled=False)
    traced.feed(TurnSent(1, "Hello.", 1, ""), TextDelta(1, "Hi."), Ended(1, spoken=True), Usage(COUNTS))
    traced.spans.interrupted()
    traced.spans.close()
    assert not traced.written
