"""Detector, ears and turns against the emulator, over gRPC, on real speech in real time."""

import asyncio
import json
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair, LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from halfcascade.emulator.faults import Fault
from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.turns import SpeechDetector, user_turn_strategies
from halfcascade.processors.turns.words import normalize

DATA = Path(__file__).parents[2] / "data"
SCENARIO = {"recordings": [{"index": str(DATA / "recordings.json")}]}
RATE = 16_000
BLOCK = 320
# Generous: the user's words must come through on a machine that has no time.
TURN_SECS = 30.0


def recording(name: str) -> tuple[np.ndarray, dict]:
    entries = json.loads((DATA / "recordings.json").read_text("utf-8"))
    entry = next(entry for entry in entries if entry["name"] == name)
    return soundfile.read(DATA / entry["file"], dtype="int16")[0], entry


class Watch(FrameProcessor):
    def __init__(self):
        super().__init__()
        self.finals: list[TranscriptionFrame] = []
        self.turns: list[str] = []
        self.asked = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.finals.append(frame)
        elif isinstance(frame, LLMContextFrame):
            self.turns.append(frame.context.messages[-1]["content"])
            self.asked.set()
        await self.push_frame(frame, direction)


async def listen(samples: np.ndarray, *, streams: StreamParams | None = None, tail: float = 1.5) -> Watch:
    """Play audio in real time, then silence until the turn has ended."""
    watch = Watch()
    params = LLMUserAggregatorParams(user_turn_strategies=user_turn_strategies("en-US"))
    user = LLMContextAggregatorPair(LLMContext(), user_params=params, realtime_service_mode=False).user()
    chain = [SpeechDetector(), GoogleStreamingSTTService(streams=streams), watch, user, Watch()]
    chain[-1] = watch_turns = Watch()
    worker = PipelineWorker(
        Pipeline(chain), params=PipelineParams(audio_in_sample_rate=RATE), cancel_on_idle_timeout=False
    )
    started = asyncio.Event()
    worker.add_event_handler("on_pipeline_started", lambda *_: started.set())
    quiet = np.random.default_rng(0).integers(-16, 16, BLOCK).astype(np.int16)

    async def play():
        await started.wait()
        loop = asyncio.get_running_loop()
        begin, number = loop.time(), 0
        blocks = [samples[i : i + BLOCK] for i in range(0, len(samples), BLOCK)]
        while number < len(blocks) + tail * RATE / BLOCK or not watch_turns.asked.is_set():
            number += 1
            await asyncio.sleep(max(0.0, begin + number * BLOCK / RATE - loop.time()))
            block = blocks[number - 1] if number <= len(blocks) else quiet
            await worker.queue_frame(InputAudioRawFrame(block.tobytes(), RATE, 1))
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.wait_for(asyncio.gather(runner.run(), play()), TURN_SECS)
    watch.turns = watch_turns.turns
    return watch


async def test_a_turn_over_a_pause_comes_as_one(google_emulator_factory):
    google = await google_emulator_factory(scenario=SCENARIO, profile="reference")
    samples, entry = recording("mid_pause")
    heard = await listen(samples)
    assert normalize(heard.turns[0]) == normalize(entry["text"].replace("[1.4] ", ""))
    assert len(heard.turns) == 1
    assert len(google.log.find("speech", "half_close")) >= 2


async def test_only_speech_is_sent(google_emulator_factory):
    google = await google_emulator_factory(scenario=SCENARIO, profile="reference")
    samples, entry = recording("weather")
    heard = await listen(np.concatenate([np.zeros(3 * RATE, np.int16), samples]), tail=3.0)
    assert normalize(heard.turns[0]) == normalize(entry["text"])
    sent = sum(event.data.get("bytes", 0) for event in google.log.find("speech", "audio")) / (2 * RATE)
    speech = entry["end"] - entry["start"]
    # The pre-roll, and at most one consonant taken for a pause, whose segment is sent again.
    assert speech < sent < 2 * (speech + 1.0)


@pytest.mark.parametrize("seed", [1])
async def test_no_word_is_lost_when_streams_drop_and_roll_over_at_random(google_emulator_factory, seed):
    rng = np.random.default_rng(seed)
    faults = [Fault("speech", "drop", at=float(rng.uniform(0.3, 2.0))) for _ in range(4)]
    google = await google_emulator_factory(scenario=SCENARIO, profile="reference", faults=faults)
    samples, entry = recording("reading")
    words = [word for word in entry["words"] if word["end"] < 9.0]
    end = round((words[-1]["end"] + entry["words"][len(words)]["start"]) / 2 * RATE)
    heard = await listen(samples[:end], streams=StreamParams(max_stream_secs=1.5, rollover_grace_secs=0.3), tail=3.0)
    said = normalize(" ".join(word["word"] for word in words))
    compared = jiwer.process_words(said, normalize(" ".join(frame.text for frame in heard.finals)))
    assert (compared.deletions, compared.insertions, compared.substitutions) == (0, 0, 0), compared.hypotheses
    assert len(google.log.find("speech", "open")) > 4
