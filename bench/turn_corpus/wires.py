"""Complete turns of the corpus over the real wires, in real time: what ``bench.turns --wires`` measures.

The whole bot talks to the emulator, which runs in a process of its own with the ``reference`` profile; its scripted
mind knows the recordings by their sound. Wants a quiet machine.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from bench.dialogue import Talker, UserTransport, Utterance, converse
from bench.turn_corpus.corpus import RATE, Turn
from halfcascade.bot.pipeline import build_pipeline
from halfcascade.bot.settings import Settings

_REPLY = "Sure, that is a very good question."
_LEAD_SECS, _TAIL_SECS = 0.2, 0.3
_NOISE = 16.0


def _build(transport: UserTransport, *, settings: Settings) -> Talker:
    built = build_pipeline(transport, settings)
    return Talker(built.pipeline, built.ears, built.brain, built.voice)


def _utterance(turn: Turn) -> Utterance:
    rng = np.random.default_rng(0)
    quiet = [rng.standard_normal(round(secs * RATE)) * _NOISE for secs in (_LEAD_SECS, _TAIL_SECS)]
    samples = np.concatenate([quiet[0], turn.parts[0], quiet[1]]).astype(np.int16)
    return Utterance(turn.text, samples, _LEAD_SECS + len(turn.parts[0]) / RATE, turn.text)


def _write(utterances: Sequence[Utterance], language: str, folder: Path) -> None:
    """Write what the scripted mind has to know: each recording, and when its words are said."""
    index = []
    for number, one in enumerate(utterances):
        soundfile.write(folder / f"{number}.wav", one.samples, RATE)
        words = one.text.split()
        edges = np.concatenate([[0], np.cumsum([len(word) + 1 for word in words])])
        edges = _LEAD_SECS + edges / edges[-1] * (one.end - _LEAD_SECS)
        timed = [
            {"word": word, "start": float(first), "end": float(last)}
            for word, first, last in zip(words, edges, edges[1:], strict=False)
        ]
        index.append({"file": f"{number}.wav", "language": language, "words": timed})
    (folder / "recordings.json").write_text(json.dumps(index, ensure_ascii=False), "utf-8")
    scenario = {"recordings": [{"index": str(folder / "recordings.json")}], "default_reply": _REPLY}
    (folder / "scenario.json").write_text(json.dumps(scenario), "utf-8")


def _start_emulator(folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "halfcascade.emulator", "--scenario", str(folder / "scenario.json")]
    process = subprocess.Popen(
        [*command, "--profile", "reference", "--json", "--exit-with-parent"], stdout=subprocess.PIPE, text=True
    )
    ready = json.loads(process.stdout.readline()) if process.stdout else {}
    os.environ.update(ready["environment"])
    return process


def measure(turns: Sequence[Turn], count: int, *, speculate: bool) -> dict[str, Any]:
    """Hold one conversation in each language.

    Args:
        turns: Of one half; only complete ones are said.
        count: How many in each language at most.
        speculate: Whether answers are asked for early.

    Returns:
        Milliseconds from the end of speech to the first sound of the answer, by language and together.
    """
    heard: dict[str, list[float]] = {}
    unanswered = 0
    for language in sorted({turn.language for turn in turns}):
        chosen = [turn for turn in turns if turn.language == language and not turn.hesitates][:count]
        utterances = [_utterance(turn) for turn in chosen]
        settings = Settings(language=language, speculate=speculate)
        with tempfile.TemporaryDirectory() as folder:
            _write(utterances, language, Path(folder))
            process = _start_emulator(Path(folder))
            try:
                stages = asyncio.run(converse(partial(_build, settings=settings), utterances))
            finally:
                process.terminate()
                process.wait(10)
        heard[language] = [stage["heard"] for stage in stages if stage is not None]
        unanswered += sum(stage is None for stage in stages)
    heard["all"] = [ms for those in list(heard.values()) for ms in those]
    return {"unanswered": unanswered, **{language: _summary(those) for language, those in heard.items() if those}}


def _summary(values: Sequence[float]) -> dict[str, int]:
    return {
        "turns": len(values),
        "median": round(statistics.median(values)),
        "p90": round(float(np.percentile(values, 90))),
        "p99": round(float(np.percentile(values, 99))),
    }
