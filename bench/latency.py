"""Whole conversations against the emulator: how long each stage of a turn takes, beside stock Pipecat.

python -m bench.latency [--runs N] [--turns N] [--peer pipecat|none] [--only ROW,ROW]

Real speech recordings are played in real time through the whole pipeline, over the real wires, against the emulator in
a process of its own with the ``reference`` latency profile and a scripted mind.

- ``latency``: milliseconds from the end of the user's speech to each stage of the turn, median and 90th percentile.
- ``interruptions``: the same for turns that interrupt a long reply.
- ``pauses``, ``losses``, ``barge_in``: see ``bench.ears``.

Prints tables and, last, one line of JSON.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from loguru import logger
from pipecat.frames.frames import EndFrame, LLMTextFrame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from bench import ears as ears_bench
from bench.peers import stock_pipeline
from bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE, build_pipeline
from bot.settings import Settings
from processors.frames import TurnSentFrame
from transports.wav import WavTransport, WavTransportParams

DATA = Path(__file__).parents[1] / "tests" / "data"
RATE = AUDIO_IN_RATE
STAGES = ("final", "turn_sent", "first_text", "text_at_voice", "first_audio", "heard")
TURNS = ("weather", "timer", "question", "numbers", "mid_pause", "yes", "weather", "timer")
REPLY = "Sure, that is a very good question, and here is a short answer."
STORY = "Once upon a time there was an old clock. " + "It ticked on and on, and nobody ever heard it stop. " * 12
LEAD_SECS, GAP_SECS, STORY_SECS = 1.5, 6.5, 5.0
# The loudest sample of silence: below what any voice reaches within its first milliseconds.
AUDIBLE = 300


@dataclass
class Speech:
    """One turn of the recorded user.

    Parameters:
        name: Recording in ``tests/data``.
        start: Where it begins in the user's audio, in seconds.
        end: Where its speech ends.
        counted: Whether its answer is measured.
    """

    name: str
    start: float
    end: float
    counted: bool = True


def recordings() -> dict[str, dict[str, Any]]:
    """The recordings of ``tests/data`` by name."""
    return {entry["name"]: entry for entry in json.loads((DATA / "recordings.json").read_text("utf-8"))}


def user_part(turns: Sequence[tuple[str, float, bool]]) -> tuple[np.ndarray, list[Speech]]:
    """Compose the user's audio.

    Args:
        turns: Recording, seconds after it until the next one, whether its answer counts.

    Returns:
        Samples at ``RATE``, and when what is said.
    """
    known = recordings()
    pieces, speeches = [np.zeros(round(LEAD_SECS * RATE), np.int16)], []
    at = LEAD_SECS
    for name, gap, counted in turns:
        samples, _ = soundfile.read(DATA / known[name]["file"], dtype="int16")
        speeches.append(Speech(name, at, at + known[name]["end"], counted))
        pieces += [samples, np.zeros(round(gap * RATE), np.int16)]
        at += len(samples) / RATE + gap
    return np.concatenate(pieces), speeches


class Tap:
    """Notes when the user's audio began and when the bot is heard."""

    def __init__(self) -> None:
        self.origin: float | None = None
        self.began = asyncio.Event()
        self.sounds: list[float] = []

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block."""
        if self.origin is None:
            self.origin = at
            self.began.set()

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block."""
        loud = np.flatnonzero(np.abs(np.frombuffer(audio, "<i2").astype(np.int32)) > AUDIBLE)
        if len(loud):
            self.sounds.append(at + loud[0] / sample_rate)


class Stages(BaseObserver):
    """Notes when frames of each stage pass."""

    def __init__(self, ears: FrameProcessor, brain: FrameProcessor, voice: FrameProcessor):
        super().__init__()
        self.ears, self.brain, self.voice = ears, brain, voice
        self.times: dict[str, list[float]] = defaultdict(list)

    async def on_push_frame(self, data: FramePushed) -> None:
        """Note frames where they come from."""
        if isinstance(data.frame, TurnSentFrame):
            self.times["turn_sent"].append(time.monotonic())
        elif data.source is self.ears and isinstance(data.frame, TranscriptionFrame):
            self.times["final"].append(time.monotonic())
        elif data.source is self.brain and isinstance(data.frame, LLMTextFrame):
            self.times["first_text"].append(time.monotonic())
        elif data.source is self.voice and isinstance(data.frame, TTSAudioRawFrame):
            self.times["first_audio"].append(time.monotonic())

    async def on_process_frame(self, data: FrameProcessed) -> None:
        """Note frames where they go."""
        if data.processor is self.voice and isinstance(data.frame, LLMTextFrame):
            self.times["text_at_voice"].append(time.monotonic())


def stage_times(times: dict[str, list[float]], end: float, until: float) -> dict[str, float] | None:
    """Milliseconds from the end of speech to each stage of the turn that answers it, or None if it got no answer."""
    sent = next((at for at in times["turn_sent"] if end - 0.1 < at < until), None)
    heard = None if sent is None else next((at for at in times["heard"] if sent < at < until + 2.0), None)
    if sent is None or heard is None:
        return None
    found = {"turn_sent": sent, "heard": heard}
    found["final"] = max((at for at in times["final"] if at <= sent), default=sent)
    for stage in ("first_text", "text_at_voice", "first_audio"):
        found[stage] = next((at for at in times[stage] if sent < at), heard)
    return {stage: 1000 * (found[stage] - end) for stage in STAGES}


