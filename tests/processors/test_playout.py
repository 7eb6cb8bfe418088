"""Ducking and fading in front of transports that can do neither themselves."""

import asyncio
import time
from contextlib import asynccontextmanager

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pipecat.frames.frames import (
    EndFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.processors.frames import DuckFrame
from halfcascade.processors.playout import Playout, PlayoutFilter
from tests.in_virtual_time import in_virtual_time

RATE = 8_000


async def _shaped(blocks: list[bytes], changes: dict[int, tuple[float, float]]) -> np.ndarray:
    shaping = PlayoutFilter()
    await shaping.start(RATE)
    out = b""
    for index, block in enumerate(blocks):
        if index in changes:
            shaping.set_gain(*changes[index])
        out += await shaping.filter(block)
    return np.frombuffer(out, "<i2")


@given(
    lengths=st.lists(st.integers(1, 400), min_size=1, max_size=20),
    gain=st.floats(0.0, 1.0),
    ramp=st.floats(0.0, 0.2),
)
def test_a_gain_moves_without_steps_and_gets_there(lengths, gain, ramp):
    blocks = [np.full(length, 10_000, "<i2").tobytes() for length in lengths]
    out = asyncio.run(_shaped(blocks, {0: (gain, ramp)}))
    assert len(out) == sum(lengths)
    steps = np.abs(np.diff(np.concatenate([[10_000], out.astype(int)])))
    assert steps.max() <= 10_000 * (1 - gain) / max(1, int(ramp * RATE)) + 1.5
    if len(out) > ramp * RATE + 1:
        assert abs(out[-1] - 10_000 * gain) <= 1


async def test_at_full_loudness_nothing_is_changed():
    noise = np.random.default_rng(1).integers(-32768, 32767, 800).astype("<i2").tobytes()
    assert (await _shaped([noise, noise], {})).tobytes() == noise + noise
    assert (await _shaped([noise, noise], {0: (0.25, 0.01), 1: (1.0, 0.0)})).tobytes()[-1600:] == noise


@given(samples=st.lists(st.integers(-32768, 32767), min_size=1, max_size=400))
def test_cut_speech_goes_on_where_it_ended_and_fades_within_its_block(samples):
    async def cut() -> np.ndarray:
        shaping = PlayoutFilter()
        await shaping.start(RATE)
        block = np.array(samples, "<i2").tobytes()
        await shaping.filter(block)
        frame = shaping.fade_out()
        assert frame is not None and not frame.interruptible and len(frame.audio) == len(block)
        assert shaping.fade_out() is None
        return np.frombuffer(frame.audio, "<i2")

    ending = asyncio.run(cut())
    assert ending[0] == samples[-1]
    assert len(ending) < 2 or not ending[int(0.01 * RATE) :].any()


class _Line(BaseOutputTransport):
    """Any output transport of Pipecat's: plays in real time what leaves it."""

    def __init__(self, params: TransportParams):
        super().__init__(params)
        self.played: list[tuple[float, bytes]] = []
        self.wrote = asyncio.Event()

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        self.played.append((time.monotonic(), frame.audio))
        self.wrote.set()
        await asyncio.sleep(len(frame.audio) / 2 / RATE)
        return True


@asynccontextmanager
async def line():
    """A running pipeline of one output, and what to queue frames with."""
    playout = Playout()
    params = TransportParams(
        audio_out_enabled=True,
        audio_out_sample_rate=RATE,
        audio_out_filter=playout.filter,
        audio_out_end_silence_secs=0,
    )
    transport = _Line(params)
    worker = PipelineWorker(
        Pipeline([playout.processor, transport]),
        params=PipelineParams(audio_out_sample_rate=RATE),
        idle_timeout_secs=None,
        enable_rtvi=False,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    yield worker, transport
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 10)


def _tone(secs: float) -> TTSAudioRawFrame:
    wave = 12_000 * np.sin(np.arange(int(secs * RATE)) * 2 * np.pi * 200 / RATE)
    return TTSAudioRawFrame(wave.astype("<i2").tobytes(), RATE, 1)


async def _until(line: _Line, blocks: int) -> None:
    while len(line.played) < blocks:
        line.wrote.clear()
        await asyncio.wait_for(line.wrote.wait(), 10)


@in_virtual_time
async def test_ducking_reaches_audio_that_is_queued_already():
    async with line() as (worker, transport):
        await worker.queue_frame(_tone(3.0))
        await _until(transport, 5)
        await worker.queue_frame(DuckFrame(gain=0.1, ramp_secs=0.02))
        ducked = len(transport.played)
        await _until(transport, ducked + 5)
        peaks = [np.abs(np.frombuffer(audio, "<i2").astype(int)).max() for _, audio in transport.played]
        assert max(peaks[: ducked - 1]) > 11_000
        assert max(peaks[ducked + 2 :]) < 1_300


@in_virtual_time
async def test_interrupted_speech_fades_and_leaves_nothing_for_the_next():
    async with line() as (worker, transport):
        await worker.queue_frame(_tone(3.0))
        await _until(transport, 5)
        await worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.4)
        sound = np.frombuffer(b"".join(audio for _, audio in transport.played), "<i2").astype(int)
        assert len(sound) < 1.0 * RATE
        assert not sound[-200:].any()
        assert np.abs(np.diff(sound)).max() < 2_200  # the tone's own steepest step is 1885
        said = len(transport.played)
        await worker.queue_frames([_tone(0.2), TTSStoppedFrame()])
        await _until(transport, said + 5)
        assert np.frombuffer(transport.played[said][1], "<i2")[1] > 1_000


@in_virtual_time
async def test_an_interruption_while_nobody_speaks_plays_nothing():
    async with line() as (worker, transport):
        await worker.queue_frames([_tone(0.2), TTSStoppedFrame()])
        await asyncio.sleep(0.5)
        said = len(transport.played)
        await worker.queue_frame(InterruptionFrame())
        await asyncio.sleep(0.2)
        assert len(transport.played) == said
