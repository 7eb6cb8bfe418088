"""A user of the corpus, talking to a chain of detector, ears and turns, in virtual time.

The ears are simulated: they know the words, and give them when the ``reference`` profile's recognizer would. The answer
is simulated too: its first sound comes as late after the request as that profile's model and voice take. Neural
networks are the real ones; they take none of the clock's time.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    STTMetadataFrame,
    TranscriptionFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMUserAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from bench.turn_corpus.corpus import RATE, Turn
from halfcascade.processors.frames import ListeningSoundFrame, SpeechCoveredFrame, SpeechPausedFrame, SpeechResumedFrame
from tests.running import running

_BLOCK = RATE // 50
_BLOCK_SECS = _BLOCK / RATE
_NOISE = 16.0
_LEAD_SECS = 0.4
# The reference profile: interims lag, a flushed final, the recognizer's own endpoint, and the network there and back.
_INTERIM_EVERY_SECS, _INTERIM_LAG_SECS = 0.1, 0.25
_FLUSHED_SECS, _ENDPOINT_SECS = 0.22, 0.89
# A detector may take the soft end of a word for silence; the recognizer has the word all the same.
_SOFT_END_SECS = 0.2
# From the request to the first sound: 0.35 s to the first token and the network; then the voice and its start.
_TEXT_SECS, _VOICE_SECS = 0.4, 0.23
# How long a held answer takes to be heard.
_RELEASE_SECS = 0.02
_ANSWER_SECS = 0.4
_PATIENCE_SECS = 6.0
# Who was heard so shortly before speaks.
_LATELY_SECS = 0.1
_QUESTIONS = ("what", "where", "who", "which", "how", "why", "when", "is", "are", "do", "does", "can", "could")


@dataclass
class Heard:
    """What became of one turn.

    Parameters:
        turn: The turn.
        pause_secs: The pause in it, or 0.0.
        answer_secs: From the end of speech to the first sound of the last answer, or None without an answer.
        talked_into: Whether the bot was heard in the pause.
        whole: Whether the last request to the brain held all words in one message.
        requests: How often the brain was asked.
        listened: Listening sounds: what was said, and whether in the pause, at the ``end``, or ``over`` the user.
    """

    turn: Turn
    pause_secs: float
    answer_secs: float | None
    talked_into: bool
    whole: bool
    requests: int
    listened: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Scene:
    """When the words of a turn are said, on the loop's clock."""

    ends: list[tuple[float, str]] = field(default_factory=list)
    """Of each word: when it is over, and the word."""

    def said(self, since: int, until: float) -> list[str]:
        """Words that are over by a moment, from a number on."""
        return [word for end, word in self.ends[since:] if end <= until]


class Ears(FrameProcessor):
    """Gives the words of the scene as a recognizer would.

    Args:
        flush: Whether a pause flushes the final, as this project's ears have it; else the endpoint brings it.
    """

    def __init__(self, *, flush: bool):
        super().__init__()
        self.scene = Scene()
        self._flush = flush
        self._given = 0
        self._interim = ""
        self._silent_since: float | None = None
        self._flush_at: float | None = None
        self._covered = True

    def hear(self, scene: Scene) -> None:
        """Listen to a new turn."""
        self.scene, self._given, self._interim = scene, 0, ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Follow speech; with the audio comes time."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        now = time.monotonic()
        match frame:
            case SpeechPausedFrame() if not self._covered:
                self._flush_at = now + _FLUSHED_SECS
            case SpeechResumedFrame() | VADUserStartedSpeakingFrame():
                self._covered, self._flush_at = False, None
            case InputAudioRawFrame():
                await self._tick(now)

    async def _tick(self, now: float) -> None:
        words = self.scene.said(self._given, now - _INTERIM_LAG_SECS)
        if self._flush and self._flush_at is not None and now >= self._flush_at:
            self._flush_at, self._covered = None, True
            if not await self._final(
                self.scene.said(self._given, now - _FLUSHED_SECS + _SOFT_END_SECS), finalized=True
            ):
                await self.push_frame(SpeechCoveredFrame())
        elif not self._flush and words and self.scene.ends[self._given + len(words) - 1][0] <= now - _ENDPOINT_SECS:
            await self._final(words, finalized=False)
        elif words and (text := " ".join(words)) != self._interim:
            self._interim = text
            await self.push_frame(InterimTranscriptionFrame(text, "", ""))

    async def _final(self, words: Sequence[str], *, finalized: bool) -> bool:
        if not words:
            return False
        self._given += len(words)
        self._interim = ""
        # Recognizers with punctuation put a mark behind whatever a stream ended with.
        text = " ".join(words).rstrip(".,?!")
        mark = "?" if words[0].lower() in _QUESTIONS else "."
        await self.push_frame(TranscriptionFrame(text[:1].upper() + text[1:] + mark, "", "", finalized=finalized))
        return True


