"""Conversations in real time between a recorded user, who waits for the bot's answers, and a whole pipeline."""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pipecat.frames.frames import Frame, InputAudioRawFrame, LLMTextFrame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from halfcascade.bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE
from halfcascade.processors.chirp_tts import ChirpTTSService
from halfcascade.processors.chirp_tts.heard.ledger import LedgerEntry
from halfcascade.processors.frames import TurnSentFrame
from halfcascade.transports.wav import WavTransport, WavTransportParams

DATA = Path(__file__).parents[1] / "tests" / "data"
RATE = AUDIO_IN_RATE
RETRIED = "retried"
STAGES = ("final", "turn_sent", "first_text", "text_at_voice", "first_audio", "heard")
# Silence that the user hears before they take an answer to be over, longer than any pause within one.
OVER_SECS = 0.6
# How far into an answer the user interrupts it.
INTERRUPT_SECS = 1.2
# How long the user waits for an answer: more than twice the slowest peer's p90.
TIMEOUT_SECS = 8.0
# A turn that is sent a little before the end of speech still answers it: the recordings' ends are estimates.
_EARLY_SECS = 0.1
# The loudest sample of silence: below what any voice reaches within its first milliseconds.
_AUDIBLE = 300
# Silence after which the bot's sound is a new one.
_GAP_SECS = 0.3
_POLL_SECS = 0.02
# Quiet of a recording that is played before and after its speech.
_LEAD_SECS, _TAIL_SECS = 0.2, 0.3


@dataclass(frozen=True)
class Utterance:
    """What the user says in one turn.

    Parameters:
        name: For people.
        samples: 16-bit mono at ``RATE``.
        end: Where its speech ends, in seconds.
        text: The words.
        interrupts: Whether it is said into the answer before it, instead of after.
        counted: Whether its answer is measured.
    """

    name: str
    samples: np.ndarray
    end: float
    text: str
    interrupts: bool = False
    counted: bool = True


def recordings() -> dict[str, dict[str, Any]]:
    """The recordings of ``tests/data`` by name."""
    return {entry["name"]: entry for entry in json.loads((DATA / "recordings.json").read_text("utf-8"))}


def say(*parts: str | tuple[str, int, float], interrupts: bool = False, counted: bool = True) -> Utterance:
    """Compose an utterance of recordings and pauses.

    Args:
        *parts: Names of recordings; with a number of words, only those are said, and with seconds, a pause follows:
            ``("weather", 3, 0.4), ("weather", -3, 0.0)`` says three words, pauses, and says the rest.
        interrupts: As for ``Utterance``.
        counted: As for ``Utterance``.

    Returns:
        The utterance.
    """
    known = recordings()
    pieces: list[np.ndarray] = []
    words: list[str] = []
    at = end = 0.0
    for part in parts:
        name, count, pause = (part, 0, 0.0) if isinstance(part, str) else part
        entry = known[name]
        samples = soundfile.read(DATA / entry["file"], dtype="int16")[0]
        first, last, speech_end = _span(entry, count)
        pieces += [samples[round(first * RATE) : round(last * RATE)], _quiet(pause)]
        spoken = entry["words"][: count or None] if count >= 0 else entry["words"][-count:]
        words += [word["word"] for word in spoken]
        end = at + speech_end - first
        at += last - first + pause
    label = "+".join(part if isinstance(part, str) else part[0] for part in parts)
    return Utterance(label, np.concatenate(pieces), end, " ".join(words), interrupts, counted)


def _span(entry: dict[str, Any], count: int) -> tuple[float, float, float]:
    """What to play of a recording: all of it, its first ``count`` words, or what follows ``-count`` words.

    Returns:
        Where to begin, where to end, and where speech ends in it, in seconds of the recording.
    """
    words = entry["words"]
    seam = _seam(words, abs(count)) if count else 0.0
    first = seam if count < 0 else max(0.0, entry["start"] - _LEAD_SECS)
    return (first, seam, seam) if count > 0 else (first, entry["end"] + _TAIL_SECS, entry["end"])


def _seam(words: list[dict[str, Any]], count: int) -> float:
    """Where to cut between two words: right behind the first of them."""
    return float(min(words[count - 1]["end"] + 0.02, words[count]["start"]))


def _quiet(secs: float) -> np.ndarray:
    return np.random.default_rng(0).integers(-16, 16, round(secs * RATE)).astype(np.int16)


