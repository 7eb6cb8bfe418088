"""The whole ``python -m bot talk`` in a simulated room: devices real for all it can tell, open loudspeaker, a user.

The bot runs as a process of its own on the virtual sound card, against an emulator with real ears (Moonshine) and a
real voice (Piper), so that an echo can be taken for words; only what the bot answers is scripted. The user's recordings
are spoken into the microphone while the loudspeaker leaks into it. Afterwards the session folder tells what happened:
its recording says when the user was really heard (`RoomTalk.found`), to the sample, on the clock of its events.
"""

import asyncio
import json
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from halfcascade.emulator.minds.base import Mind, SynthesisRequest
from halfcascade.emulator.minds.local.listener import LocalListener, MoonshineEngine
from halfcascade.emulator.minds.local.speaker import LocalSpeaker
from halfcascade.emulator.minds.local.speech_process import EspeakEngine, PiperEngine
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply, ScriptedThinker
from halfcascade.emulator.profiles import load_profile
from halfcascade.emulator.server import GoogleEmulator
from tests.bot.support import Run, start_bot
from tests.virtual_audio import Room, VirtualAudio

RATE = 16_000
"""Rate of the user's samples in Hz."""

_READY = "Talk now"
_START_SECS, _END_SECS = 60.0, 30.0
_SEARCH_SECS = 1.0
_FIRST_SECS = 8.0
_AUDIBLE = 1e-3


class RoomMind(Mind):
    """Hears with Moonshine, answers from a script, speaks with Piper."""

    def __init__(self, replies: Mapping[str, str], default: str):
        self._ears, self._voice = MoonshineEngine(), PiperEngine()
        script = [ScriptedReply(text, match=match) for match, text in replies.items()]
        thinker = ScriptedThinker(script, load_profile("reference").thinker, default)
        super().__init__(LocalListener(self._ears), thinker, LocalSpeaker(self._voice, EspeakEngine()))

    async def start(self) -> None:
        """Load ears and voice."""
        await asyncio.gather(self._ears.load(), self._voice.start())

    async def close(self) -> None:
        """Release them."""
        await self._voice.close()
        self._ears.close()

    async def say(self, text: str) -> np.ndarray:
        """Speak a text as the bot's voice will, at ``RATE``: to learn how loud it is."""
        synthesis = self.speaker.synthesize(SynthesisRequest("en-US-Chirp3-HD-Charon", "en-US"))
        await synthesis.text(text)
        await synthesis.finish()
        pcm = b"".join([piece async for piece in synthesis.audio()])
        return soxr.resample(np.frombuffer(pcm, "<i2").astype(np.float32), 24_000, RATE)


@dataclass(frozen=True)
class Said:
    """Something the user said.

    Parameters:
        samples: int16 at ``RATE``, from the first sound to the last.
        at: ``time.monotonic()`` when it was given to the microphone.
    """

    samples: np.ndarray
    at: float


@dataclass(frozen=True)
class Found:
    """When the user was heard in the microphone, in seconds on the session's clock."""

    start: float
    end: float


