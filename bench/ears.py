"""The ears and the turn alone, over the real wires: what is lost, what is cut, what stops the bot.

Run by ``bench.latency``:

- ``pauses``: turns with a pause of 1.4 s in mid-sentence, and how many of them were cut there.
- ``losses``: words lost and words doubled while streams are replaced and dropped at random moments.
- ``barge_in``: backchannels that stop a speaking bot, and interruptions found within 400 ms of their first sound.
"""

import asyncio
import json
import multiprocessing
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jiwer
import numpy as np
import soundfile
from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMContextFrame,
    TranscriptionFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregatorParams
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench.peers import stock_stt, stock_user_aggregator
from halfcascade.emulator.faults import Fault
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.google_stt.protocol.events import StreamParams
from halfcascade.processors.google_stt.service import GoogleStreamingSTTService
from halfcascade.processors.turns import SpeechDetector, joining_aggregators, user_turn_strategies
from halfcascade.processors.turns.words import normalize

DATA = Path(__file__).parents[1] / "tests" / "data"
RATE = 16_000
BLOCK = 320
PAUSE_SECS = 1.4
# A turn that ends this soon after a pause was cut by it: that the user goes on takes so long to notice.
NOTICED_SECS = 0.3
FOUND_SECS = 0.4
# Recording and number of words before the pause: where people search for a word, not where a sentence could end.
PAUSES = [
    ("weather", 3), ("weather", 5), ("timer", 2), ("timer", 4), ("question", 3), ("question", 5), ("question", 8),
    ("question", 9), ("question", 12), ("mid_pause", 3), ("mid_pause", 4), ("mid_pause", 6), ("numbers", 1),
    ("numbers", 4), ("numbers", 5), ("numbers", 10), ("greeting", 2), ("greeting", 4), ("actually", 3),
    ("unfinished", 4),
]  # fmt: skip
# No word comes so late: a retry's longest back-off, and what a server may take for a final.
SETTLED_SECS = 6.0
# How many conversations run at a time: they take real time, and little computing.
AT_ONCE = 4
# How often the text is read, and by how many processes at a time. Ours meets a dozen drops and roll-overs in a
# reading, and twenty resumptions; the peer's result is plain after two.
READINGS = {"ours": 10, "pipecat": 2}
READERS = 4


@dataclass
class Heard:
    """What came out of the ears and the turns.

    Parameters:
        origin: ``time.monotonic()`` of the first sample.
        finals: Final transcripts, in order.
        turns: Times at which a turn was handed to the brain.
        interruptions: Times at which the bot was stopped.
    """

    origin: float = 0.0
    finals: list[str] = field(default_factory=list)
    turns: list[float] = field(default_factory=list)
    interruptions: list[float] = field(default_factory=list)


class _Watch(FrameProcessor):
    def __init__(self, heard: Heard):
        super().__init__()
        self._heard = heard

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame) and frame.text.strip():
            self._heard.finals.append(frame.text)
        elif isinstance(frame, LLMContextFrame):
            self._heard.turns.append(time.monotonic())
        elif isinstance(frame, InterruptionFrame):
            self._heard.interruptions.append(time.monotonic())
        await self.push_frame(frame, direction)


async def listen(
    system: str,
    samples: np.ndarray,
    *,
    streams: StreamParams | None = None,
    bot_speaks: bool = False,
    settle: bool = False,
) -> Heard:
    """Play audio in real time to ears and turns.

    Args:
        system: ``ours`` or ``pipecat``.
        samples: 16-bit mono at 16 kHz.
        streams: When streams begin and end; stock Pipecat's end at the same age.
        bot_speaks: Whether the bot is speaking all the while.
        settle: Whether to wait afterwards for words that come late.

    Returns:
        What was heard and decided.
    """
    heard = Heard()
    chain = _chain(system, heard, streams)
    worker = PipelineWorker(
        Pipeline(chain), params=PipelineParams(audio_in_sample_rate=RATE), cancel_on_idle_timeout=False
    )
    started = asyncio.Event()
    worker.add_event_handler("on_pipeline_started", lambda *_: started.set())

    async def play() -> None:
        await started.wait()
        if bot_speaks:
            await worker.queue_frame(BotStartedSpeakingFrame())
        await asyncio.sleep(0.3)
        heard.origin = time.monotonic()
        for at in range(0, len(samples), BLOCK):
            await asyncio.sleep(max(0.0, heard.origin + (at + BLOCK) / RATE - time.monotonic()))
            await worker.queue_frame(InputAudioRawFrame(samples[at : at + BLOCK].tobytes(), RATE, 1))
        known = -1
        while settle and known < len(heard.finals):
            known = len(heard.finals)
            await asyncio.sleep(SETTLED_SECS)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await asyncio.gather(runner.run(), play())
    return heard


