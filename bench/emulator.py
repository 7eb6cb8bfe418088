"""What the emulator costs: its start, a text turn, many sessions at once, and memory after thousands of them.

``python -m bench.emulator`` starts the program, as a user does, and talks to it from this process. With ``--write`` the
figures go into ``docs/emulator.md``. Processor time is the program's own, so other load changes little of it.
"""

import argparse
import asyncio
import datetime
import json
import os
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from websockets.asyncio.client import ClientConnection, connect

from halfcascade.emulator.minds.base import LISTENER_RATE, Hypothesis, RecognitionRequest
from halfcascade.emulator.minds.recordings import load_index
from halfcascade.emulator.minds.scripted_listener import ScriptedListener
from halfcascade.emulator.profiles import load_profile

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "emulator.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=k"
SETUP = json.dumps({"setup": {"model": "models/gemini-3.8-live", "outputAudioTranscription": {}}})
_TICKS = os.sysconf("SC_CLK_TCK")


class Program:
    """The emulator as a process."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        ready = Path(self._folder.name) / "ready.json"
        began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "halfcascade.emulator", "--profile", "instant", "--ready-file", str(ready)],
            stdout=subprocess.DEVNULL,
        )
        while not ready.exists():
            time.sleep(0.01)
        self.started = time.monotonic() - began
        self.told: dict[str, Any] = json.loads(ready.read_text())
        self._tls = ssl.create_default_context(cafile=self.told["environment"]["SSL_CERT_FILE"])

    def connect(self) -> connect:
        """Open a Live connection."""
        return connect(f"wss://127.0.0.1:{self.told['ports']['live']}{PATH}", ssl=self._tls, compression=None)

    def processor_seconds(self) -> float:
        """Processor time the program has used."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self) -> float:
        """Resident memory in MiB."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._folder.cleanup()


async def turn(connection: ClientConnection, text: str) -> None:
    """Say something and read the whole answer."""
    content = {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": True}
    await connection.send(json.dumps({"clientContent": content}))
    while b"turnComplete" not in await connection.recv(decode=False):
        pass


async def session(program: Program, *, turns: int = 1, number: int = 0) -> None:
    """Hold a session."""
    async with program.connect() as connection:
        await connection.send(SETUP)
        await connection.recv()
        for count in range(turns):
            await turn(connection, f"this is turn {count} of the conversation {number}")


async def cost_of_a_turn(program: Program, turns: int = 200) -> float:
    """Processor milliseconds of a text turn, after the first ones; sessions of ten turns."""
    await session(program, turns=10)
    before = program.processor_seconds()
    for number in range(turns // 10):
        await session(program, turns=10, number=number)
    return (program.processor_seconds() - before) / turns * 1000


async def at_once(program: Program, sessions: int) -> tuple[int, float]:
    """Hold sessions at once, all open before the first speaks; give how many were answered, and the seconds."""
    opened: list[ClientConnection] = []
    gate = asyncio.Semaphore(50)

    async def begin() -> None:
        async with gate:
            connection = await program.connect()
            await connection.send(SETUP)
            await connection.recv()
            opened.append(connection)

    await asyncio.gather(*(begin() for _ in range(sessions)))
    began = time.monotonic()
    answers = await asyncio.gather(*(turn(connection, "hello") for connection in opened), return_exceptions=True)
    seconds = time.monotonic() - began
    await asyncio.gather(*(connection.close() for connection in opened))
    return sum(answer is None for answer in answers), seconds


async def many(program: Program, sessions: int) -> list[float]:
    """Memory in MiB before, and after each tenth of so many sessions."""
    memory = [program.memory()]
    for _ in range(10):
        gate = asyncio.Semaphore(8)

        async def one(gate: asyncio.Semaphore = gate) -> None:
            async with gate:
                await session(program)

        await asyncio.gather(*(one() for _ in range(sessions // 10)))
        memory.append(program.memory())
    return memory


async def mistaken(files: Sequence[Path]) -> int:
    """Count the recordings in which the scripted mind hears words of other recordings, those of the tests.

    Args:
        files: Audio that it does not know.
    """
    known = load_index(ROOT / "tests" / "data" / "recordings.json")
    listener = ScriptedListener(load_profile("instant").listener, known)
    wrong = 0
    for file in files:
        sound, rate = soundfile.read(file, dtype="float32", always_2d=True)
        samples = soxr.resample(sound.mean(axis=1), rate, LISTENER_RATE)
        pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
        recognition = listener.recognize(RecognitionRequest(["en-US"], "long", interim_results=True))
        for start in range(0, len(pcm), 3200):
            await recognition.audio(pcm[start : start + 3200])
        await recognition.finish()
        said = [event.text async for event in recognition.results() if isinstance(event, Hypothesis)]
        if said:
            print(f"{file.name}: {said[-1]}")
        wrong += bool(said)
    return wrong


async def main() -> None:
    """Measure and print, or write."""
    parser = argparse.ArgumentParser(prog="python -m bench.emulator", description=__doc__)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--unknown", type=Path, help="only count what is taken for a known recording in this folder")
    options = parser.parse_args()
    if options.unknown:
        files = sorted(options.unknown.rglob("*.wav"))
        print(f"{await mistaken(files)} of {len(files)} unknown recordings were taken for known ones.")
        return
    starts, computing = [], []
    for _ in range(5):
        program = Program()
        starts.append(program.started)
        computing.append(program.processor_seconds())
        program.stop()
    program = Program()
    empty = program.memory()
    try:
        cost = await cost_of_a_turn(program)
        # Before the sessions at once: what those leave free would hide what grows.
        memory = await many(program, options.sessions)
        answered, seconds = await at_once(program, options.at_once)
    finally:
        program.stop()
    load = os.getloadavg()[0]
    rows = [
        (
            "start of the program until it answers, median of five",
            f"{sorted(starts)[2]:.2f} s, of which {sorted(computing)[2]:.2f} s computing",
        ),
        ("processor time of a text turn of Live, spoken answer of 3 s included", f"{cost:.1f} ms"),
        (f"{options.at_once} sessions at once", f"{answered} answered, the last after {seconds:.1f} s"),
        (
            f"memory at the start, after {options.sessions // 10}, half of, all {options.sessions} further sessions",
            f"{empty:.0f}, {memory[1]:.0f}, {memory[5]:.0f}, {memory[10]:.0f} MiB",
        ),
    ]
    lines = ["| what | measured |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)]
    today = datetime.datetime.now(datetime.UTC).date()
    lines += ["", f"`python -m bench.emulator`, {today}, two cores, load {load:.1f}."]
    print("\n".join(lines))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    asyncio.run(main())
