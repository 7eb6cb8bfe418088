"""What speaks for the local mind: a Piper process kept running, or espeak-ng run for each clause."""

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr

from halfcascade.emulator.minds.base import SPEAKER_RATE, MindError
from halfcascade.emulator.minds.local import piper_process
from halfcascade.emulator.minds.local.packages import espeak_ng
from halfcascade.emulator.minds.local.piper_process import FAILED, FRAME_HEADER, READY

_STOP_SECONDS = 2.0
# A voice loads in two seconds, and a clause is spoken in a few hundredths of one; a slow machine gets many times that.
_START_SECONDS = 60.0
_CLAUSE_SECONDS = 20.0
_ESPEAK_WORDS_PER_MINUTE = 160
_ESPEAK_PITCH = 50


@dataclass(frozen=True)
class Clause:
    """Something to say.

    Parameters:
        text: The words.
        language: As espeak-ng names it, such as ``en-us`` or ``ko``.
        rate: 0.25 to 2.0.
        pitch: Factor; 1.0 is the voice as it is.
    """

    text: str
    language: str = "en-us"
    rate: float = 1.0
    pitch: float = 1.0


class Engine(Protocol):
    """Speaks clauses."""

    async def start(self) -> None:
        """Load what must be loaded."""

    def say(self, clause: Clause) -> AsyncGenerator[bytes, None]:
        """Yield 16-bit mono PCM at ``SPEAKER_RATE``; closing the iterator gives the clause up."""

    async def close(self) -> None:
        """Release the engine."""


class PiperEngine:
    """A child process that holds the neural voice; English only.

    Clauses are spoken in the order in which they come, so streams that ask for one clause at a time take turns.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._answers: dict[int, asyncio.Queue[bytes | MindError | None]] = {}
        self._ids = itertools.count(1)
        self._starting = asyncio.Lock()

    async def start(self) -> None:
        """Start the process unless it runs, and wait until its voice is loaded.

        Raises:
            MindError: It cannot be started.
        """
        async with self._starting:
            if self._process and self._process.returncode is None and self._reader and not self._reader.done():
                return
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                piper_process.__file__,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            ready: asyncio.Queue[bytes | MindError | None] = asyncio.Queue()
            self._answers[READY] = ready
            self._reader = asyncio.create_task(self._read(self._process), name="piper output")
            try:
                answer = await asyncio.wait_for(ready.get(), _START_SECONDS)
            except TimeoutError:
                answer = MindError(f"Piper has not loaded its voice within {_START_SECONDS:.0f} s: try again.")
                self._process.kill()
            finally:
                self._answers.pop(READY, None)
            if isinstance(answer, MindError):
                raise answer

    async def say(self, clause: Clause) -> AsyncGenerator[bytes, None]:
        """Yield 16-bit mono PCM at ``SPEAKER_RATE``.

        Raises:
            MindError: The process died or could not speak the text. The next clause starts another process.
        """
        await self.start()
        identity = next(self._ids)
        answers: asyncio.Queue[bytes | MindError | None] = asyncio.Queue()
        self._answers[identity] = answers
        finished = False
        try:
            await self._send(
                {"id": identity, "text": clause.text, "length_scale": 1 / clause.rate, "pitch": clause.pitch}
            )
            while (answer := await answers.get()) is not None:
                if isinstance(answer, MindError):
                    finished = True
                    raise answer
                yield answer
            finished = True
        finally:
            self._answers.pop(identity, None)
            if not finished:
                with contextlib.suppress(OSError, MindError):
                    await self._send({"cancel": identity})

    async def close(self) -> None:
        """End the process."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _send(self, request: dict[str, object]) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise MindError("The speech process is closed: start the emulator again.")
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            await process.stdin.drain()
        except OSError:
            raise MindError(await _epitaph(process)) from None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101  it was made with a pipe
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                identity, size = FRAME_HEADER.unpack(await process.stdout.readexactly(FRAME_HEADER.size))
                pcm = await process.stdout.readexactly(size) if size != FAILED else b""
                if answers := self._answers.get(identity):
                    failed = MindError("The speech process could not speak this text; its log says why.")
                    answers.put_nowait(failed if size == FAILED else pcm or None)
        death = MindError(await _epitaph(process))
        for answers in self._answers.values():
            answers.put_nowait(death)


async def _epitaph(process: asyncio.subprocess.Process) -> str:
    return (
        f"The speech process ended with code {await process.wait()}; its log says why. The next text starts it again."
    )


class EspeakEngine:
    """The espeak-ng program, run for each clause: robotic, but it has many languages."""

    async def start(self) -> None:
        """Check that the program is there.

        Raises:
            MindError: It is not.
        """
        if espeak_ng() is None:
            raise MindError("espeak-ng is not installed: install it with apt or brew to speak other languages.")

    async def say(self, clause: Clause) -> AsyncGenerator[bytes, None]:
        """Yield 16-bit mono PCM at ``SPEAKER_RATE``.

        Raises:
            MindError: The program is missing, hangs, or does not know the language.
        """
        await self.start()
        process = await asyncio.create_subprocess_exec(
            espeak_ng() or "espeak-ng",
            "-v",
            clause.language,
            "-s",
            str(round(_ESPEAK_WORDS_PER_MINUTE * clause.rate)),
            "-p",
            str(max(0, min(99, round(_ESPEAK_PITCH * clause.pitch**2)))),
            "--stdin",
            "--stdout",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            wav, complaint = await asyncio.wait_for(process.communicate(clause.text.encode()), _CLAUSE_SECONDS)
        except TimeoutError:
            raise MindError(f"espeak-ng has not spoken a clause within {_CLAUSE_SECONDS:.0f} s.") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            reason = " ".join(complaint.decode(errors="replace").split())
            raise MindError(f"espeak-ng cannot speak {clause.language}: {reason}")
        pcm = await asyncio.to_thread(_resample_wav, wav)
        if pcm:
            yield pcm

    async def close(self) -> None:
        """Nothing stays running."""


def _resample_wav(wav: bytes) -> bytes:
    """Return the samples of a mono 16-bit WAV at ``SPEAKER_RATE``; its length field is not to be trusted on a pipe."""
    rate = int.from_bytes(wav[24:28], "little")
    body = wav[44 : len(wav) - len(wav) % 2]
    return soxr.resample(np.frombuffer(body, dtype="<i2"), rate, SPEAKER_RATE).astype("<i2").tobytes()