class RoomTalk:
    """``async with RoomTalk(...) as talk``: a conversation that runs inside the block; ``talk.run`` is what it left.

    Args:
        audio: The sound card.
        home: Where the session folder goes.
        mind: What is behind the emulator.
        room: How the loudspeaker leaks into the microphone.
        arguments: More of the command line.
    """

    def __init__(self, audio: VirtualAudio, home: Path, mind: RoomMind, room: Room, *arguments: str):
        self._audio, self._home, self._mind, self._room = audio, home, mind, room
        self._arguments = arguments
        self._google = GoogleEmulator(mind=mind)
        self._process: asyncio.subprocess.Process | None = None
        self._output: list[str] = []
        self._reader: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self.said: list[Said] = []
        self.run: Run | None = None

    async def __aenter__(self) -> "RoomTalk":
        await self._google.start()
        try:
            await asyncio.to_thread(self._audio.open_speaker, self._room)
            self._process = await start_bot(
                self._home, "talk", "--backend", "google", "--session", "s", *self._arguments,
                **self._google.env, **self._audio.environment,
            )  # fmt: skip
            self._reader = asyncio.create_task(self._read(self._process))
            waiting = asyncio.create_task(self._ready.wait())
            await asyncio.wait({waiting, self._reader}, timeout=_START_SECS, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if not self._ready.is_set():
                raise RuntimeError("The talk did not begin: " + "".join(self._output[-20:]))
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    @property
    def events(self) -> list[dict]:
        """What happened so far."""
        path = self._home / "s" / "events.jsonl"
        lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    async def wait(self, event_type: str, *, after: int, secs: float) -> bool:
        """Wait for an event of a type.

        Args:
            event_type: Which.
            after: How many events to pass over, as `events` had them then.
            secs: How long at most.

        Returns:
            Whether it came.
        """
        deadline = time.monotonic() + secs
        while not any(event["type"] == event_type for event in self.events[after:]):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.03)
        return True

    def say(self, samples: np.ndarray) -> None:
        """Speak int16 samples at ``RATE`` into the microphone, without waiting."""
        self.said.append(Said(samples, time.monotonic()))
        self._audio.say(samples, RATE)

    async def turn(self, samples: np.ndarray, *, secs: float = 30.0) -> bool:
        """Say something while the bot is silent and wait until it has answered.

        Returns:
            Whether it has, in time.
        """
        seen = len(self.events)
        self.say(samples)
        for event in ("turn_sent", "speaking_started", "speaking_stopped"):
            if not await self.wait(event, after=seen, secs=secs):
                return False
        return True

    def found(self) -> list[Found]:
        """When each thing the user said was heard: searched for in the recording of the microphone."""
        assert self.run
        sound, rate = self.run.sound
        microphone = soxr.resample(sound[:, 0], rate, RATE)
        # The first one tells how the clocks differ; it may be said again later.
        earliest = self.said[0].samples
        first, _ = _search(microphone[: len(earliest) + round(_FIRST_SECS * RATE)], earliest)
        origin = self.said[0].at - first / RATE
        result = []
        for said in self.said:
            near = max(0, round((said.at - origin - _SEARCH_SECS) * RATE))
            window = microphone[near : near + len(said.samples) + round(2 * _SEARCH_SECS * RATE)]
            start = (near + _search(window, said.samples)[0]) / RATE
            result.append(Found(start, start + len(said.samples) / RATE))
        return result

    def last_sound(self, start: float, end: float) -> float | None:
        """When the loudspeaker's last audible sample between two times was heard, or None if there was none."""
        assert self.run
        sound, rate = self.run.sound
        first = round(start * rate)
        loud = np.flatnonzero(np.abs(sound[first : round(end * rate), 1]) > _AUDIBLE)
        return (first + int(loud[-1])) / rate if len(loud) else None

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        async for line in process.stdout:
            self._output.append(line.decode())
            if _READY in self._output[-1]:
                self._ready.set()

    async def _close(self) -> None:
        if self._process and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)
            try:
                await asyncio.wait_for(self._process.wait(), _END_SECS)
            except TimeoutError:
                self._process.kill()
        if self._process and self._reader:
            await self._reader
            self.run = Run(await self._process.wait(), "".join(self._output), self._home / "s")
        await asyncio.to_thread(self._audio.close_room)
        await self._google.stop()


def _search(sound: np.ndarray, samples: np.ndarray) -> tuple[int, float]:
    """Position at which samples fit best into a sound, and how well."""
    size = 1 << (len(sound) + len(samples)).bit_length()
    spectrum = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(samples.astype(np.float32), size))
    fit = np.fft.irfft(spectrum, size)[: max(1, len(sound) - len(samples) // 2)]
    best = int(np.argmax(fit))
    return best, float(fit[best])