class User(FrameProcessor):
    """Speaks into the microphone when told to. It is also the wiretap that knows when what was captured and played."""

    def __init__(self) -> None:
        super().__init__()
        self._times: deque[float] = deque()
        self._left = np.zeros(0, np.int16)
        self._began = asyncio.Event()
        self._said = asyncio.Event()
        self._began_at = 0.0
        self.ready = asyncio.Event()
        self.sounds: list[float] = []

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block."""
        self._times.append(at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block."""
        loud = np.flatnonzero(np.abs(np.frombuffer(audio, "<i2").astype(np.int32)) > _AUDIBLE)
        if len(loud):
            self.sounds += [at + loud[0] / sample_rate, at + loud[-1] / sample_rate]

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Put speech in the place of the microphone's silence."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            at, count = self._times.popleft(), len(frame.audio) // 2
            self.ready.set()
            if len(self._left):
                if not self._began.is_set():
                    self._began_at = at
                    self._began.set()
                block, self._left = self._left[:count], self._left[count:]
                frame.audio = np.pad(block, (0, count - len(block))).tobytes()
                if not len(self._left):
                    self._said.set()
        await self.push_frame(frame, direction)

    async def say(self, utterance: Utterance) -> tuple[float, float]:
        """Say something.

        Args:
            utterance: What to say.

        Returns:
            ``time.monotonic()`` at which it began and at which its speech ended.
        """
        self._began.clear()
        self._said.clear()
        self._left = utterance.samples
        await self._said.wait()
        return self._began_at, self._began_at + utterance.end

    def starts(self) -> list[float]:
        """Moments at which the bot became audible after a silence."""
        before = [-1e9, *self.sounds]
        return [at for last, at in zip(before, self.sounds, strict=False) if at - last > _GAP_SECS]

    async def bot_is_heard(self, after: float) -> float | None:
        """Wait until the bot is heard, at most ``TIMEOUT_SECS``.

        Args:
            after: Sounds that began earlier do not count.

        Returns:
            When it began, or None.
        """
        deadline = time.monotonic() + TIMEOUT_SECS
        while (found := next((at for at in self.starts() if at > after), None)) is None:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(_POLL_SECS)
        return found

    async def bot_is_silent(self, since: float) -> None:
        """Wait until nothing has been heard for ``OVER_SECS``, and since then."""
        while (over := max([since, *self.sounds[-1:]]) + OVER_SECS) > time.monotonic():  # noqa: ASYNC110 - no event
            await asyncio.sleep(max(0.0, over - time.monotonic()))


class UserTransport(WavTransport):
    """Devices of a ``User``: a microphone that hears them, and a loudspeaker paced like a sound card."""

    def __init__(self, user: User):
        super().__init__(WavTransportParams(tap=user))
        self._user = user

    def input(self) -> FrameProcessor:
        """Get the microphone with the user before it."""
        return Pipeline([super().input(), self._user])


class Stages(BaseObserver):
    """Notes when frames of each stage pass."""

    def __init__(self, talker: "Talker"):
        super().__init__()
        self.ears, self.brain, self.voice = talker.ears, talker.brain, talker.voice
        self.times: dict[str, list[float]] = defaultdict(list)
        if isinstance(self.voice, ChirpTTSService):
            self.voice.ledger.listen(self._entry)

    def _entry(self, entry: LedgerEntry) -> None:
        if entry.kind == "sent" and entry.reason == "retry":
            self.times[RETRIED].append(time.monotonic())

    async def on_push_frame(self, data: FramePushed) -> None:
        """Note frames where they come from."""
        if isinstance(data.frame, TurnSentFrame):
            self.times["turn_sent" if data.frame.attempt == 1 else RETRIED].append(time.monotonic())
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


@dataclass(frozen=True)
class Talker:
    """A pipeline to talk with, and where its stages are.

    Parameters:
        pipeline: The pipeline.
        ears: Where finals come from.
        brain: Where text comes from.
        voice: Where speech comes from.
    """

    pipeline: Pipeline
    ears: FrameProcessor
    brain: FrameProcessor
    voice: FrameProcessor


def stage_times(times: dict[str, list[float]], end: float, heard: float | None) -> dict[str, float] | None:
    """Milliseconds from the end of speech to each stage of its answer.

    Args:
        times: When frames of each stage passed; ``turn_sent`` may have been sent early.
        end: End of the user's speech.
        heard: First sound of the answer, or None if there was none.

    Returns:
        Milliseconds by stage, and ``RETRIED`` if something was asked for again; None without an answer.
    """
    sent = None if heard is None else max((at for at in times["turn_sent"] if at < heard), default=None)
    if heard is None or sent is None:
        return None
    found = {"turn_sent": sent, "heard": heard}
    finals = [at for at in times["final"] if end - _EARLY_SECS < at < heard]
    # What was sent before its final is confirmed by the one that follows.
    found["final"] = max((at for at in finals if at <= sent), default=min(finals, default=sent))
    for stage in ("first_text", "text_at_voice", "first_audio"):
        found[stage] = next((at for at in times[stage] if sent < at), heard)
    row = {stage: 1000 * (found[stage] - end) for stage in STAGES}
    if again := [at for at in times[RETRIED] if end < at < heard]:
        row[RETRIED] = 1000 * (again[0] - end)
    return row


async def converse(
    build: Callable[[UserTransport], Talker], utterances: Sequence[Utterance], *observers: BaseObserver
) -> list[dict[str, float] | None]:
    """Hold one conversation: say each utterance when the answer to the one before is over.

    Args:
        build: Makes the pipeline; called with the event loop running.
        utterances: What the user says.
        *observers: Who else watches the pipeline.

    Returns:
        The stages of each counted turn, None for one that got no answer.
    """
    user = User()
    talker = build(UserTransport(user))
    observer = Stages(talker)
    params = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=AUDIO_OUT_RATE)
    worker = PipelineWorker(
        talker.pipeline, params=params, observers=[observer, *observers], cancel_on_idle_timeout=False
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    found: list[dict[str, float] | None] = []

    async def talk() -> None:
        await user.ready.wait()
        heard: float | None = time.monotonic()
        for utterance in utterances:
            if utterance.interrupts and heard is not None:
                await asyncio.sleep(max(0.0, heard + INTERRUPT_SECS - time.monotonic()))
            else:
                await user.bot_is_silent(heard or 0.0)
            _, end = await user.say(utterance)
            heard = await user.bot_is_heard(end - _EARLY_SECS)
            if utterance.counted:
                found.append(stage_times(defaultdict(list, observer.times), end, heard))
        await worker.cancel()

    talking = asyncio.create_task(talk())
    try:
        await runner.run()
    finally:
        talking.cancel()
    return found
