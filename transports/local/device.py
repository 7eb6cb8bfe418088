"""The devices of a local conversation: one microphone and one loudspeaker with the threads that serve them.

Nothing of Pipecat is known here. Captured blocks leave through a callback on PortAudio's thread; what is played is
pulled from a callback on the playback thread, so neither depends on the event loop.
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from loguru import logger

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra
from halfcascade.transports.clocks import BlockClock
from halfcascade.transports.devices import Device, Direction, PortAudio, open_failure, quiet, routed
from halfcascade.transports.resample import StreamResampler

try:
    import pyaudio
except ImportError as error:  # also where PortAudio itself is missing
    raise missing_extra("talk", error) from error

CAPTURE_BLOCK_SECS = 0.02
"""One capture callback: two frames of AEC3, and what Pipecat's own transport uses."""

_RENDER_BLOCK_SECS = 0.01
_SWITCH_SECS = 0.001
"""How soon a busy Python thread has to let device threads in. Python's default of 5 ms, several times for each block,
is more than a device buffer can take (46 gaps in 12 s of speech beside one busy thread)."""

_START_SECS = 1.5
"""Grace for a device to begin: Bluetooth, and PulseAudio's first opening, take that long."""

_POLL_SECS = 0.005
_JOIN_SECS = 2.0

CaptureHandler = Callable[[np.ndarray, float], None]
"""Takes int16 mono samples and the ``time.monotonic()`` of the first."""

RenderSource = Callable[[int], np.ndarray]
"""Gives so many int16 mono samples to play next."""

RenderedHandler = Callable[[np.ndarray, float], None]
"""Learns what was handed to the loudspeaker, and the ``time.monotonic()`` at which its first sample is heard."""


@dataclass(frozen=True)
class DeviceHealth:
    """What the watchdog looks at.

    Parameters:
        input_open: Whether a microphone is open.
        output_open: Whether a loudspeaker is open.
        captured_at: ``time.monotonic()`` of the last capture callback, or of opening.
        rendered_at: ``time.monotonic()`` at which the loudspeaker last took audio, or of opening.
        error: What the loudspeaker failed with, if it did.
    """

    input_open: bool = False
    output_open: bool = False
    captured_at: float = 0.0
    rendered_at: float = 0.0
    error: str | None = None


class CaptureStream:
    """An open microphone."""

    def __init__(self, portaudio: PortAudio, device: Device, sample_rate: int, on_block: CaptureHandler):
        """Open and start it.

        Args:
            portaudio: The initialisation that listed the device.
            device: What to open, at its own rate.
            sample_rate: Samples per second that `on_block` wants.
            on_block: Called on PortAudio's thread.

        Raises:
            ConfigurationError: If it does not open.
        """
        form = portaudio.format_for(device, sample_rate)
        self.device = device
        self.called_at = time.monotonic() + _START_SECS
        self.overflows = 0
        self._channels = form.channels
        self._rate = sample_rate
        self._on_block = on_block
        self._resampler = StreamResampler(form.sample_rate, sample_rate)
        self._clock = BlockClock(sample_rate, catches_up=True)
        self._failed = False
        try:
            with quiet(), routed(device):
                self._stream = portaudio.api.open(
                    rate=form.sample_rate,
                    channels=form.channels,
                    format=pyaudio.paInt16,
                    input=True,
                    input_device_index=device.index,
                    frames_per_buffer=round(form.sample_rate * CAPTURE_BLOCK_SECS),
                    stream_callback=self._callback,
                )
        except (OSError, ValueError) as error:
            raise open_failure(device, error) from error

    def close(self) -> None:
        """Stop and release it; also when the device is gone."""
        with quiet():
            try:
                self._stream.close()
            except OSError as error:
                logger.debug(f"closing the microphone: {error}")

    def _callback(
        self, data: bytes | None, _count: int, _times: object, status: int
    ) -> tuple[None, int]:  # PortAudio's own times are off by up to a block with ALSA's PulseAudio plugin
        now = self.called_at = time.monotonic()
        if status & pyaudio.paInputOverflow:
            self.overflows += 1
            self._clock.resync()
        try:
            block = np.frombuffer(data or b"", np.int16)[:: self._channels]
            block = self._resampler.process(block)
            length = len(block) / self._rate
            self._on_block(block, self._clock.stamp(now - length, len(block)) - self._resampler.delay_secs)
        except Exception as error:  # an exception out of a callback would end the stream without a word
            if not self._failed:
                self._failed = True
                logger.exception(f"microphone callback failed: {error}")
        return None, pyaudio.paContinue