async def converse(system: str, turns: Sequence[tuple[str, float, bool]]) -> list[dict[str, float] | None]:
    """Hold one conversation.

    Args:
        system: ``ours`` or ``pipecat``.
        turns: As for ``user_part``.

    Returns:
        The stages of each counted turn.
    """
    samples, speeches = user_part(turns)
    tap = Tap()
    transport = WavTransport(WavTransportParams(user_audio=samples, user_audio_rate=RATE, tap=tap))
    pipeline: Pipeline
    if system == "ours":
        built = build_pipeline(transport, Settings())
        pipeline, observer = built.pipeline, Stages(built.ears, built.brain, built.voice)
    else:
        pipeline, ears, brain, voice = stock_pipeline(transport)
        observer = Stages(ears, brain, voice)
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=AUDIO_OUT_RATE)
    worker = PipelineWorker(pipeline, params=params, observers=[observer], cancel_on_idle_timeout=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)

    async def finish() -> None:
        await tap.began.wait()
        await asyncio.sleep(len(samples) / RATE)
        await worker.queue_frame(EndFrame())
        await asyncio.sleep(5.0)
        await worker.cancel()

    ending = asyncio.create_task(finish())
    await runner.run()
    ending.cancel()
    origin = tap.origin or 0.0
    times = {**observer.times, "heard": starts_of_sound(tap.sounds)}
    ends = [origin + speech.start for speech in speeches[1:]] + [origin + len(samples) / RATE]
    return [
        stage_times(defaultdict(list, times), origin + speech.end, until)
        for speech, until in zip(speeches, ends, strict=True)
        if speech.counted
    ]


def starts_of_sound(sounds: list[float]) -> list[float]:
    """Moments at which the bot becomes audible after at least 0.3 s of silence."""
    return [at for before, at in zip([-1e9, *sounds], sounds, strict=False) if at - before > 0.3]


def summarize(rows: list[dict[str, float] | None]) -> dict[str, Any]:
    """Median and 90th percentile per stage, and how many turns got no answer."""
    answered = [row for row in rows if row is not None]
    summary: dict[str, Any] = {"turns": len(rows), "unanswered": len(rows) - len(answered)}
    for stage in STAGES if answered else ():
        values = [row[stage] for row in answered]
        p90 = float(np.percentile(values, 90))
        summary[stage] = {"median": round(statistics.median(values)), "p90": round(p90)}
    return summary


def scenario() -> dict[str, Any]:
    """What the scripted mind knows and says."""
    return {
        "recordings": [{"index": str(DATA / "recordings.json")}],
        "replies": [{"match": "moon", "text": STORY}],
        "default_reply": REPLY,
    }


def start_emulator(folder: Path, profile: str) -> subprocess.Popen[str]:
    """Run the emulator in a process of its own and lead all clients there."""
    path = folder / "scenario.json"
    path.write_text(json.dumps(scenario()), "utf-8")
    command = [sys.executable, "-m", "emulator", "--scenario", str(path), "--profile", profile, "--json"]
    process = subprocess.Popen([*command, "--exit-with-parent"], stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline()) if process.stdout else {}
    os.environ.update(ready["environment"])
    return process


def table(title: str, columns: dict[str, dict[str, Any]]) -> str:
    """Lines for a person."""
    lines = [f"\n{title}", f"{'':16}" + "".join(f"{name:>20}" for name in columns)]
    for stage in STAGES:
        cells = [column.get(stage) for column in columns.values()]
        texts = ["-" if cell is None else f"{cell['median']} / {cell['p90']}" for cell in cells]
        lines.append(f"{stage:16}" + "".join(f"{text:>20}" for text in texts))
    lines.append(f"{'unanswered':16}" + "".join(f"{c['unanswered']:>16} / {c['turns']}" for c in columns.values()))
    return "\n".join(lines)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for."""
    systems = ["ours"] if options.peer == "none" else ["ours", "pipecat"]
    result: dict[str, Any] = {"bench": "latency", "profile": options.profile}
    plain = [(name, GAP_SECS, True) for name in (TURNS * options.turns)[: options.turns]]
    # "question" asks for the moon, and gets the long story that the next recording interrupts.
    plain = [("weather" if name == "question" else name, gap, counted) for name, gap, counted in plain]
    cutting = [turn for _ in range(3) for turn in (("question", STORY_SECS, False), ("timer", GAP_SECS, True))]
    for row, turns in (("latency", plain), ("interruptions", cutting)):
        if row not in options.only:
            continue
        found: dict[str, list[dict[str, float] | None]] = defaultdict(list)
        for _ in range(options.runs):
            for system in systems:
                found[system] += await converse(system, turns)
        result[row] = {system: summarize(rows) for system, rows in found.items()}
        print(table(f"{row}: ms after the end of speech, median / p90", result[row]), flush=True)
    for row, run in ears_bench.ROWS.items():
        if row in options.only:
            result[row] = {system: await run(system) for system in systems}
            print(f"\n{row}: " + "; ".join(f"{system}: {found}" for system, found in result[row].items()), flush=True)
    return result


def main() -> int:
    """Parse the command line and run."""
    rows = ["latency", "interruptions", *ears_bench.ROWS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--turns", type=int, default=8)
    parser.add_argument("--peer", choices=("pipecat", "none"), default="pipecat")
    parser.add_argument("--profile", default="reference")
    parser.add_argument("--only", type=lambda text: text.split(","), default=rows)
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        process = start_emulator(Path(folder), options.profile)
        try:
            result = asyncio.run(measure(options))
        finally:
            process.terminate()
            process.wait(10)
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
