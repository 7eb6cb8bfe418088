"""How fast and how right the emulator's local mind is on this machine.

    python bench/local_mind.py

Loads the engines, lets them hear the recordings of ``tests/data`` in real time, answer questions, and speak, and prints
one line per figure. Give it a quiet machine: the engines share its cores with everything else.
"""

import argparse
import asyncio
import json
import statistics
import time
import wave
from pathlib import Path

import jiwer
import numpy as np
import soxr

from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    SPEAKER_RATE,
    Conversation,
    Hypothesis,
    Message,
    RecognitionRequest,
    SynthesisRequest,
)
from halfcascade.emulator.minds.local import LocalMind, create_local_mind

DATA = Path(__file__).parents[1] / "tests" / "data"
FRAME_SECONDS = 0.02
QUESTIONS = (
    "What is the capital of Australia?",
    "How long should I boil an egg?",
    "Why is the sky blue?",
    "Give me an idea for a healthy breakfast.",
)
TEXTS = (
    "Nice to meet you, Dana! I hear Lisbon is a lovely place.",
    "The museum opens at ten, and the last tour begins in the afternoon.",
    "Every evening she polished the glass and told the lamp what the day had brought.",
)


def plain(text: str) -> str:
    """Lower case, letters and digits only."""
    return " ".join("".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split())


def show(name: str, seconds: list[float]) -> None:
    """Print median and maximum in milliseconds."""
    median, most = statistics.median(seconds) * 1e3, max(seconds) * 1e3
    print(f"{name:45} p50 {median:6.0f} ms   max {most:6.0f} ms   n {len(seconds)}")


async def hear(mind: LocalMind, pcm: bytes, end: float) -> tuple[str, float, float | None]:
    """Stream in real time, half-close 0.3 s after the speech; return text, wait for a final, time to an interim."""
    recognition = mind.listener.recognize(RecognitionRequest(["en-US"], "latest_long", interim_results=True))
    started = time.perf_counter()
    first_interim: float | None = None
    finals: list[str] = []

    async def read() -> None:
        nonlocal first_interim
        async for result in recognition.results():
            if isinstance(result, Hypothesis) and result.is_final:
                finals.append(result.text)
            elif isinstance(result, Hypothesis) and first_interim is None:
                first_interim = time.perf_counter() - started

    reader = asyncio.create_task(read())
    size = int(FRAME_SECONDS * LISTENER_RATE) * 2
    for number, at in enumerate(range(0, int((end + 0.3) * LISTENER_RATE) * 2, size)):
        await recognition.audio(pcm[at : at + size])
        await asyncio.sleep(max(0.0, started + (number + 1) * FRAME_SECONDS - time.perf_counter()))
    closed = time.perf_counter()
    await recognition.finish()
    await reader
    return " ".join(finals), time.perf_counter() - closed, first_interim


async def listening(mind: LocalMind) -> None:
    """Error rate, and how soon words come."""
    said, heard, waits, interims = [], [], [], []
    for one in json.loads((DATA / "recordings.json").read_text()):
        if one["kind"] not in ("utterance", "interruption") or one["language"] != "en-US":
            continue
        with wave.open(str(DATA / one["file"])) as recording:
            pcm = recording.readframes(recording.getnframes())
        text, wait, first = await hear(mind, pcm, one["end"])
        said.append(plain(one["text"]))
        heard.append(plain(text))
        waits.append(wait)
        if first is not None:
            interims.append(first - one["start"])
    print(f"{'word error rate of ' + str(len(said)) + ' utterances':45} {100 * jiwer.wer(said, heard):.1f} %")
    show("first interim after the speech began", interims)
    show("final after half-close, 0.3 s after the speech", waits)


async def thinking(mind: LocalMind) -> None:
    """How soon answers begin."""
    for name, questions in (("rule", ["What is seventeen times twenty three?"] * 5), ("language model", QUESTIONS)):
        firsts, speeds = [], []
        for question in questions:
            pieces: list[str] = []
            started = time.perf_counter()
            async for piece in mind.thinker.think(Conversation([Message("user", [question])])):
                if not pieces:
                    firsts.append(time.perf_counter() - started)
                pieces.append(str(piece))
            speeds.append(len("".join(pieces).split()) / (time.perf_counter() - started))
        show(f"first words of an answer by {name}", firsts)
        print(f"{'words a second':45} {statistics.median(speeds):.0f}")


async def speaking(mind: LocalMind) -> None:
    """How soon sound begins, how fast it is made, and whether it is understood."""
    firsts, factors, understood = [], [], []
    for text in TEXTS:
        synthesis = mind.speaker.synthesize(SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US"))
        started, sound = time.perf_counter(), b""
        await synthesis.text(text)
        await synthesis.finish()
        async for piece in synthesis.audio():
            if not sound:
                firsts.append(time.perf_counter() - started)
            sound += piece
        length = len(sound) / 2 / SPEAKER_RATE
        factors.append((time.perf_counter() - started) / length)
        quiet = np.zeros(LISTENER_RATE // 2, dtype="<i2")
        pcm = np.concatenate([quiet, soxr.resample(np.frombuffer(sound, "<i2"), SPEAKER_RATE, LISTENER_RATE), quiet])
        understood.append(plain((await hear(mind, pcm.tobytes(), 0.5 + length))[0]))
    show("first sound of a sentence", firsts)
    print(f"{'seconds of work for a second of speech':45} {statistics.median(factors):.3f}")
    print(
        f"{'word error rate of speech, heard again':45} {100 * jiwer.wer([plain(t) for t in TEXTS], understood):.1f} %"
    )


async def run(llm: Path | None) -> None:
    """Measure everything, one thing after the other."""
    started = time.perf_counter()
    mind = create_local_mind(llm)
    await mind.start()
    print(f"{'loading':45} {time.perf_counter() - started:.2f} s")
    try:
        await listening(mind)
        await thinking(mind)
        await speaking(mind)
    finally:
        await mind.close()


def main() -> None:
    """Measure the local mind."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--llm", type=Path, help="GGUF file to think with")
    asyncio.run(run(parser.parse_args().llm))


if __name__ == "__main__":
    main()