class Answerer(FrameProcessor):
    """Stands for brain, voice and loudspeaker: the bot is heard some time after it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[str]] = []
        self.sounds: list[float] = []
        self.listened: list[tuple[float, str]] = []
        self._speaking: asyncio.Task[None] | None = None
        self._asked_at = 0.0
        self._held = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take requests, confirmations and withdrawals."""
        await super().process_frame(frame, direction)
        match frame:
            case LLMContextFrame():
                messages = [str(cast(dict[str, Any], one)["content"]) for one in frame.context.get_messages()]
                self.asked.append(messages)
                self._asked_at, self._held = time.monotonic(), frame.speculation
                if not frame.speculation:
                    await self._answer(time.monotonic() + _TEXT_SECS + _VOICE_SECS)
            case UserStoppedSpeakingFrame() if self._held:
                # The first sound was held: it is heard at once if it is there by now.
                self._held = False
                ready_at = self._asked_at + _TEXT_SECS + _VOICE_SECS
                await self._answer(max(time.monotonic() + _RELEASE_SECS, ready_at))
            case EagerEndOfTurnCancelFrame():
                self._held = False
            case ListeningSoundFrame():
                self.listened.append((time.monotonic(), frame.text))
            case InterruptionFrame():
                self._held = False
                await self._silence()
        await self.push_frame(frame, direction)

    async def _answer(self, at: float) -> None:
        await self._silence()
        self._speaking = self.create_task(self._speak(at), "answer")

    async def _speak(self, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.monotonic()))
        self.sounds.append(time.monotonic())
        try:
            await self.broadcast_frame(BotStartedSpeakingFrame)
            await asyncio.sleep(_ANSWER_SECS)
        finally:
            self._speaking = None
            await self.broadcast_frame(BotStoppedSpeakingFrame)

    async def _silence(self) -> None:
        task, self._speaking = self._speaking, None
        if task is not None:
            await self.cancel_task(task)


@dataclass(frozen=True)
class Chain:
    """What is measured.

    Parameters:
        detector: What comes before the ears, if anything.
        flush: How the ears get their finals.
        ttfs_secs: What the turn strategies are told to wait for a final at most.
        aggregator: Makes the user aggregator for a context.
        behind: What else listens behind it.
    """

    detector: Callable[[], FrameProcessor] | None
    flush: bool
    ttfs_secs: float
    aggregator: Callable[[LLMContext, str], LLMUserAggregator]
    behind: Callable[[], Sequence[FrameProcessor]] = tuple


