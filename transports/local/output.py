"""The loudspeaker's end of the local transport."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    MetricsFrame,
    OutputAudioRawFrame,
    StartFrame,
    SystemFrame,
)
from pipecat.metrics.metrics import MetricsData
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup

from halfcascade.processors.frames import DuckFrame
from halfcascade.transports.local.session import LocalDuplexParams, LocalSession
from halfcascade.transports.speaking import Interruptions, OwnLoudspeaker

_TICK_SECS = 0.01
_STUCK_SECS = 3.0


class LocalAudioMetricsData(MetricsData):
    """`LocalAudioStats` in a Pipecat ``MetricsFrame``, sent after each reply.

    Parameters:
        value: The counters since the start, as `LocalAudioStats.as_dict` gives them.
    """

    value: dict[str, Any]


@dataclass
class _HeldFrame:
    """A frame that waits until the audio before it was heard."""

    frame: Frame
    direction: FrameDirection
    position: int = 0
    not_before: float = 0.0


class LocalDuplexOutput(OwnLoudspeaker):
    """The loudspeaker's end of a `LocalDuplexTransport`.

    Pipecat's media sender runs ahead of the loudspeaker by what the ring and the device hold. So every frame it pushes
    waits here until the audio written before it was heard: ``BotStartedSpeakingFrame``, word frames and
    ``BotStoppedSpeakingFrame`` keep the device's time, and an interruption drops those whose audio it cut.
    """

    _params: LocalDuplexParams

    def __init__(self, session: LocalSession, **kwargs: Any):
        """Make the processor; see `halfcascade.transports.local.LocalDuplexTransport.output`."""
        super().__init__(session.params, **kwargs)
        self._session = session
        self._held: deque[_HeldFrame] = deque()
        self._timed: deque[_HeldFrame] = deque()
        self._release_task: asyncio.Task | None = None
        self._wake = asyncio.Event()
        self._interrupting = False
        self._interruptions = Interruptions()

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override] # as Pipecat itself does
        """Learn the sample rate."""
        await super().setup(setup)
        self._session.configure(output_rate=self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Open the devices, if they are not."""
        await super().start(frame)
        await self._session.start(self)
        if not self._release_task:
            self._release_task = self.create_task(self._release_held())
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Wait until everything written was heard."""
        await super().stop(frame)
        await self._played_out()
        await self._end_release()

    async def cancel(self, frame: CancelFrame) -> None:
        """Fall silent."""
        self._interruptions.note()
        self._session.ring.flush()
        await super().cancel(frame)
        await self._end_release()

    async def cleanup(self) -> None:
        """Let go of the devices."""
        await self._end_release()
        await super().cleanup()
        await self._session.release(self)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Fall silent on an interruption and change loudness at once; the rest is Pipecat's."""
        if isinstance(frame, DuckFrame):
            self._session.ring.set_gain(frame.gain, frame.ramp_secs)
        if not isinstance(frame, InterruptionFrame):
            await super().process_frame(frame, direction)
            return
        # Until Pipecat has emptied its queue, the media sender may bring more of what is being interrupted.
        self._interrupting = True
        self._interruptions.note()
        try:
            self._session.ring.flush()
            await self._release_interrupted()
            await super().process_frame(frame, direction)
        finally:
            self._interrupting = False

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Put audio into the ring, as soon as there is room.

        Args:
            frame: 16-bit mono audio at this processor's rate.

        Returns:
            Whether it was taken; False if an interruption overtook it.
        """
        ring, samples = self._session.ring, len(frame.audio) // 2
        while ring.queued and (free := ring.free) is not None and free < samples:
            if self._interruptions.overtook(frame):
                return False
            await asyncio.sleep(max(_TICK_SECS, (samples - free) / self.sample_rate))
        if self._interruptions.overtook(frame) or (frame.interruptible and self._interrupting):
            return False
        ring.write(frame.audio, interruptible=frame.interruptible)
        return True

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame, the media sender's own only when the audio before it was heard."""
        held = self._hold(frame, direction)
        if not held:
            await super().push_frame(frame, direction)

    def _hold(self, frame: Frame, direction: FrameDirection) -> bool:
        task, sender = asyncio.current_task(), self._media_senders.get(None)
        if not self._release_task or sender is None or task is None:
            return False
        ring = self._session.ring
        if task is sender._clock_task:
            # Timed by a voice that knows nothing of the device's latency.
            self._timed.append(
                _HeldFrame(frame, direction, not_before=time.monotonic() + self._session.output_latency_secs)
            )
        elif task is sender._audio_task:
            # The bot is heard to start with the next audio, not at the end of what came before.
            position = ring.written + isinstance(frame, BotStartedSpeakingFrame)
            if isinstance(frame, BotStoppedSpeakingFrame) and self._take_back_start(direction):
                return True
            if not self._held and self._session.heard_position() >= position:
                return False
            self._held.append(_HeldFrame(frame, direction, position=position))
        else:
            return False
        self._wake.set()
        return True

    def _take_back_start(self, direction: FrameDirection) -> bool:
        """Drop the news that the bot starts if nothing of what it starts with was ever written."""
        for entry in self._held:
            unwritten = entry.position > self._session.ring.written and entry.direction is direction
            if unwritten and isinstance(entry.frame, BotStartedSpeakingFrame):
                self._held.remove(entry)
                return True
        return False

    async def _release_held(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._held or self._timed:
                await self._release_due()
                await asyncio.sleep(_TICK_SECS)

    async def _release_due(self) -> None:
        heard, now = self._session.heard_position(), time.monotonic()
        while self._held and self._held[0].position <= heard:
            await self._push_held(self._held.popleft())
        while self._timed and self._timed[0].not_before <= now:
            await self._push_held(self._timed.popleft())

    async def _release_interrupted(self) -> None:
        """Drop the frames whose audio was cut; speaking states stay balanced, uninterruptible frames go on."""
        held, self._held = self._held, deque()
        timed, self._timed = self._timed, deque()
        for entry in (*held, *timed):
            if isinstance(entry.frame, SystemFrame) or not entry.frame.interruptible:
                await self._push_held(entry)

    async def _push_held(self, entry: _HeldFrame) -> None:
        await super().push_frame(entry.frame, entry.direction)
        if isinstance(entry.frame, BotStoppedSpeakingFrame) and entry.direction is FrameDirection.DOWNSTREAM:
            await self._push_metrics()

    async def _push_metrics(self) -> None:
        if self.metrics_enabled:
            data = LocalAudioMetricsData(processor=self.name, value=self._session.stats.as_dict())
            await super().push_frame(MetricsFrame(data=[data]))

    async def _played_out(self) -> None:
        """Wait until all was heard, but not for a loudspeaker that is gone."""
        ring = self._session.ring
        heard, since = -1, time.monotonic()
        while self._held or self._session.heard_position() < ring.written:
            now = self._session.heard_position()
            if now != heard:
                heard, since = now, time.monotonic()
            elif time.monotonic() - since > _STUCK_SECS:
                logger.warning(f"{self}: the loudspeaker plays nothing; the last words are lost")
                break
            await asyncio.sleep(_TICK_SECS)

    async def _end_release(self) -> None:
        if self._release_task:
            task, self._release_task = self._release_task, None
            await self.cancel_task(task)
        for entry in (*self._held, *self._timed):
            await self._push_held(entry)
        self._held.clear()
        self._timed.clear()
