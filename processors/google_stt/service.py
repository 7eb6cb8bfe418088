"""The ears: Google Speech-to-Text v2, asked for its final at the moment the user falls silent."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from google.cloud import speech_v2
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.google.stt import GoogleSTTSettings
from pipecat.services.stt_service import STTService
from pipecat.utils.time import time_now_iso8601

from halfcascade.processors.frames import (
    Service,
    ServiceOutageFrame,
    ServiceRecoveredFrame,
    SpeechCoveredFrame,
    SpeechLostFrame,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
)
from halfcascade.processors.google_calls import CATEGORIES
from halfcascade.processors.google_errors import SPEECH_TO_TEXT, google_problem, words_of
from halfcascade.processors.google_stt.protocol.events import (
    AbortStream,
    Believed,
    Event,
    FinalText,
    InterimText,
    LikelyComplete,
    OpenStream,
    OutageBegan,
    OutageOver,
    RenewChannel,
    SpeechCovered,
    StreamParams,
    WordsLost,
)
from halfcascade.processors.google_stt.protocol.streams import SpeechStreams
from halfcascade.processors.google_stt.recognizer import MakeClient, Recognizer
from halfcascade.processors.google_stt.stream import MESSAGE_SECS, RecognizeStream
from halfcascade.processors.language import has_unspaced

# With every final flushed by a half-close and marked as such, this bounds only how long a turn waits for a final that
# never comes. It lies above the slowest figure known for the server's own endpoint, 1.57 s (facts/stt#half-close).
TTFS_P99_SECS = 2.0
# Seconds of speech that Pipecat's own detectors have heard when they report it, if the frame does not say.
_USUAL_START_SECS = 0.2


class GoogleStreamingSTTService(Recognizer):
    """Speech-to-Text v2 over streams that begin and end with the user's speech.

    A request stream is half-closed when voice activity detection reports silence, so that Google flushes its final at
    once instead of after its own endpoint; what the user says next goes to a new stream. Segments of one turn come as
    several ``TranscriptionFrame`` in order, of which only the one that covers everything said so far is ``finalized``.

    Needs voice activity frames, from a ``VADProcessor`` before it or an aggregator behind it. With
    ``SpeechPausedFrame`` (see ``halfcascade.processors.turns.SpeechDetector``) the half-close happens tentatively,
    after a silence much shorter than the one that ends speech.

    Settings are those of Pipecat's ``GoogleSTTService``; ``languages`` also takes codes as strings, and ``["auto"]``.
    """

    def __init__(
        self,
        *,
        client: speech_v2.SpeechAsyncClient | None = None,
        project: str | None = None,
        location: str | None = None,
        settings: GoogleSTTSettings | None = None,
        sample_rate: int | None = None,
        streams: StreamParams | None = None,
        eager: bool = False,
        ttfs_p99_latency: float | None = TTFS_P99_SECS,
        environ: Mapping[str, str] | None = None,
        make_client: MakeClient | None = None,
        **kwargs: Any,
    ):
        """Check the settings; nothing is connected yet.

        Args:
            client: Client to use, or None for one from ``halfcascade.processors.google_clients``, made in ``setup``.
            project: Project of ``client``.
            location: Google Cloud location, or None for the one that serves the model.
            settings: What to listen for.
            sample_rate: Samples per second, or None for the pipeline's.
            streams: When streams begin and end.
            eager: Whether to push an ``EagerTranscriptionFrame`` when uncertain words already cover the speech.
            ttfs_p99_latency: What Pipecat's turn strategies are told to wait for a final at most, in seconds.
            environ: Variables that say where a client of its own leads; None means this process's.
            make_client: Makes a client of its own for a location, and names its project; None means
                ``halfcascade.processors.google_clients.speech_client``.
            **kwargs: Passed to ``STTService``.

        Raises:
            ConfigurationError: If model, location, languages and features do not go together.
        """
        super().__init__(
            client=client,
            project=project,
            location=location,
            settings=settings,
            environ=environ,
            make_client=make_client,
            sample_rate=sample_rate,
            ttfs_p99_latency=ttfs_p99_latency,
            **kwargs,
        )
        self._params = streams or StreamParams()
        if not self._settings.enable_interim_results:
            # Without interim results silence is no sign of anything.
            self._params = replace(self._params, silent_secs=math.inf)
        self._eager = eager
        self._eager_pending = False
        self._bot_speaking = False
        # GoogleSTTService reconnects this one when a setting changes; every stream of ours takes the newest settings.
        self._streaming_task = None
        self._machine: SpeechStreams | None = None
        self._pump_lock = asyncio.Lock()
        self._stream_tasks: dict[int, asyncio.Task[None]] = {}
        self._streams: dict[int, RecognizeStream] = {}
        self._timer_changed = asyncio.Event()
        # What the timer waits for: it is woken when that changes, not by every block of audio.
        self._timer_deadline: float | None = None
        self._timer_task: asyncio.Task[None] | None = None
        self._outage_reported = False
        self._last_error: Exception | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Make the client and let it connect while the audio devices open.

        Args:
            setup: Configuration object containing setup parameters.

        Raises:
            ConfigurationError: If there are no usable credentials.
        """
        await STTService.setup(self, setup)
        self._channel.open()
        self._channel.connect()
        self._machine = SpeechStreams(self.sample_rate, self._params)
        self._timer_task = self.create_task(self._run_timer(), "stt_timer")
        await self._call_event_handler("on_connected")

    async def stop(self, frame: EndFrame) -> None:
        """End all streams.

        Args:
            frame: The end frame.
        """
        await self._disconnect()
        await STTService.stop(self, frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """End all streams at once.

        Args:
            frame: The cancel frame.
        """
        await self._disconnect()
        await STTService.cancel(self, frame)

    async def cleanup(self) -> None:
        """Release the client."""
        await STTService.cleanup(self)
        await self._disconnect()
        await self._channel.close()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take audio and voice activity.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame | BotStoppedSpeakingFrame):
            self._bot_speaking = isinstance(frame, BotStartedSpeakingFrame)
            if self._machine is not None:
                self._machine.bot_speaks(self._bot_speaking)
        if isinstance(frame, ServiceOutageFrame | ServiceRecoveredFrame) and frame.service is not Service.EARS:
            # It may be the network that fails or has changed: streams that are opened from now on get a new one.
            self._renew_channel()
        if self._machine is not None and self._take_activity(self._machine, frame, time.monotonic()):
            if isinstance(frame, VADUserStartedSpeakingFrame | SpeechResumedFrame):
                await self._withdraw_eager()
            await self._pump()

    def _take_activity(self, machine: SpeechStreams, frame: Frame, now: float) -> bool:
        """Tell the machine of voice activity, if that is what the frame is about."""
        match frame:
            case VADUserStartedSpeakingFrame(start_secs=secs):
                machine.speech_started(secs or _USUAL_START_SECS, now)
            case VADUserStoppedSpeakingFrame(stop_secs=secs):
                machine.speech_stopped(secs, now)
            case SpeechOnsetFrame(secs=secs, sound_secs=sound_secs) if not self._bot_speaking:
                # Over the bot's voice a short sound may be what is left of it.
                machine.speech_onset(max(secs, sound_secs), now)
            case SpeechPausedFrame(secs=secs):
                machine.speech_paused(secs, now)
            case SpeechResumedFrame(secs=secs):
                machine.speech_resumed(secs, now)
            case _:
                return False
        return True

    async def process_audio_frame(self, frame: InputAudioRawFrame, direction: FrameDirection) -> None:
        """Take audio; whether it is sent depends on voice activity.

        Args:
            frame: 16-bit mono audio at the service's sample rate.
            direction: Where it goes.
        """
        if self._muted or not self.is_usable or not frame.audio or self._machine is None:
            return
        self._user_id = frame.user_id if isinstance(frame, UserAudioRawFrame) else ""
        self._machine.audio(frame.audio, time.monotonic())
        await self._pump()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Not used: ``process_audio_frame`` hands audio to the streams itself.

        Args:
            audio: Ignored.

        Yields:
            Nothing of interest.
        """
        yield None

    # Events of the machine

    async def _pump(self) -> None:
        """Handle the machine's events, one caller at a time so that frames keep their order."""
        machine = self._machine
        if machine is None:
            return
        async with self._pump_lock:
            while (event := machine.next_event()) is not None:
                await self._handle_event(event)
        for stream in self._streams.values():
            stream.wake()
        if machine.deadline != self._timer_deadline:
            self._timer_changed.set()

    async def _handle_event(self, event: Event) -> None:
        match event:
            case OpenStream(stream):
                self._start_stream(stream)
            case AbortStream(stream):
                if task := self._stream_tasks.pop(stream, None):
                    await self.cancel_task(task)
            case InterimText(text, language):
                await self.push_frame(
                    InterimTranscriptionFrame(text, self._user_id, time_now_iso8601(), self._language(language))
                )
            case LikelyComplete(text, language):
                if self._eager:
                    self._eager_pending = True
                    await self.push_frame(
                        EagerTranscriptionFrame(text, self._user_id, time_now_iso8601(), self._language(language))
                    )
            case FinalText(text, language, finalized):
                await self._push_final(text, language, finalized)
            case SpeechCovered():
                self._eager_pending = False
                await self.push_frame(SpeechCoveredFrame())
            case WordsLost(secs):
                await self.broadcast_frame(SpeechLostFrame, secs=secs)
                await self.push_error(
                    f"Speech-to-Text was away for too long: {secs:.1f} s of speech could not be recognized."
                )
            case _:
                await self._handle_health(event)

    async def _handle_health(self, event: Event) -> None:
        match event:
            case RenewChannel():
                self._renew_channel()
            case OutageBegan():
                await self._report_outage()
            case OutageOver():
                self._outage_reported = False
                await self.broadcast_frame(ServiceRecoveredFrame, service=Service.EARS)
            case Believed():
                await self._report_refusal()

    async def _push_final(self, text: str, language: str, finalized: bool) -> None:
        if finalized:
            self._eager_pending = False
        await self.emit_stt_usage_metrics()
        frame = TranscriptionFrame(
            text, self._user_id, time_now_iso8601(), self._language(language), finalized=finalized
        )
        frame.includes_inter_frame_spaces = has_unspaced(text)
        # What the user said is not dropped because they interrupt the bot with it.
        frame.interruptible = False
        await self.push_frame(frame)
        await self._handle_transcription(text, is_final=True, language=frame.language)

    async def _withdraw_eager(self) -> None:
        if self._eager_pending:
            self._eager_pending = False
            await self.push_frame(EagerEndOfTurnCancelFrame())

    async def _run_timer(self) -> None:
        """Call the machine back when something is due."""
        while True:
            self._timer_changed.clear()
            machine = self._machine
            deadline = self._timer_deadline = machine.deadline if machine else None
            delay = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                await asyncio.wait_for(self._timer_changed.wait(), delay)
            except TimeoutError:
                if machine is not None:
                    machine.tick(time.monotonic())
                    await self._pump()

    # Streams

    def _start_stream(self, stream: int) -> None:
        machine, client = self._machine, self._channel.client
        if machine is None or client is None:
            return
        self._streams[stream] = RecognizeStream(
            stream,
            machine,
            sample_rate=self.sample_rate,
            least_secs=self._least_secs,
            on_change=self._pump,
            on_half_close=self._timer_changed.set,
        )
        running = self._run_stream(stream, machine, client)
        self._stream_tasks[stream] = self.create_task(running, f"stt_stream_{stream}")

    async def _run_stream(self, stream: int, machine: SpeechStreams, client: speech_v2.SpeechAsyncClient) -> None:
        """Let a stream run, and tell the machine how it ended."""
        running = self._streams[stream]
        try:
            error = await running.run(client, partial(self._first_request, self.sample_rate))
        finally:
            self._stream_tasks.pop(stream, None)
            self._streams.pop(stream, None)
            self._stt_usage_pending_seconds += running.secs
        refused, wait_secs = False, 0.0
        if error is not None:
            self._last_error = error
            found = google_problem(error, SPEECH_TO_TEXT)
            refused, wait_secs = not found.passes, found.wait_secs
            logger.debug("{}: stream {} ended: {}", self, stream, words_of(error))
        now = time.monotonic()
        machine.ended(stream, failed=error is not None, now=now, refused=refused, wait_secs=wait_secs)
        await self._pump()

    def _least_secs(self) -> float:
        """How much audio goes into a message: none is held back where words count as soon as they are heard."""
        return 0.0 if self._bot_speaking or self._eager else MESSAGE_SECS

    async def _report_outage(self) -> None:
        """Say that the user waits for words that do not come."""
        error = self._last_error or TimeoutError()
        line = google_problem(error, SPEECH_TO_TEXT).line
        await self.broadcast_frame(ServiceOutageFrame, service=Service.EARS, line=line)
        if not self._outage_reported:
            self._outage_reported = True
            await self._call_event_handler("on_connection_error", line)
            await self.push_error(line, exception=error)

    async def _report_refusal(self) -> None:
        error = self._last_error or TimeoutError()
        found = google_problem(error, SPEECH_TO_TEXT)
        await self.push_error(
            found.line, exception=error, category=CATEGORIES[found.kind], force_treat_as_permanent=True
        )

    async def _disconnect(self) -> None:
        if self._timer_task is not None:
            await self.cancel_task(self._timer_task)
            self._timer_task = None
        if self._machine is None:
            return
        self._machine = None
        for task in list(self._stream_tasks.values()):
            await self.cancel_task(task)
        self._stream_tasks.clear()
        await self._call_event_handler("on_disconnected")