class PlaybackStream:
    """An open loudspeaker with the thread that keeps it fed.

    The thread never blocks in a write: it asks the device how much it holds and tops it up to a target, silence
    included. What the device holds is what a user still hears after an interruption, and what a late thread may
    take without a gap. Measured on PulseAudio with 20 ms periods: 40 ms hold 20 to 38 ms of sound after a stop, 60 ms
    hold 38 to 57; below 30 there are underruns.
    """

    def __init__(
        self,
        portaudio: PortAudio,
        device: Device,
        sample_rate: int,
        *,
        buffer_secs: float,
        source: RenderSource,
        on_rendered: RenderedHandler,
    ):
        """Open it and start the thread.

        Args:
            portaudio: The initialisation that listed the device.
            device: What to open, at its own rate.
            sample_rate: Samples per second that `source` gives.
            buffer_secs: How much audio to keep in the device.
            source: Called on the thread for what is played next.
            on_rendered: Called on the thread with what was just written.

        Raises:
            ConfigurationError: If it does not open.
        """
        form = portaudio.format_for(device, sample_rate)
        self.device = device
        self.underruns = 0
        self.took_at = time.monotonic() + _START_SECS
        self.error: str | None = None
        self._rate, self._device_rate, self._channels = sample_rate, form.sample_rate, form.channels
        self._source, self._on_rendered = source, on_rendered
        self._resampler = StreamResampler(sample_rate, form.sample_rate)
        self._clock = BlockClock(sample_rate)
        self._target = int(buffer_secs * form.sample_rate)
        self._rendered_frames = int(_RENDER_BLOCK_SECS * form.sample_rate)
        try:
            with quiet(), routed(device):
                self._stream = portaudio.api.open(
                    rate=form.sample_rate,
                    channels=form.channels,
                    format=pyaudio.paInt16,
                    output=True,
                    output_device_index=device.index,
                    # PortAudio's ALSA buffer holds three of these: enough for the target and a period.
                    frames_per_buffer=round(form.sample_rate * buffer_secs * 0.4),
                )
        except (OSError, ValueError) as error:
            raise open_failure(device, error) from error
        self._capacity = self._stream.get_write_available()
        self._target = min(self._target, self._capacity)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loudspeaker", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and release the device, what it still holds unheard."""
        self._over.set()
        self._thread.join(_JOIN_SECS)
        if self._thread.is_alive():
            # Closing a stream while another thread is inside it crashes; a stuck one is rather left behind.
            logger.warning("the loudspeaker's thread hangs in the sound system and is left behind")
            return
        with quiet():
            try:
                self._stream.close()
            except OSError as error:
                logger.debug(f"closing the loudspeaker: {error}")

    def _run(self) -> None:
        try:
            primed = False
            while not self._over.is_set():
                held = self._capacity - self._available()
                if primed and held <= 0:
                    self.underruns += 1
                    self._clock.resync()
                # At the start the device is filled whole: it plays nothing before that.
                goal = self._target if primed else self._capacity
                primed = primed or held >= self._target
                if goal - held >= self._rendered_frames:
                    self._top_up(held, goal)
                time.sleep(_POLL_SECS)
        except OSError as error:
            self.error = str(error.args[0] if error.args else error)
        except Exception as error:
            logger.exception(f"loudspeaker thread failed: {error}")
            self.error = str(error)

    def _available(self) -> int:
        available = self._stream.get_write_available()
        if available < 0:
            raise OSError(f"PortAudio error {available}")
        return available

    def _top_up(self, held: int, goal: int) -> None:
        """Write whole blocks up to the goal, in one go: every call out of Python may have to wait to come back in."""
        blocks = (goal - held) // self._rendered_frames
        samples = self._source(blocks * round(self._rate * _RENDER_BLOCK_SECS))
        converted = self._resampler.process(samples)
        data = np.repeat(converted, self._channels) if self._channels > 1 else converted
        heard_at = time.monotonic() + held / self._device_rate + self._resampler.delay_secs
        self._stream.write(data.tobytes(), len(converted))
        self.took_at = time.monotonic()
        self._on_rendered(samples, self._clock.stamp(heard_at, len(samples)))


