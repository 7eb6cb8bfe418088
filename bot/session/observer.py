"""From Pipecat's frames to the events of a session."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import (
    AudioRawFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    MetricsFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
    UserBackchannelFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import (
    LLMUsageMetricsData,
    MetricsData,
    STTUsageMetricsData,
    TTFBMetricsData,
    TTSUsageMetricsData,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport

from halfcascade.processors.frames import DuckFrame, TurnReopenedFrame, TurnSentFrame

_Fields = dict[str, Any]
Emit = Callable[[str, float | None, _Fields], None]


class SessionObserver(BaseObserver):
    """Tells what happens in a pipeline, once, with the time at which the frame was pushed.

    Args:
        emit: Receives type, ``time.monotonic()`` seconds and fields of each event.
        clock: The clock of the pipeline's worker; frames are stamped with it.
    """

    def __init__(self, emit: Emit, clock: BaseClock):
        super().__init__()
        self._emit = emit
        self._clock = clock
        self._replying = False
        self._speaking = False
        # A reply's text has been seen, its sound has not begun.
        self._unspoken = False
        self._first_audio_told = False
        self._heard = ""

    async def on_push_frame(self, data: FramePushed) -> None:
        """Turn a pushed frame into an event, if it is one.

        Args:
            data: The push.
        """
        frame = data.frame
        if isinstance(frame, AudioRawFrame) and not isinstance(frame, TTSAudioRawFrame):
            return
        # A broadcast frame is two frames; the one that travels downstream stands for both.
        if frame.broadcast_sibling_id is not None and data.direction is FrameDirection.UPSTREAM:
            return
        at = time.monotonic() - (self._clock.get_time() - data.timestamp) / 1e9
        if data.direction is FrameDirection.DOWNSTREAM:
            if isinstance(data.destination, TTSService):
                self._on_text_to_speak(frame, at)
            if isinstance(data.source, BaseOutputTransport) and isinstance(frame, TTSTextFrame):
                self._on_heard(frame, at)
        if data.first_push:
            self._on_first_push(frame, at, data)

    def _on_text_to_speak(self, frame: Frame, at: float) -> None:
        # What reaches the voice is what will be said, whichever processors rewrote it on the way.
        if isinstance(frame, LLMFullResponseStartFrame):
            self._replying = True
            self._first_audio_told = False
            self._emit("reply_started", at, {})
        elif isinstance(frame, LLMTextFrame):
            self._unspoken = self._unspoken or not self._speaking
            self._emit("reply_text", at, {"text": frame.text})
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._replying = False
            self._emit("reply_ended", at, {})
        elif isinstance(frame, TTSSpeakFrame):
            self._unspoken = not self._speaking
            self._first_audio_told = False
            self._emit("reply_started", at, {})
            self._emit("reply_text", at, {"text": frame.text})
            self._emit("reply_ended", at, {})

    def _on_heard(self, frame: TTSTextFrame, at: float) -> None:
        joined = frame.includes_inter_frame_spaces or not self._heard or self._heard[-1].isspace()
        text = frame.text if joined else f" {frame.text}"
        self._heard += text
        self._emit("heard", at, {"text": text})

    def _on_first_push(self, frame: Frame, at: float, data: FramePushed) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            if not self._first_audio_told:
                self._first_audio_told = True
                self._emit("first_audio", at, {})
        elif isinstance(frame, InterruptionFrame):
            # Every user turn begins with an interruption; it is one only if there was something to interrupt.
            if self._speaking or self._replying or self._unspoken:
                self._emit("interrupted", at, {})
            self._replying = self._unspoken = False
        elif isinstance(frame, TurnReopenedFrame):
            # The interruption that follows cuts nothing short that anybody has heard.
            self._replying = self._unspoken = False
            self._emit("turn_reopened", at, {"text": frame.text})
        elif isinstance(frame, BotStartedSpeakingFrame):
            self._speaking, self._unspoken = True, False
            self._heard = ""
            self._emit("speaking_started", at, {})
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._speaking = False
            self._emit("speaking_stopped", at, {})
        elif isinstance(frame, MetricsFrame):
            for metrics in frame.data:
                for name, fields in _metrics_events(metrics):
                    self._emit(name, at, fields)
        elif isinstance(frame, ErrorFrame):
            self._emit("error", at, error_fields(frame, data.source))
        elif described := _DESCRIBED.get(type(frame)):
            name, describe = described
            self._emit(name, at, describe(frame))


def error_fields(frame: ErrorFrame, source: FrameProcessor) -> _Fields:
    """Describe an error.

    Args:
        frame: The error.
        source: Who pushed it, in case the frame does not say.

    Returns:
        The fields of an ``error`` event.
    """
    processor = frame.processor or source
    return {
        "message": " ".join(str(frame.error).split()),
        "source": processor.name,
        "category": frame.category.value if frame.category else "unknown",
        "permanent": frame.fatal or not processor.is_usable,
    }


def _metrics_events(metrics: MetricsData) -> Iterator[tuple[str, _Fields]]:
    if isinstance(metrics, LLMUsageMetricsData):
        yield "usage", {"kind": "llm", **metrics.value.model_dump(exclude_none=True)}
    elif isinstance(metrics, STTUsageMetricsData):
        yield "usage", {"kind": "stt", "audio_seconds": round(metrics.value.audio_seconds, 3)}
    elif isinstance(metrics, TTSUsageMetricsData):
        yield "usage", {"kind": "tts", "characters": metrics.value}
    elif isinstance(metrics, TTFBMetricsData) and metrics.value:
        yield "service_latency", {"kind": "ttfb", "source": metrics.processor, "seconds": round(metrics.value, 4)}


def _speech_at(wall_clock: float) -> float:
    """Speech edges are stamped with the wall clock; bring them to the monotonic one."""
    return time.monotonic() - (time.time() - wall_clock)


# Frames whose first push is an event, whatever the state: its type and its fields. Times within fields are
# ``time.monotonic()`` seconds; the session converts them.
_DESCRIBED: dict[type[Frame], tuple[str, Callable[[Any], _Fields]]] = {
    VADUserStartedSpeakingFrame: ("user_started", lambda f: {"speech_at": _speech_at(f.timestamp - f.start_secs)}),
    VADUserStoppedSpeakingFrame: ("user_stopped", lambda f: {"speech_at": _speech_at(f.timestamp - f.stop_secs)}),
    UserStartedSpeakingFrame: ("turn_started", lambda f: {}),
    UserStoppedSpeakingFrame: ("turn_ended", lambda f: {}),
    InterimTranscriptionFrame: ("interim", lambda f: {"text": f.text.strip()}),
    TranscriptionFrame: ("final", lambda f: {"text": f.text.strip(), "language": f.language}),
    UserBackchannelFrame: ("backchannel", lambda f: {"text": f.text.strip()}),
    TurnSentFrame: ("turn_sent", lambda f: {"text": f.text, "turn": f.turn, "attempt": f.attempt}),
    DuckFrame: ("ducked", lambda f: {"gain": f.gain}),
    FunctionCallInProgressFrame: (
        "tool_call",
        lambda f: {"name": f.function_name, "id": f.tool_call_id, "arguments": f.arguments},
    ),
    FunctionCallResultFrame: (
        "tool_result",
        lambda f: {"name": f.function_name, "id": f.tool_call_id, "result": f.result},
    ),
    FunctionCallCancelFrame: ("tool_cancelled", lambda f: {"name": f.function_name, "id": f.tool_call_id}),
}
