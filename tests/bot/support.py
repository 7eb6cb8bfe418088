"""Runs the command line as a person does, and looks into what it leaves behind."""

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
FILES = {"conversation.wav", "events.jsonl", "metrics.json", "transcript.md"}
RATE = 16_000

_GOOGLE = ("GOOGLE_", "GEMINI_", "SPEECH_", "TEXTTOSPEECH_", "HALFCASCADE_", "SSL_CERT_FILE")


def long_story(times: int = 12) -> str:
    """A reply to interrupt: each time adds three seconds and more of speech."""
    return "Once upon a time there was an old clock. " + "It ticked on and on, and nobody ever heard it stop. " * times


@dataclass
class Run:
    """A finished run of the command line."""

    code: int
    output: str
    folder: Path
    # What a test adds: the user's samples and rate, and when what of it begins.
    user: Any = None
    parts: Any = None

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert "Traceback" not in self.output, self.output
        errors = [line for line in self.output.splitlines() if line.startswith("error: ")]
        assert self.code != 0 and len(errors) == 1, self.output
        return errors[0]

    @property
    def events(self) -> list[dict]:
        """The events of the session folder, which must be complete."""
        assert {path.name for path in self.folder.iterdir()} >= FILES
        assert soundfile.info(self.folder / "conversation.wav").channels == 2
        assert self.transcript.startswith("# Conversation")
        events = [json.loads(line) for line in (self.folder / "events.jsonl").read_text("utf-8").splitlines()]
        assert all(isinstance(event["t"], float) for event in events)
        return events

    def of_type(self, *types: str) -> list[dict]:
        """The events of some types."""
        return [event for event in self.events if event["type"] in types]

    @property
    def transcript(self) -> str:
        """The transcript."""
        return (self.folder / "transcript.md").read_text("utf-8")

    @property
    def metrics(self) -> dict:
        """The metrics."""
        return json.loads((self.folder / "metrics.json").read_text("utf-8"))

    @property
    def sound(self) -> tuple[np.ndarray, int]:
        """The recording: samples by channel, and their rate."""
        return soundfile.read(self.folder / "conversation.wav", dtype="float32")


def environment(home: Path, **variables: str) -> dict[str, str]:
    """The environment of a machine without credentials, and what is added to it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_GOOGLE)}
    paths = {"HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "200", "LC_ALL": "C.UTF-8"}
    return {**inherited, **paths, **variables}


async def start_bot(home: Path, *arguments: str, program: tuple[str, ...] = ("-m", "bot"), **variables: str):
    """Start the command line in a folder."""
    return await asyncio.create_subprocess_exec(
        sys.executable, *program, *arguments,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=home, env=environment(home, **variables),
    )  # fmt: skip


async def run_bot(home: Path, *arguments: str, session: str = "s", secs: float = 120.0, **variables: str) -> Run:
    """Run the command line to its end."""
    process = await start_bot(home, *arguments, "--session", session, **variables)
    return await finish(process, home / session, secs)


async def finish(process, folder: Path, secs: float = 120.0) -> Run:
    """Wait for the end of the command line."""
    output, _ = await asyncio.wait_for(process.communicate(), secs)
    return Run(process.returncode, output.decode(), folder)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to be seen in files or processes, which is no event; two minutes are for a busy machine."""
    async with asyncio.timeout(120):
        while True:
            if condition():
                return
            await asyncio.sleep(0.05)


def recording(name: str) -> dict:
    """What is known about a recording in ``tests/data``."""
    return next(entry for entry in json.loads((DATA / "recordings.json").read_text("utf-8")) if entry["name"] == name)


def user_audio(path: Path, *parts: tuple[float, str], tail: float = 1.0) -> None:
    """Write a user's part: each recording begins at its time, in seconds."""
    pieces = [
        (round(at * RATE), soundfile.read(DATA / recording(name)["file"], dtype="int16")[0]) for at, name in parts
    ]
    sound = np.zeros(max(at + len(piece) for at, piece in pieces) + round(tail * RATE), dtype=np.int16)
    for at, piece in pieces:
        sound[at : at + len(piece)] = piece
    soundfile.write(path, sound, RATE)


def recordings_for(*names: str) -> list[dict]:
    """The recordings of a scripted mind's scenario."""
    known = [recording(name) for name in names]
    return [
        {"audio": str(DATA / entry["file"]), "words": entry["words"], "language": entry["language"]} for entry in known
    ]


def processes_of(home: Path) -> list[str]:
    """Command lines of the processes that call this folder their home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"HOME={home}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append((folder / "cmdline").read_text().replace("\0", " "))
    return found
