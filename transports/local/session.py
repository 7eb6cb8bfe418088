"""What both ends of the local transport share: parameters, the path audio takes, and the devices."""

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from pipecat.frames.frames import CancelWorkerFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_transport import TransportParams
from pydantic import ConfigDict, Field

from halfcascade.processors.errors import ConfigurationError
from halfcascade.transports.clocks import HeardClock
from halfcascade.transports.devices import Direction
from halfcascade.transports.local.aec import EchoCanceller, EchoStats
from halfcascade.transports.local.device import DuplexDevice
from halfcascade.transports.local.watchdog import DeviceKeeper
from halfcascade.transports.loudspeaker import Loudspeaker
from halfcascade.transports.resample import StreamResampler
from halfcascade.transports.tap import AudioTap

_DEFAULT_INPUT_RATE, _DEFAULT_OUTPUT_RATE = 16_000, 24_000


class LocalDuplexParams(TransportParams):
    """Parameters of `LocalDuplexTransport`, on top of Pipecat's.

    Parameters:
        input_device: Microphone, by name or part of it; None for the system's default.
        output_device: Loudspeaker, by name or part of it; None for the system's default.
        echo_cancel: Whether the bot's voice is cancelled in the microphone; needless with a headset.
        noise_suppression: Whether steady noise in the microphone is suppressed (part of echo cancelling).
        tap: Receives what was captured (before echo cancelling) and played.
        output_buffer_secs: Audio kept in the loudspeaker device: what is still heard after an interruption, and how
            late the feeding thread may be without a gap.
        output_ring_secs: Audio kept ready for that thread: how long the event loop may stall without a gap.
        input_queue_secs: Captured audio kept while the event loop stalls; older audio is dropped, and counted.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_end_silence_secs: int = 0
    # A write waits while a device is being replugged; Pipecat would write the loudspeaker off for good.
    audio_out_write_timeout_secs: float = 86_400.0
    input_device: str | None = None
    output_device: str | None = None
    echo_cancel: bool = True
    noise_suppression: bool = False
    tap: Any = None
    output_buffer_secs: float = Field(default=0.05, ge=0.02, le=0.5)
    output_ring_secs: float = Field(default=0.3, ge=0.1, le=5.0)
    input_queue_secs: float = Field(default=2.0, ge=0.1, le=30.0)


@dataclass(frozen=True)
class LocalAudioStats:
    """Counters of a local conversation.

    Parameters:
        underruns: Times the loudspeaker device had nothing left to play.
        late_writes: Times speech reached the loudspeaker's queue after it had run empty, less than 0.35 s before.
        overflows: Times the system reported captured audio as lost.
        dropped_secs: Captured audio dropped because the event loop was stalled.
        queue_age_max_secs: Oldest captured audio handed to the pipeline: its age then.
        reopened: Times the devices had to be opened again.
        output_latency_secs: Time from handing audio to the loudspeaker device until it is heard.
        echo: The echo canceller's health, None without one.
    """

    underruns: int = 0
    late_writes: int = 0
    overflows: int = 0
    dropped_secs: float = 0.0
    queue_age_max_secs: float = 0.0
    reopened: int = 0
    output_latency_secs: float = 0.0
    echo: EchoStats | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


class CaptureSink(Protocol):
    """Takes what the microphone gives, after echo cancelling."""

    def captured(self, audio: bytes, at: float) -> None:
        """Take a block of 16-bit mono PCM; on a device thread. ``at`` is the monotonic time of its first sample."""

    def fill_in(self, now: float) -> None:
        """Make up for a microphone that gave nothing until ``now``; on the event loop."""

    @property
    def dropped_secs(self) -> float:
        """Audio dropped so far."""

    @property
    def queue_age_max_secs(self) -> float:
        """Age of the oldest block let through so far."""


class SessionEvents(Protocol):
    """Told, on the event loop, what happens to the devices."""

    def device_problem(self, message: str) -> None:
        """A device failed or is gone."""

    def device_recovered(self, message: str) -> None:
        """All devices are open again."""

    def half_duplex(self, active: bool) -> None:
        """Echo cancelling stopped working, or works again."""


class LocalSession:
    """Ring, echo canceller and devices of one conversation, used by both processors of the transport.

    The loudspeaker's thread pulls from `ring` and reports what it wrote; from that come the echo canceller's reference,
    the tap's recording and the device clock. The microphone's thread cancels, then hands on.
    """

    def __init__(self, params: LocalDuplexParams, events: SessionEvents):
        """Prepare; nothing is opened yet.

        Args:
            params: Devices, echo cancelling and buffers.
            events: Told what happens.
        """
        self.params = params
        self._events = events
        self._input_rate = params.audio_in_sample_rate or _DEFAULT_INPUT_RATE
        self._output_rate = params.audio_out_sample_rate or _DEFAULT_OUTPUT_RATE
        self._tap: AudioTap | None = params.tap
        self._sink: CaptureSink | None = None
        self._users: set[FrameProcessor] = set()
        self._watcher: FrameProcessor | None = None
        self._watch_task: asyncio.Task | None = None
        self._starting = asyncio.Lock()
        self._build()

    def _build(self) -> None:
        params = self.params
        self._rates_changed = False
        self.ring = Loudspeaker(self._output_rate, params.output_ring_secs)
        self.output_latency_secs = params.output_buffer_secs
        """Time from handing audio to the loudspeaker's device until it is heard."""
        self._heard = HeardClock()
        duplex = params.audio_in_enabled and params.audio_out_enabled
        self._echo = (
            EchoCanceller(
                self._input_rate,
                noise_suppression=params.noise_suppression,
                lead_secs=0.6 * min(0.05, params.output_buffer_secs),
            )
            if duplex and params.echo_cancel
            else None
        )
        self._reference_resampler = StreamResampler(self._output_rate, self._input_rate)
        self._device = DuplexDevice(
            input_rate=self._input_rate if params.audio_in_enabled else None,
            output_rate=self._output_rate if params.audio_out_enabled else None,
            buffer_secs=params.output_buffer_secs,
            on_captured=self._captured,
            source=self.ring.read,
            on_rendered=self._rendered,
        )
        wanted: dict[Direction, str | None] = {}
        if params.audio_in_enabled:
            wanted[Direction.INPUT] = params.input_device
        if params.audio_out_enabled:
            wanted[Direction.OUTPUT] = params.output_device
        self._keeper = DeviceKeeper(
            self._device,
            wanted,
            on_problem=self._events.device_problem,
            on_recovered=self._events.device_recovered,
            before_reopen=self._before_reopen,
            on_other_devices=self._other_devices,
            on_tick=self._tick,
        )
        self._half_duplex = False

    @property
    def stats(self) -> LocalAudioStats:
        """Counters so far."""
        sink = self._sink
        return LocalAudioStats(
            underruns=self._device.underruns,
            late_writes=self.ring.late_writes,
            overflows=self._device.overflows,
            dropped_secs=sink.dropped_secs if sink else 0.0,
            queue_age_max_secs=sink.queue_age_max_secs if sink else 0.0,
            reopened=self._keeper.reopened,
            output_latency_secs=self.output_latency_secs,
            echo=self._echo.stats if self._echo else None,
        )

    def configure(self, *, input_rate: int | None = None, output_rate: int | None = None) -> None:
        """Learn a sample rate from the pipeline; one that differs from what is open takes effect at `start`.

        Args:
            input_rate: Samples per second of the microphone's frames.
            output_rate: Samples per second of the loudspeaker's frames.
        """
        rates = (input_rate or self._input_rate, output_rate or self._output_rate)
        if rates != (self._input_rate, self._output_rate):
            self._input_rate, self._output_rate = rates
            self._rates_changed = True

    def capture_to(self, sink: CaptureSink) -> None:
        """Choose who takes what the microphone gives."""
        self._sink = sink

    def heard_position(self) -> int:
        """The position in `ring` up to which the user has heard the bot by now."""
        return self._heard.heard(time.monotonic())

    async def open(self) -> None:
        """Open the devices, if they are not.

        Raises:
            ConfigurationError: If a device is missing, busy or not allowed, or the name fits none.
        """
        if self._rates_changed:
            await self._keeper.close()
            self._build()
        await self._keeper.open()

    async def start(self, processor: FrameProcessor) -> None:
        """Open the devices for one of the two processors and watch over them; ends the pipeline if they do not open.

        Args:
            processor: Whose task watches, if none does yet.
        """
        self._users.add(processor)
        try:
            async with self._starting:
                if not self._watch_task:
                    await self.open()
                    self._watcher, self._watch_task = processor, processor.create_task(self._keeper.run())
        except ConfigurationError as error:
            await processor.push_error(str(error), exception=error, force_treat_as_permanent=True)
            await processor.push_frame(CancelWorkerFrame(reason=str(error)), FrameDirection.UPSTREAM)

    async def release(self, processor: FrameProcessor) -> None:
        """Let one processor go; the devices are closed after the last.

        Args:
            processor: One for which `start` was called, or not.
        """
        self._users.discard(processor)
        if self._watch_task and self._watcher and (processor is self._watcher or not self._users):
            task, self._watch_task = self._watch_task, None
            await self._watcher.cancel_task(task)
        if not self._users:
            await self._keeper.close()

    def use_device(self, direction: Direction, name: str | None) -> None:
        """Have another device opened.

        Args:
            direction: Which one.
            name: Its name or part of it, or None for the system's default.
        """
        self._keeper.want(direction, name)

    async def close(self) -> None:
        """Close the devices."""
        await self._keeper.close()

    def _captured(self, samples: np.ndarray, at: float) -> None:
        if self._tap:
            self._tap.captured(samples.tobytes(), self._input_rate, at)
        if self._echo:
            pending = self._echo.pending_secs
            samples = self._echo.process(samples, at)
            at -= pending
        if self._sink and len(samples):
            self._sink.captured(samples.tobytes(), at)

    def _rendered(self, samples: np.ndarray, heard_at: float) -> None:
        if self._echo:
            resampler = self._reference_resampler
            self._echo.reference(resampler.process(samples), heard_at - resampler.delay_secs)
        length = len(samples) / self._output_rate
        self.output_latency_secs = max(0.0, heard_at - time.monotonic())
        self._heard.handed_over(self.ring.taken, heard_at + length)
        if self._tap:
            self._tap.played(samples.tobytes(), self._output_rate, heard_at)

    def _before_reopen(self) -> None:
        if self._echo:
            self._echo.restart()

    def _other_devices(self) -> None:
        if self._echo:
            self._echo.move()

    def _tick(self, now: float) -> None:
        if self._sink:
            self._sink.fill_in(now)
        half_duplex = self._echo is not None and self._echo.stats.half_duplex
        if half_duplex != self._half_duplex:
            self._half_duplex = half_duplex
            self._events.half_duplex(half_duplex)
