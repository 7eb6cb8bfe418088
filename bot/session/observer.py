"""From Pipecat's frames to the events of a session."""

import time
from collections.abc import Callable, Iterator
from typing import Any

from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import (
    AggregatedTextFrame,
    AudioRawFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    ErrorFrame,
    Frame,
    FunctionCallCancelFrame,
    FunctionCallInProgressFrame,
    FunctionCallResultFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
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
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi.frames import RTVISendTextFrame
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_output import BaseOutputTransport

from halfcascade.bot.session.events import EventType
from halfcascade.processors.frames import (
    DuckFrame,
    ListeningSoundFrame,
    ServiceOutageFrame,
    ServiceRecoveredFrame,
    SpeechLostFrame,
    SpeechSkippedFrame,
    TurnReopenedFrame,
    TurnSentFrame,
)
from halfcascade.processors.openers import OPENER

_Fields = dict[str, Any]
Emit = Callable[[EventType, float | None, _Fields], None]


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
        self._asked_early = False
        # Audio contexts of openers.
        self._openers: set[str] = set()

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
            elif isinstance(data.source, BaseOutputTransport) and isinstance(frame, AggregatedTextFrame):
                self._on_shown(frame, at)
        if data.first_push:
            self._on_asked_early(frame, at)
            self._on_first_push(frame, at, data)

    def _on_text_to_speak(self, frame: Frame, at: float) -> None:
        # What reaches the voice is what will be said, whichever processors rewrote it on the way.
        if isinstance(frame, LLMFullResponseStartFrame):
            self._replying = True
            self._first_audio_told = False
            self._emit(EventType.REPLY_STARTED, at, {})
        elif isinstance(frame, LLMTextFrame):
            self._unspoken = self._unspoken or not self._speaking
            self._emit(EventType.REPLY_TEXT, at, {"text": frame.text})
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._replying = False
            self._emit(EventType.REPLY_ENDED, at, {})
        elif isinstance(frame, TTSSpeakFrame):
            self._unspoken = not self._speaking
            self._first_audio_told = False
            opener = {"opener": True} if str(frame.text_type) == OPENER else {}
            self._emit(EventType.REPLY_STARTED, at, opener)
            self._emit(EventType.REPLY_TEXT, at, {"text": frame.text})
            self._emit(EventType.REPLY_ENDED, at, {})

    def _on_heard(self, frame: TTSTextFrame, at: float) -> None:
        joined = frame.includes_inter_frame_spaces or not self._heard or self._heard[-1].isspace()
        text = frame.text if joined else f" {frame.text}"
        self._heard += text
        stands_for = (frame.raw_text or frame.text) if frame.append_to_context else ""
        opener = {"opener": True} if frame.context_id in self._openers else {}
        self._emit(EventType.HEARD, at, {"text": text, "written": stands_for or (text if opener else ""), **opener})

    def _on_shown(self, frame: AggregatedTextFrame, at: float) -> None:
        if str(frame.text_type) == OPENER and frame.context_id:
            self._openers.add(frame.context_id)
        if frame.skip_tts and frame.append_to_context:
            self._emit(EventType.SHOWN, at, {"text": frame.text, "kind": str(frame.text_type)})

    def _on_asked_early(self, frame: Frame, at: float) -> None:
        if isinstance(frame, LLMContextFrame) and frame.speculation:
            self._asked_early = True
            self._emit(EventType.ASKED_EARLY, at, {"text": _last_message(frame.context)})
        elif isinstance(frame, EagerEndOfTurnCancelFrame) and self._asked_early:
            # The ears withdraw words too that nobody has asked with.
            self._asked_early = False
            self._emit(EventType.ASKED_TOO_EARLY, at, {})
        elif isinstance(frame, UserStoppedSpeakingFrame):
            self._asked_early = False

    def _on_first_push(self, frame: Frame, at: float, data: FramePushed) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            if not self._first_audio_told:
                self._first_audio_told = True
                self._emit(EventType.FIRST_AUDIO, at, {})
        elif isinstance(frame, InterruptionFrame):
            # Every user turn begins with an interruption; it is one only if there was something to interrupt.
            if self._speaking or self._replying or self._unspoken:
                self._emit(EventType.INTERRUPTED, at, {})
            self._replying = self._unspoken = False
        elif isinstance(frame, TurnReopenedFrame):
            # The interruption that follows cuts nothing short that anybody has heard.
            self._replying = self._unspoken = False
            self._emit(EventType.TURN_REOPENED, at, {"text": frame.text})
        elif isinstance(frame, BotStartedSpeakingFrame):
            self._speaking, self._unspoken = True, False
            self._heard = ""
            self._emit(EventType.SPEAKING_STARTED, at, {})
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._speaking = False
            self._emit(EventType.SPEAKING_STOPPED, at, {})
        else:
            for kind, fields in _stateless_events(frame, data.source):
                self._emit(kind, at, fields)


def _last_message(context: LLMContext) -> str:
    message = context.messages[-1] if context.messages else None
    return str(message.get("content", "")) if isinstance(message, dict) else ""


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


def _stateless_events(frame: Frame, source: FrameProcessor) -> Iterator[tuple[EventType, _Fields]]:
    """Give the events that a frame's first push means, whatever was before it."""
    if isinstance(frame, MetricsFrame):
        for metrics in frame.data:
            yield from _metrics_events(metrics)
    elif isinstance(frame, ErrorFrame):
        yield EventType.ERROR, error_fields(frame, source)
    elif described := _DESCRIBED.get(type(frame)):
        kind, describe = described
        yield kind, describe(frame)


def _metrics_events(metrics: MetricsData) -> Iterator[tuple[EventType, _Fields]]:
    if isinstance(metrics, LLMUsageMetricsData):
        yield EventType.USAGE, {"kind": "llm", **metrics.value.model_dump(exclude_none=True)}
    elif isinstance(metrics, STTUsageMetricsData):
        yield EventType.USAGE, {"kind": "stt", "audio_seconds": round(metrics.value.audio_seconds, 3)}
    elif isinstance(metrics, TTSUsageMetricsData):
        yield EventType.USAGE, {"kind": "tts", "characters": metrics.value}
    elif isinstance(metrics, TTFBMetricsData) and metrics.value:
        yield (
            EventType.SERVICE_LATENCY,
            {"kind": "ttfb", "source": metrics.processor, "seconds": round(metrics.value, 4)},
        )


def _speech_at(wall_clock: float) -> float:
    """Speech edges are stamped with the wall clock; bring them to the monotonic one."""
    return time.monotonic() - (time.time() - wall_clock)


# Frames whose first push is an event, whatever the state: its type and its fields. Times within fields are
# ``time.monotonic()`` seconds; the session converts them.
_DESCRIBED: dict[type[Frame], tuple[EventType, Callable[[Any], _Fields]]] = {
    # Somebody typed it into a page.
    RTVISendTextFrame: (EventType.TYPED, lambda frame: {"text": frame.text}),
    VADUserStartedSpeakingFrame: (
        EventType.USER_STARTED,
        lambda f: {"speech_at": _speech_at(f.timestamp - f.start_secs)},
    ),
    VADUserStoppedSpeakingFrame: (
        EventType.USER_STOPPED,
        lambda f: {"speech_at": _speech_at(f.timestamp - f.stop_secs)},
    ),
    ServiceOutageFrame: (EventType.OUTAGE, lambda f: {"service": f.service.value, "message": f.line}),
    ServiceRecoveredFrame: (EventType.RECOVERED, lambda f: {"service": f.service.value}),
    SpeechLostFrame: (EventType.SPEECH_LOST, lambda f: {"secs": round(f.secs, 2)}),
    SpeechSkippedFrame: (EventType.UNSPOKEN, lambda f: {"text": f.text}),
    UserStartedSpeakingFrame: (EventType.TURN_STARTED, lambda f: {}),
    UserStoppedSpeakingFrame: (EventType.TURN_ENDED, lambda f: {}),
    InterimTranscriptionFrame: (EventType.INTERIM, lambda f: {"text": f.text.strip()}),
    TranscriptionFrame: (EventType.FINAL, lambda f: {"text": f.text.strip(), "language": f.language}),
    ListeningSoundFrame: (EventType.LISTENING_SOUND, lambda f: {"text": f.text}),
    UserBackchannelFrame: (EventType.BACKCHANNEL, lambda f: {"text": f.text.strip()}),
    TurnSentFrame: (
        EventType.TURN_SENT,
        lambda f: {"text": f.text, "turn": f.turn, "attempt": f.attempt} | ({"prompt": f.prompt} if f.prompt else {}),
    ),
    DuckFrame: (EventType.DUCKED, lambda f: {"gain": f.gain}),
    FunctionCallInProgressFrame: (
        EventType.TOOL_CALL,
        lambda f: {"name": f.function_name, "id": f.tool_call_id, "arguments": f.arguments},
    ),
    FunctionCallResultFrame: (
        EventType.TOOL_RESULT,
        lambda f: {"name": f.function_name, "id": f.tool_call_id, "result": f.result},
    ),
    FunctionCallCancelFrame: (EventType.TOOL_CANCELLED, lambda f: {"name": f.function_name, "id": f.tool_call_id}),
}
