"""A transport without devices: its microphone is a recording, its loudspeaker is paced like a sound card."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from halfcascade.processors.frames import DuckFrame
from halfcascade.transports.speaking import OwnLoudspeaker, ToldAsPlayed
from halfcascade.transports.tap import AudioTap
from halfcascade.transports.wav_card import Samples, SoundCard
from halfcascade.transports.wav_file import check_wav, read_wav, to_samples


class WavTransportParams(TransportParams):
    """Configuration of a ``WavTransport``.

    Parameters:
        user_audio: What the microphone hears: a WAV file of any rate, channel count and sample width, an array of
            samples (``int16``, or floats within ±1; a second axis holds channels), anything that gives such an array
            (``int16``, one channel, the pipeline's rate) for each slice of it, or None for silence.
        user_audio_rate: Samples per second of an array; None means the pipeline's input rate.
        buffer_secs: How much speech the loudspeaker holds ahead of what is heard. A stall of the event loop
            shorter than this leaves no gap.
        tap: Receives what was captured and played, or None.
    """

    audio_in_enabled: bool = True
    audio_out_enabled: bool = True
    audio_out_10ms_chunks: int = 2
    audio_out_end_silence_secs: int = 0
    # Nobody is at the other end who could have gone: a write that takes long is that of a process that was stopped.
    audio_out_write_timeout_secs: float = 86_400.0
    user_audio: Any = None
    user_audio_rate: int | None = None
    buffer_secs: float = 0.06
    tap: Any = None


@dataclass(frozen=True)
class WavStats:
    """Counters of a conversation without devices.

    Parameters:
        underruns: Gaps within speech because it came too late.
        underrun_secs: Their total length.
    """

    underruns: int = 0
    underrun_secs: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return asdict(self)


def _load(params: WavTransportParams, sample_rate: int) -> Samples:
    source = params.user_audio
    if source is None:
        return np.zeros(0, dtype=np.int16)
    if isinstance(source, np.ndarray):
        return to_samples(source, params.user_audio_rate or sample_rate, sample_rate)
    return read_wav(Path(source), sample_rate) if isinstance(source, str | Path) else source


class _Device:
    """Owns the sound card and the task that keeps it in step with the monotonic clock."""

    def __init__(self, params: WavTransportParams, on_finished: Callable[[], Any]):
        self._params = params
        self._on_finished = on_finished
        self._pump: tuple[FrameProcessor, asyncio.Task] | None = None
        self._ticked = asyncio.Event()
        self._heard: Samples = np.zeros(0, dtype=np.int16)
        self._in_rate = 0
        self._out_rate = 0
        self.card: SoundCard | None = None
        self.microphone: WavInputTransport | None = None

    async def load(self, in_rate: int) -> None:
        self._in_rate = in_rate
        self._heard = await asyncio.to_thread(_load, self._params, in_rate)

    def open_loudspeaker(self, out_rate: int) -> None:
        self._out_rate = out_rate

    def start(self, owner: FrameProcessor) -> None:
        if self._pump:
            return
        # A side that is not part of the pipeline still has its half of the card, at the other side's rate.
        in_rate, out_rate = self._in_rate or self._out_rate, self._out_rate or self._in_rate
        self.card = SoundCard(self._heard, in_rate, out_rate)
        self.card.start(time.monotonic())
        self._pump = owner, owner.create_task(self._run(self.card, in_rate, out_rate))

    async def close(self, owner: FrameProcessor) -> None:
        if self._pump and self._pump[0] is owner:
            await owner.cancel_task(self._pump[1])
            self._ticked.set()

    async def _run(self, card: SoundCard, in_rate: int, out_rate: int) -> None:
        tap: AudioTap | None = self._params.tap
        finished = False
        while True:
            await asyncio.sleep(max(0.0, card.next_at - time.monotonic()))
            for period in card.advance(time.monotonic()):
                if tap:
                    tap.captured(period.captured, in_rate, period.at)
                    tap.played(period.played, out_rate, period.at)
                if self.microphone:
                    await self.microphone.hear(period.captured)
            self._ticked.set()
            if not finished and card.heard_all:
                finished = True
                await self._on_finished()

    async def play(self, samples: Samples, *, interruptible: bool) -> bool:
        if not self.card or not self._pump or self._pump[1].done():
            return False
        speaker = self.card.loudspeaker
        speaker.write(samples, interruptible=interruptible)
        await self._wait_until(lambda: speaker.queued_secs <= self._params.buffer_secs)
        return True

    async def wait_until_silent(self) -> None:
        """Wait until all that was queued has been heard or dropped."""
        if self.card:
            speaker = self.card.loudspeaker
            await self._wait_until(lambda: speaker.silent)

    async def _wait_until(self, condition: Callable[[], bool]) -> None:
        while self._pump and not self._pump[1].done() and not condition():
            self._ticked.clear()
            await self._ticked.wait()


class WavInputTransport(BaseInputTransport):
    """The microphone: a recording in real time, 20 ms a frame, silence after its end."""

    def __init__(self, device: _Device, params: WavTransportParams, *, alone: Callable[[], bool], **kwargs: Any):
        super().__init__(params, **kwargs)
        self._device = device
        self._alone = alone

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Read the recording.

        Args:
            setup: Sample rates and services of the pipeline.
        """
        await super().setup(setup)
        await self._device.load(self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Get ready to stream; the recording begins when the whole pipeline can hear it.

        Args:
            frame: The start frame.
        """
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._alone():
            self._device.start(self)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Begin once the loudspeaker at the far end reports that it is ready.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, OutputTransportReadyFrame):
            self._device.start(self)

    async def hear(self, audio: bytes) -> None:
        """Take one captured block.

        Args:
            audio: 16-bit mono PCM at the input sample rate.
        """
        if self._audio_task:
            await self.push_audio_frame(InputAudioRawFrame(audio=audio, sample_rate=self.sample_rate, num_channels=1))

    async def cleanup(self) -> None:
        """Stop the card."""
        await self._device.close(self)
        await super().cleanup()


class WavOutputTransport(ToldAsPlayed, OwnLoudspeaker):
    """The loudspeaker: takes speech no faster than it would be heard."""

    def __init__(self, device: _Device, params: WavTransportParams, *, alone: Callable[[], bool], **kwargs: Any):
        super().__init__(params, **kwargs)
        self._device = device
        self._alone = alone

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rate.

        Args:
            setup: Sample rates and services of the pipeline.
        """
        await super().setup(setup)
        self._device.open_loudspeaker(self.sample_rate)

    async def start(self, frame: StartFrame) -> None:
        """Tell the microphone that everything before the loudspeaker has started.

        Args:
            frame: The start frame.
        """
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._alone():
            self._device.start(self)

    async def stop(self, frame: EndFrame) -> None:
        """Let what is queued be heard, then stop.

        Args:
            frame: The end frame.
        """
        await super().stop(frame)
        await self.wait_until_silent()

    async def wait_until_silent(self) -> None:
        """Wait until all that was queued has been heard or dropped."""
        await self._device.wait_until_silent()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Silence the card at once on an interruption, change its loudness at once on a ``DuckFrame``.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        speaker = self._device.card.loudspeaker if self._device.card else None
        if speaker and isinstance(frame, DuckFrame):
            speaker.set_gain(frame.gain, frame.ramp_secs)
        if speaker and isinstance(frame, InterruptionFrame):
            speaker.flush()
        await super().process_frame(frame, direction)
        if speaker and isinstance(frame, InterruptionFrame):
            # A chunk may have slipped in before the base class emptied its own queue.
            speaker.flush()

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Say that the bot started speaking with its first block, that it stopped when its last sample was played.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if isinstance(frame, BotStoppedSpeakingFrame) and self._device.card:
            self._device.card.loudspeaker.end_speech()
        await super().push_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Queue speech, and wait while more than the card's buffer is ahead.

        Args:
            frame: Speech at the output sample rate.

        Returns:
            Whether it was taken; False if an interruption overtook it.
        """
        if not await self.plays(frame):
            return False
        samples = np.frombuffer(frame.audio, dtype=np.int16)
        return await self._device.play(samples, interruptible=frame.interruptible)

    async def cleanup(self) -> None:
        """Stop the card."""
        await self._device.close(self)
        await super().cleanup()


class WavTransport(BaseTransport):
    """A recording as the user, a paced recording as the loudspeaker.

    Event handlers:

    - ``on_user_audio_finished(transport)``: the last sample of the user audio has been captured; silence follows.

    Args:
        params: Configuration, or None for the defaults.
        user_audio: Short for the parameter of that name.
        user_audio_rate: Short for the parameter of that name.
        tap: Short for the parameter of that name.

    Raises:
        ConfigurationError: If the user audio is a missing, empty or non-WAV file.
    """

    def __init__(
        self,
        params: WavTransportParams | None = None,
        *,
        user_audio: Any = None,
        user_audio_rate: int | None = None,
        tap: AudioTap | None = None,
    ):
        super().__init__()
        given = {"user_audio": user_audio, "user_audio_rate": user_audio_rate, "tap": tap}
        self._params = (params or WavTransportParams()).model_copy(
            update={name: value for name, value in given.items() if value is not None}
        )
        if isinstance(self._params.user_audio, str | Path):
            check_wav(Path(self._params.user_audio))
        self._device = _Device(self._params, self._finished)
        self._input: WavInputTransport | None = None
        self._output: WavOutputTransport | None = None
        self._register_event_handler("on_user_audio_finished")

    def input(self) -> FrameProcessor:
        """Get the microphone.

        Returns:
            The input processor.
        """
        if not self._input:
            self._input = WavInputTransport(self._device, self._params, alone=lambda: self._output is None)
            self._device.microphone = self._input
        return self._input

    def output(self) -> FrameProcessor:
        """Get the loudspeaker.

        Returns:
            The output processor.
        """
        if not self._output:
            self._output = WavOutputTransport(self._device, self._params, alone=lambda: self._input is None)
        return self._output

    @property
    def stats(self) -> WavStats:
        """What the card counted so far."""
        if not self._device.card:
            return WavStats()
        speaker = self._device.card.loudspeaker
        return WavStats(speaker.late_writes, round(speaker.late_secs, 3))

    async def _finished(self) -> None:
        logger.debug(f"{self}: the user audio is over")
        await self._call_event_handler("on_user_audio_finished")
