"""The microphone's end of the local transport."""

import threading
import time
from collections import deque
from typing import Any

from pipecat.frames.frames import CancelFrame, EndFrame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport

from halfcascade.transports.local.device import CAPTURE_BLOCK_SECS
from halfcascade.transports.local.session import LocalDuplexParams, LocalSession

_SILENCE_AFTER_SECS = 0.3


class LocalDuplexInput(BaseInputTransport):
    """The microphone's end of a `LocalDuplexTransport`.

    Audio frames carry the capture time of their first sample: ``pts`` on the pipeline's clock, and
    ``metadata["captured_at"]`` in ``time.monotonic()`` seconds.
    """

    _params: LocalDuplexParams

    def __init__(self, session: LocalSession, **kwargs: Any):
        """Make the processor; see `halfcascade.transports.local.LocalDuplexTransport.input`."""
        super().__init__(session.params, **kwargs)
        self._session = session
        self._captured: deque[tuple[bytes, float]] = deque()
        self._captured_lock = threading.Lock()
        self._wake_pending = False
        self._dropped_secs = 0.0
        self._queue_age_max = 0.0
        self._last_at = 0.0
        self._running = False

    @property
    def dropped_secs(self) -> float:
        """Captured audio dropped because the event loop was stalled."""
        return self._dropped_secs

    @property
    def queue_age_max_secs(self) -> float:
        """Age of the oldest captured audio when it was handed to the pipeline."""
        return self._queue_age_max

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override] # as Pipecat itself does
        """Learn the sample rate."""
        await super().setup(setup)
        self._session.configure(input_rate=self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Open the devices, if they are not, and let audio in."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._running = self._params.audio_in_stream_on_start
        self._session.capture_to(self)
        await self._session.start(self)

    async def stop(self, frame: EndFrame) -> None:
        """Let no more audio in."""
        self._running = False
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        """Let no more audio in."""
        self._running = False
        await super().cancel(frame)

    async def cleanup(self) -> None:
        """Let go of the devices."""
        self._running = False
        await super().cleanup()
        await self._session.release(self)

    def captured(self, audio: bytes, at: float) -> None:
        """Take a captured block; called on a device thread.

        Args:
            audio: 16-bit mono PCM at this processor's rate.
            at: ``time.monotonic()`` of its first sample.
        """
        if not self._running:
            return
        limit = int(self._params.input_queue_secs / CAPTURE_BLOCK_SECS)
        with self._captured_lock:
            self._captured.append((audio, at))
            while len(self._captured) > limit:
                dropped, _ = self._captured.popleft()
                self._dropped_secs += len(dropped) / 2 / self.sample_rate
            if self._wake_pending:
                return
            self._wake_pending = True
        self.get_event_loop().call_soon_threadsafe(self._let_in)

    def fill_in(self, now: float) -> None:
        """While no microphone gives audio, let silence in: what counts audio to tell time must not stand still."""
        if self._running and self._last_at and now - self._last_at > _SILENCE_AFTER_SECS:
            silence = bytes(2 * int(CAPTURE_BLOCK_SECS * self.sample_rate))
            while self._last_at + CAPTURE_BLOCK_SECS < now:
                self._push_captured(silence, self._last_at + CAPTURE_BLOCK_SECS)

    async def _start_audio_in_streaming(self) -> None:
        self._running = True

    def _let_in(self) -> None:
        with self._captured_lock:
            blocks = list(self._captured)
            self._captured.clear()
            self._wake_pending = False
        for audio, at in blocks:
            self._push_captured(audio, at)

    def _push_captured(self, audio: bytes, at: float) -> None:
        if not self._running or self._paused or not self._audio_task:
            return
        now = time.monotonic()
        self._last_at = at
        self._queue_age_max = max(self._queue_age_max, now - at - len(audio) / 2 / self.sample_rate)
        frame = InputAudioRawFrame(audio=audio, sample_rate=self.sample_rate, num_channels=1)
        frame.pts = max(0, self.get_clock().get_time() - int((now - at) * 1e9))
        frame.metadata["captured_at"] = at
        self._audio_in_queue.put_nowait(frame)
