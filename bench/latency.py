"""Whole conversations against the emulator: how long each stage of a turn takes, beside stock Pipecat.

python -m bench.latency [--runs N] [--turns N] [--peer pipecat|none] [--only ROW,ROW]

Real speech recordings are played in real time through the whole pipeline, over the real wires, against the emulator in
a process of its own with the ``reference`` latency profile and a scripted mind.

- ``latency``: milliseconds from the end of the user's speech to each stage of the turn, median and 90th percentile.
- ``interruptions``: the same for turns that interrupt a long reply.
- ``speculation``: ours without and with it, see ``bench.speculation``.
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
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from bench import ears as ears_bench
from bench.dialogue import DATA, STAGES, Talker, UserTransport, converse, say
from bench.peers import stock_pipeline
from bench.speculation import hold
from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings

# "question" asks for the moon, and gets the long story that the next utterance interrupts.
TURNS = ("weather", "timer", "weather", "numbers", "mid_pause", "yes", "weather", "timer")
INTERRUPTIONS = 3
REPLY = "Sure, that is a very good question."
STORY = "Once upon a time there was an old clock. " + "It ticked on and on, and nobody ever heard it stop. " * 12


def build(system: str, settings: Settings, transport: UserTransport) -> Talker:
    """Make a pipeline.

    Args:
        system: ``ours`` or ``pipecat``.
        settings: Of ours.
        transport: Where audio enters and leaves.
    """
    if system == "ours":
        built = build_pipeline(transport, settings)
        return Talker(built.pipeline, built.ears, built.brain, built.voice)
    return Talker(*stock_pipeline(transport))


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
    command = [sys.executable, "-m", "halfcascade.emulator", "--scenario", str(path), "--profile", profile, "--json"]
    process = subprocess.Popen([*command, "--exit-with-parent"], stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline()) if process.stdout else {}
    os.environ.update(ready["environment"])
    return process


def one_line(summary: dict[str, Any]) -> str:
    """A summary in one line for a person who waits."""
    stages = [f"{stage} {summary[stage]['median']} / {summary[stage]['p90']}" for stage in STAGES if stage in summary]
    return ", ".join([*stages, f"unanswered {summary['unanswered']} of {summary['turns']}"])


def table(title: str, columns: dict[str, dict[str, Any]]) -> str:
    """Lines for a person."""
    lines = [f"\n{title}", f"{'':16}" + "".join(f"{name:>20}" for name in columns)]
    for stage in STAGES:
        cells = [column.get(stage) for column in columns.values()]
        texts = ["-" if cell is None else f"{cell['median']} / {cell['p90']}" for cell in cells]
        lines.append(f"{stage:16}" + "".join(f"{text:>20}" for text in texts))
    lines.append(f"{'unanswered':16}" + "".join(f"{c['unanswered']:>16} / {c['turns']}" for c in columns.values()))
    return "\n".join(lines)


async def measure_latency(options: argparse.Namespace, systems: Sequence[str], row: str) -> dict[str, Any]:
    """Hold the conversations of one row, the systems in turns."""
    spoken = [say(name) for name in (TURNS * options.turns)[: options.turns]]
    if row == "interruptions":
        cut = (say("question", counted=False), say("timer", interrupts=True))
        spoken = [*cut] * INTERRUPTIONS
    found: dict[str, list[dict[str, float] | None]] = {system: [] for system in systems}
    for run in range(1, options.runs + 1):
        for system in systems:
            began = time.monotonic()
            rows = await converse(partial(build, system, Settings()), spoken)
            found[system] += rows
            print(
                f"{row}, run {run}, {system}: {one_line(summarize(rows))}, {time.monotonic() - began:.0f} s", flush=True
            )
    result = {system: summarize(rows) for system, rows in found.items()}
    print(table(f"{row}: ms after the end of speech, median / p90", result), flush=True)
    return result


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for."""
    systems = ["ours"] if options.peer == "none" else ["ours", "pipecat"]
    result: dict[str, Any] = {"bench": "latency", "profile": options.profile}
    for row in ("latency", "interruptions"):
        if row in options.only:
            result[row] = await measure_latency(options, systems, row)
    if "speculation" in options.only:
        result["speculation"] = {}
        for name, speculate in (("off", False), ("on", True)):
            result["speculation"][name] = found = await hold(speculate=speculate)
            print(f"\nspeculation {name}: {found}", flush=True)
    for row, run in ears_bench.ROWS.items():
        if row in options.only:
            result[row] = {}
            for system in systems:
                result[row][system] = found = await run(system)
                print(f"\n{row}, {system}: {found}", flush=True)
    return result


def main() -> int:
    """Parse the command line and run."""
    rows = ["latency", "interruptions", "speculation", *ears_bench.ROWS]
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