class DuplexDevice:
    """Opens, closes and reopens microphone and loudspeaker together.

    `open` and `close` block for up to a second: call them from one worker thread.
    """

    def __init__(
        self,
        *,
        input_rate: int | None,
        output_rate: int | None,
        buffer_secs: float,
        on_captured: CaptureHandler,
        source: RenderSource,
        on_rendered: RenderedHandler,
    ):
        """Describe the conversation's audio; nothing is opened yet.

        Args:
            input_rate: Samples per second wanted from the microphone, or None for no microphone.
            output_rate: Samples per second given to the loudspeaker, or None for no loudspeaker.
            buffer_secs: How much audio the loudspeaker device holds.
            on_captured: Takes what was captured, on a device thread.
            source: Gives what is played, on a device thread.
            on_rendered: Learns what was played, on a device thread.
        """
        self.input: Device | None = None
        self.output: Device | None = None
        self._input_rate, self._output_rate = input_rate, output_rate
        self._buffer_secs = buffer_secs
        self._on_captured, self._source, self._on_rendered = on_captured, source, on_rendered
        self._portaudio: PortAudio | None = None
        self._capture: CaptureStream | None = None
        self._playback: PlaybackStream | None = None
        self._past_underruns = self._past_overflows = 0

    @property
    def underruns(self) -> int:
        """Times the loudspeaker had nothing left to play."""
        return self._past_underruns + (self._playback.underruns if self._playback else 0)

    @property
    def overflows(self) -> int:
        """Times the system reported captured audio as lost."""
        return self._past_overflows + (self._capture.overflows if self._capture else 0)

    @property
    def health(self) -> DeviceHealth:
        """What the threads last did."""
        capture, playback = self._capture, self._playback
        return DeviceHealth(
            input_open=capture is not None,
            output_open=playback is not None,
            captured_at=capture.called_at if capture else 0.0,
            rendered_at=playback.took_at if playback else 0.0,
            error=playback.error if playback else None,
        )

    def open(self, input_wanted: str | None, output_wanted: str | None, *, partly: bool = False) -> None:
        """Open what the conversation needs, on a fresh PortAudio.

        Args:
            input_wanted: Name of the microphone or part of it, or None for the default.
            output_wanted: Name of the loudspeaker or part of it, or None for the default.
            partly: Whether one of the two is enough.

        Raises:
            ConfigurationError: If a device is missing or does not open.
        """
        self.close()
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_SECS))
        self.input = self.output = None
        self._portaudio = PortAudio()
        failures: list[ConfigurationError] = []
        wanted = 0
        if self._output_rate:
            wanted += 1
            try:
                self.output = self._portaudio.choose(Direction.OUTPUT, output_wanted)
                self._playback = PlaybackStream(
                    self._portaudio,
                    self.output,
                    self._output_rate,
                    buffer_secs=self._buffer_secs,
                    source=self._source,
                    on_rendered=self._on_rendered,
                )
            except ConfigurationError as error:
                failures.append(error)
        if self._input_rate:
            wanted += 1
            try:
                self.input = self._portaudio.choose(Direction.INPUT, input_wanted)
                self._capture = CaptureStream(self._portaudio, self.input, self._input_rate, self._on_captured)
            except ConfigurationError as error:
                failures.append(error)
        if failures and (not partly or len(failures) == wanted):
            self.close()
            raise failures[0]

    def close(self) -> None:
        """Close what is open."""
        if self._capture:
            self._past_overflows += self._capture.overflows
            self._capture.close()
            self._capture = None
        if self._playback:
            self._past_underruns += self._playback.underruns
            self._playback.close()
            self._playback = None
        if self._portaudio:
            self._portaudio.close()
            self._portaudio = None
