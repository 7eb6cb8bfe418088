"""Whole conversations against the emulator: how long each stage of a turn takes, beside stock Pipecat.

python -m bench.latency [--runs N] [--turns N] [--peer pipecat|none] [--only ROW,ROW] [--profiles NAME,NAME]

Real speech recordings are played in real time through the whole pipeline, over the real wires, against the emulator in
a process of its own with each latency profile and a scripted mind. Its answers are English replies of
``tests/data/replies.toml`` on which nothing was chosen (``bench.cuts``), another one each turn, the same for all
systems. Turns in which something was asked for again are counted apart: what they show is not slowness.

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
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger

from bench import ears as ears_bench
from bench.cuts import half_of
from bench.dialogue import DATA, RETRIED, STAGES, Talker, UserTransport, converse, say
from bench.peers import stock_pipeline
from bench.speculation import hold
from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings
from tests.processors.chirp_tts.corpus import REPLIES

# "question" asks for the moon, and gets the long story that the next utterance interrupts.
TURNS = ("weather", "timer", "weather", "numbers", "mid_pause", "yes", "weather", "timer")
INTERRUPTIONS = 3
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
    """Median and 90th percentile per stage, how many turns got no answer, and in how many something was retried."""
    retried = sum(RETRIED in row for row in rows if row is not None)
    answered = [row for row in rows if row is not None and RETRIED not in row]
    unanswered = sum(row is None for row in rows)
    summary: dict[str, Any] = {"turns": len(rows), "unanswered": unanswered, RETRIED: retried}
    for stage in STAGES if answered else ():
        values = [row[stage] for row in answered]
        p90 = float(np.percentile(values, 90))
        summary[stage] = {"median": round(statistics.median(values)), "p90": round(p90)}
    return summary


def answers(seed: int = 0) -> list[str]:
    """Replies of many kinds that begin with words, in an order of the seed."""
    plain = [
        text
        for locale, text in REPLIES
        if locale == "en-US"
        and half_of(text) == "other"
        and re.match(r"[A-Z]", text)
        and not re.search(r"[`<|$!]", text)
    ]
    random.Random(seed).shuffle(plain)
    return plain


def scenario(seed: int = 0) -> dict[str, Any]:
    """What the scripted mind knows and says."""
    told = answers(seed)
    return {
        "recordings": [{"index": str(DATA / "recordings.json")}],
        "replies": [{"match": "moon", "text": STORY}, *({"text": text} for text in told)],
        "default_reply": told[0],
    }


def start_emulator(
    folder: Path, profile: str, seed: int = 0, replies: Sequence[dict[str, Any]] = ()
) -> subprocess.Popen[str]:
    """Run the emulator in a process of its own and lead all clients there; ``replies`` come before the usual ones."""
    path = folder / "scenario.json"
    told = scenario(seed)
    path.write_text(json.dumps({**told, "replies": [*replies, *told["replies"]]}), "utf-8")
    command = [sys.executable, "-m", "halfcascade.emulator", "--scenario", str(path), "--profile", profile, "--json"]
    process = subprocess.Popen([*command, "--any-port", "--exit-with-parent"], stdout=subprocess.PIPE, text=True)
    ready = json.loads(process.stdout.readline()) if process.stdout else {}
    os.environ.update(ready["environment"])
    return process


def one_line(summary: dict[str, Any]) -> str:
    """A summary in one line for a person who waits."""
    stages = [f"{stage} {summary[stage]['median']} / {summary[stage]['p90']}" for stage in STAGES if stage in summary]
    turns = f"unanswered {summary['unanswered']}, retried {summary[RETRIED]} of {summary['turns']}"
    return ", ".join([*stages, turns])


def table(title: str, columns: dict[str, dict[str, Any]]) -> str:
    """Lines for a person."""
    lines = [f"\n{title}", f"{'':16}" + "".join(f"{name:>20}" for name in columns)]
    for stage in STAGES:
        cells = [column.get(stage) for column in columns.values()]
        texts = ["-" if cell is None else f"{cell['median']} / {cell['p90']}" for cell in cells]
        lines.append(f"{stage:16}" + "".join(f"{text:>20}" for text in texts))
    for count in ("unanswered", RETRIED):
        lines.append(f"{count:16}" + "".join(f"{c[count]:>16} / {c['turns']}" for c in columns.values()))
    return "\n".join(lines)


def measure_latency(options: argparse.Namespace, systems: Sequence[str], row: str, profile: str) -> dict[str, Any]:
    """Hold the conversations of one row, the systems in turns, each with an emulator that says the same to all."""
    spoken = [say(name) for name in (TURNS * options.turns)[: options.turns]]
    if row == "interruptions":
        cut = (say("question", counted=False), say("timer", interrupts=True))
        spoken = [*cut] * INTERRUPTIONS
    found: dict[str, list[dict[str, float] | None]] = {system: [] for system in systems}
    for run in range(1, options.runs + 1):
        for system in systems:
            began = time.monotonic()
            with emulator(profile, run):
                rows = asyncio.run(converse(partial(build, system, Settings()), spoken))
            found[system] += rows
            took = time.monotonic() - began
            print(f"{profile}, {row}, run {run}, {system}: {one_line(summarize(rows))}, {took:.0f} s", flush=True)
    result = {system: summarize(rows) for system, rows in found.items()}
    print(table(f"{profile}, {row}: ms after the end of speech, median / p90", result), flush=True)
    return result


@contextmanager
def emulator(profile: str, seed: int) -> Iterator[None]:
    """Have an emulator of its own while a block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        process = start_emulator(Path(folder), profile, seed)
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run what was asked for."""
    systems = ["ours"] if options.peer == "none" else ["ours", "pipecat"]
    result: dict[str, Any] = {"bench": "latency"}
    for profile in options.profiles:
        result[profile] = {}
        for row in ("latency", "interruptions"):
            if row in options.only:
                result[profile][row] = measure_latency(options, systems, row, profile)
    with emulator(options.profiles[0], 0):
        result |= asyncio.run(measure_ears(options.only, systems))
    return result


async def measure_ears(only: Sequence[str], systems: Sequence[str]) -> dict[str, Any]:
    """Run the rows that are about hearing, on one profile."""
    result: dict[str, Any] = {}
    if "speculation" in only:
        result["speculation"] = {}
        for name, speculate in (("off", False), ("on", True)):
            result["speculation"][name] = found = await hold(speculate=speculate)
            print(f"\nspeculation {name}: {found}", flush=True)
    for row, run in ears_bench.ROWS.items():
        if row in only:
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
    parser.add_argument("--profiles", type=lambda text: text.split(","), default=["reference", "observed"])
    parser.add_argument("--only", type=lambda text: text.split(","), default=rows)
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    result = measure(options)
    print(json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