async def talk(chain: Chain, turns: Sequence[tuple[Turn, float]], language: str) -> tuple[list[Heard], float]:
    """Say turns to a chain, each when the answer to the one before is over.

    Args:
        chain: What listens.
        turns: The turns, and how long to pause in each.
        language: Locale.

    Returns:
        What became of each turn, and how many seconds all of it took on the loop's clock.
    """
    began = time.monotonic()
    context = LLMContext()
    ears, answerer = Ears(flush=chain.flush), Answerer()
    user = chain.aggregator(context, language)
    parts = [chain.detector()] if chain.detector else []
    worker = PipelineWorker(
        Pipeline([*parts, ears, user, *chain.behind(), answerer]),
        params=PipelineParams(audio_in_sample_rate=RATE),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    heard: list[Heard] = []
    rng = np.random.default_rng(0)
    async with running(worker, 120.0):
        await worker.queue_frame(STTMetadataFrame(service_name="ears", ttfs_p99_latency=chain.ttfs_secs))
        for turn, pause_secs in turns:
            context.set_messages([])
            answerer.asked.clear()
            answerer.sounds.clear()
            answerer.listened.clear()
            heard.append(await _say(worker, ears, answerer, turn, pause_secs, rng))
            print(".", end="", file=sys.stderr, flush=True)
        return heard, time.monotonic() - began


async def _say(
    worker: PipelineWorker, ears: Ears, answerer: Answerer, turn: Turn, pause_secs: float, rng: np.random.Generator
) -> Heard:
    began = time.monotonic() + _LEAD_SECS
    scene, at, pieces = Scene(), began, [np.zeros(round(_LEAD_SECS * RATE))]
    resumes = ends = began
    said_at: list[float] = []
    for number, (samples, words) in enumerate(zip(turn.parts, turn.words, strict=True)):
        if number:
            pieces.append(np.zeros(round(pause_secs * RATE)))
            at = resumes = ends + pause_secs
        scene.ends += _spread(words.split(), at, _audible_secs(samples))
        ends = at + len(samples) / RATE
        said_at.append(at)
        pieces.append(samples)
    ears.hear(scene)
    samples = np.concatenate(pieces)
    deadline = ends + _PATIENCE_SECS
    position = 0
    while True:
        now = time.monotonic()
        answered = [sound for sound in answerer.sounds if sound >= ends]
        if now > deadline or (answered and now > answered[-1] + _ANSWER_SECS + 0.2):
            break
        block = np.zeros(_BLOCK)
        block[: len(samples[position : position + _BLOCK])] = samples[position : position + _BLOCK]
        position += _BLOCK
        noisy = np.clip(block + rng.standard_normal(_BLOCK) * _NOISE, -32768, 32767).astype("<i2")
        await worker.queue_frame(InputAudioRawFrame(noisy.tobytes(), RATE, 1))
        await asyncio.sleep(_BLOCK_SECS)
    last = answerer.asked[-1] if answerer.asked else []
    said = [word.lower().strip(".,?!") for word in " ".join(last[-1:]).split()]
    wanted = [word.lower().strip(".,?!") for part in turn.words for word in part.split()]
    return Heard(
        turn,
        pause_secs if turn.hesitates else 0.0,
        answered[-1] - ends if answered else None,
        turn.hesitates and any(sound < resumes for sound in answerer.sounds),
        said == wanted,
        len(answerer.asked),
        [(text, _where(at, said_at, turn.parts)) for at, text in answerer.listened],
    )


def _where(at: float, said_at: Sequence[float], parts: Sequence[np.ndarray]) -> str:
    """Where a moment lies: over sound of the user, behind the last part, or in a pause."""
    for begin, samples in zip(said_at, parts, strict=True):
        first, last = round((at - begin - _LATELY_SECS) * RATE), round((at - begin) * RATE)
        near = np.abs(samples[max(0, first) : max(0, last)].astype(np.float32))
        if len(near) and near.max() > np.abs(samples.astype(np.float32)).max() / 16:
            return "over"
    return "pause" if at < said_at[-1] + _audible_secs(parts[-1]) else "end"


def _audible_secs(samples: np.ndarray) -> float:
    """Where the last word is over: some voices trail off for half a second."""
    loudness = np.abs(samples.astype(np.float32))
    return float(np.flatnonzero(loudness > loudness.max() / 16)[-1] + 1) / RATE


def _spread(words: Sequence[str], at: float, secs: float) -> list[tuple[float, str]]:
    """Give each word its share of a part, by its letters."""
    sizes = np.cumsum([len(word) + 1 for word in words])
    return [(at + secs * size / sizes[-1], word) for size, word in zip(sizes, words, strict=True)]