def _chain(system: str, heard: Heard, streams: StreamParams | None) -> list[FrameProcessor]:
    context = LLMContext()
    if system == "ours":
        params = LLMUserAggregatorParams(user_turn_strategies=user_turn_strategies("en-US"))
        user, _ = joining_aggregators(context, user_params=params)
        return [SpeechDetector(), GoogleStreamingSTTService(streams=streams), _Watch(heard), user, _Watch(heard)]
    stock = stock_stt()
    if streams is not None:
        stock.STREAMING_LIMIT = round(1000 * streams.max_stream_secs)
    return [stock, _Watch(heard), stock_user_aggregator(context).user(), _Watch(heard)]


async def measure_pauses(system: str) -> dict[str, Any]:
    """Say twenty sentences with a pause inside."""
    known = _recordings()

    async def one(name: str, count: int) -> bool:
        entry = known[name]
        samples = _read(entry)
        before, after = entry["words"][count - 1]["end"], entry["words"][count]["start"]
        cut = round((min(before + 0.02, after)) * RATE)
        # Some of the recordings pause there already.
        silence = max(0.0, PAUSE_SECS - (after - before))
        spoken = np.concatenate([samples[:cut], _quiet(silence), samples[cut:], _quiet(2.5)])
        heard = await listen(system, spoken)
        pause_ends = heard.origin + cut / RATE + silence
        return any(pause_ends - silence < turn < pause_ends + NOTICED_SECS for turn in heard.turns)

    cut = await _at_once([partial(one, name, count) for name, count in PAUSES])
    return {"turns": len(cut), "cut": sum(cut), "where": [PAUSES[i] for i, was in enumerate(cut) if was]}


@dataclass
class Losses:
    """What became of words while streams were replaced.

    Parameters:
        words: Said.
        lost: Not understood.
        doubled: Understood twice, or never said.
        wrong: Understood as others.
        drops: Connections that broke.
        rollovers: Streams replaced because of their age.
        resumptions: Streams that went on after a pause.
        where: What was said and what was understood where they differ, shortened.
    """

    words: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    drops: int = 0
    rollovers: int = 0
    resumptions: int = 0
    where: list[str] = field(default_factory=list)

    def __add__(self, other: "Losses") -> "Losses":
        """Count both."""
        return Losses(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def events(self) -> int:
        """Drops, roll-overs and resumptions."""
        return self.drops + self.rollovers + self.resumptions

    def count_streams(self, log: UsageLog, limit_secs: float) -> None:
        """Tell from the server's log why each stream but the first was opened."""
        streams = log.streams("speech")
        dropped = {entry.stream for entry in log.find("speech", "fault")}
        opened = {entry.stream: entry.at for entry in log.find("speech", "open")}
        aged = {e.stream for e in log.find("speech", "half_close") if e.at - opened[e.stream] >= limit_secs} - dropped
        self.drops += len(dropped)
        self.rollovers += len(aged)
        self.resumptions += max(0, len(streams) - 1 - len(dropped) - len(aged))

    def compare(self, entry: dict[str, Any], finals: Sequence[str]) -> None:
        """Compare what was said with what was understood."""
        said = normalize(" ".join(word["word"] for word in entry["words"]))
        compared = jiwer.process_words(said, normalize(" ".join(finals)) or "-")
        self.words += len(said.split())
        self.lost += compared.deletions
        self.doubled += compared.insertions
        self.wrong += compared.substitutions
        reference, hypothesis = compared.references[0], compared.hypotheses[0]
        for chunk in compared.alignments[0]:
            if chunk.type != "equal":
                right = " ".join(reference[chunk.ref_start_idx : chunk.ref_end_idx])
                wrong = " ".join(hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx])
                self.where.append(f"{right[:60]!r} -> {wrong[:60]!r}")


