"""What a door alone takes, there and back: a bot that beeps at a click, and the clicks."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from pipecat.frames.frames import Frame, InputAudioRawFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench.dialogue import RATE, Utterance
from bench.door_sound import loud_times
from bench.parties import LOUD, Party
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE
from halfcascade.bot.serve.doors import open_door
from halfcascade.bot.serve.visit import Visit
from halfcascade.processors.playout import Playout

_CLICKS = 12
_BEEP_SECS = 0.2


class Beeper(FrameProcessor):
    """A bot that beeps when it hears a click."""

    def __init__(self, rate: int):
        super().__init__()
        self._rate = rate
        self._quiet = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Beep at the first loud block after silence."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            loud = np.abs(np.frombuffer(frame.audio, "<i2").astype(np.int32)).max(initial=0) > 10 * LOUD
            if loud and self._quiet > 10:
                beep = 8_000 * np.sin(2 * np.pi * 440 * np.arange(round(_BEEP_SECS * self._rate)) / self._rate)
                await self.push_frame(TTSAudioRawFrame(beep.astype("<i2").tobytes(), self._rate, 1))
            self._quiet = 0 if loud else self._quiet + 1


class BeepVisit(Visit):
    """A visit to the beeping bot."""

    async def hold(self) -> Outcome:
        """Beep until the client leaves."""
        playout = Playout()
        door = await open_door(self._arguments, playout, evals=True)
        rate = AUDIO_OUT_RATE if door.name != "twilio" else 8_000
        # RTVI stays in the pipeline: the page and the harness wait for its word that the bot is ready.
        rtvi = [door.rtvi] if door.rtvi else []
        parts = [door.transport.input(), *rtvi, Beeper(rate), playout.processor, door.transport.output()]
        worker = worker_of(parts, rtvi=door.rtvi)

        @door.transport.event_handler("on_client_disconnected")
        async def gone(*_: object) -> None:
            await worker.cancel()

        await run_worker(worker)
        return self._outcome


def worker_of(parts: Sequence[FrameProcessor], rtvi: Any = None) -> PipelineWorker:
    """Make a worker at our rates of a row of processors.

    Args:
        parts: The processors, in order.
        rtvi: The one of them that speaks RTVI, or None.
    """
    params = PipelineParams(audio_in_sample_rate=AUDIO_IN_RATE, audio_out_sample_rate=AUDIO_OUT_RATE)
    parts = [part for part in parts if part is not rtvi]
    return PipelineWorker(
        Pipeline(list(parts)),
        params=params,
        cancel_on_idle_timeout=False,
        enable_rtvi=rtvi is not None,
        rtvi_processor=rtvi,
    )


async def run_worker(worker: PipelineWorker) -> None:
    """Run a worker to its end."""
    runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
    await runner.add_workers(worker)
    await runner.run()


async def click(party: Party) -> list[float]:
    """Click again and again at the beeping bot.

    Returns:
        Seconds from each click to its beep at the client's ear.
    """
    sound = np.zeros(RATE // 10, np.int16)
    sound[: RATE // 20] = 20_000 * np.sin(2 * np.pi * 1_000 * np.arange(RATE // 20) / RATE)
    clicked = []
    dice = np.random.default_rng(7)
    for _ in range(_CLICKS):
        clicked.append((await party.say(Utterance("click", sound, 0.0, "")))[0])
        await asyncio.sleep(0.9 + 0.1 * dice.random())
    starts = loud_times(await party.sound())
    return [float(min(later) - at) for at in clicked if (later := [start for start in starts if 0 < start - at < 0.9])]