async def _read_aloud(system: str, seed: int) -> Losses:
    """Read aloud once while streams are replaced and dropped at random moments."""
    entry, rng = _recordings()["reading"], random.Random(seed)
    # Every other stream of a reading is to break, if it lasts so long.
    drops = [Fault("speech", "drop", at=rng.uniform(0.1, 2.5), skip=n) for n in range(120) if rng.random() < 0.5]
    index = {"recordings": [{"index": str(DATA / "recordings.json")}]}
    limit, losses = rng.uniform(2.0, 6.0), Losses()
    async with GoogleEmulator(scenario=index, profile="reference", faults=drops) as google:
        with patch.dict(os.environ, google.env):
            samples = np.concatenate([_read(entry), _quiet(4.0)])
            streams = StreamParams(max_stream_secs=limit, rollover_grace_secs=0.5)
            heard = await listen(system, samples, streams=streams, settle=True)
        losses.count_streams(google.log, limit)
    losses.compare(entry, heard.finals)
    return losses


def _read_aloud_alone(system: str, seed: int) -> Losses:
    logger.remove()
    return asyncio.run(_read_aloud(system, seed))


async def measure_losses(system: str, seed: int = 1) -> dict[str, Any]:
    """Read aloud several times, each in a process of its own."""
    readings, loop = READINGS[system], asyncio.get_running_loop()
    with ProcessPoolExecutor(READERS, multiprocessing.get_context("spawn")) as pool:
        seeds = range(100 * seed, 100 * seed + readings)
        found = await asyncio.gather(*(loop.run_in_executor(pool, _read_aloud_alone, system, each) for each in seeds))
    losses = sum(found, Losses())
    return {"readings": readings, "events": losses.events, **asdict(losses)}


async def measure_barge_in(system: str) -> dict[str, Any]:
    """Speak over the bot."""
    entries = [entry for entry in _recordings().values() if entry["kind"] in ("backchannel", "interruption", "noise")]

    async def one(entry: dict[str, Any], gain: float) -> tuple[str, str, float | None]:
        samples = np.concatenate([(_read(entry) * gain).astype(np.int16), _quiet(1.5)])
        heard = await listen(system, samples, bot_speaks=True)
        start = heard.origin + entry["start"]
        found = heard.interruptions[0] - start if heard.interruptions else None
        return entry["kind"], entry["name"], found

    takes = [partial(one, entry, gain) for entry in entries for gain in (1.0, 0.5)]
    found = await _at_once(takes)
    harmless = [secs is not None for kind, _, secs in found if kind != "interruption"]
    real = [secs for kind, _, secs in found if kind == "interruption"]
    return {
        "backchannels": len(harmless),
        "stopped_the_bot": sum(harmless),
        "interruptions": len(real),
        "found": sum(secs is not None for secs in real),
        "found_within_400_ms": sum(secs is not None and secs <= FOUND_SECS for secs in real),
        "each": {name: None if secs is None else round(1000 * secs) for _, name, secs in found},
    }


ROWS: dict[str, Callable[[str], Awaitable[dict[str, Any]]]] = {
    "pauses": measure_pauses,
    "losses": measure_losses,
    "barge_in": measure_barge_in,
}


async def _at_once(takes: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(take: Callable[[], Awaitable[Any]]) -> Any:
        async with slots:
            return await take()

    return list(await asyncio.gather(*(one(take) for take in takes)))


def _recordings() -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in json.loads((DATA / "recordings.json").read_text("utf-8"))}


def _read(entry: dict[str, Any]) -> np.ndarray:
    return soundfile.read(DATA / entry["file"], dtype="int16")[0]


def _quiet(secs: float) -> np.ndarray:
    return np.random.default_rng(0).integers(-16, 16, round(secs * RATE)).astype(np.int16)
