"""What a chain of detector and turn strategies makes of recorded microphone audio, faster than it was recorded."""

from dataclasses import dataclass

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup
from pipecat.turns.user_start import BaseUserTurnStartStrategy

from halfcascade.processors.frames import DuckFrame
from tests.running import running

RATE = 16_000
_BLOCK = RATE // 50
_TIMEOUT_SECS = 120.0


@dataclass(frozen=True)
class Part:
    """A stretch of a scene, in samples from the scene's beginning.

    Parameters:
        start: Where it begins: with the bot's first sound, if it speaks.
        bot: How long the bot speaks.
        user_start: When the user begins, from the part's start.
        user: How long the user speaks.
    """

    start: int
    bot: int
    user_start: int
    user: int


@dataclass(frozen=True)
class Reaction:
    """What the chain did.

    Parameters:
        kind: ``ducked``, ``noticed`` (the detector is sure that somebody speaks) or ``stopped`` (a turn of the user
            begins, which silences the bot).
        at: After how many samples of the scene.
    """

    kind: str
    at: int


async def react(
    microphone: np.ndarray, parts: list[Part], detector: FrameProcessor, strategy: BaseUserTurnStartStrategy
) -> list[Reaction]:
    """Let a chain hear a scene. The bot of the scene speaks on, whatever happens; no words are recognized.

    Args:
        microphone: int16 samples at ``RATE``.
        parts: Of the scene; with each the floor is free again.
        detector: Detects voice activity.
        strategy: Begins turns.

    Returns:
        What it did, in order.
    """
    taker = _TurnTaker(strategy, [part.start for part in parts])
    worker = PipelineWorker(
        Pipeline([detector, taker]), params=PipelineParams(audio_in_sample_rate=RATE), enable_rtvi=False,
        idle_timeout_secs=None,
    )  # fmt: skip
    edges: dict[int, list[Frame]] = {}
    for part in parts:
        if part.bot:
            edges.setdefault(part.start // _BLOCK, []).append(BotStartedSpeakingFrame())
            edges.setdefault((part.start + part.bot) // _BLOCK, []).append(BotStoppedSpeakingFrame())
    async with running(worker, _TIMEOUT_SECS):
        for i in range(len(microphone) // _BLOCK):
            block = microphone[i * _BLOCK : (i + 1) * _BLOCK]
            frames = [*edges.get(i, []), InputAudioRawFrame(block.tobytes(), RATE, 1)]
            for frame in frames:
                await worker.queue_frame(frame)
    return taker.reactions


class _TurnTaker(FrameProcessor):
    """Stands where the user aggregator does, and notes what the strategy decides."""

    def __init__(self, strategy: BaseUserTurnStartStrategy, floor_free: list[int]):
        super().__init__()
        self.reactions: list[Reaction] = []
        self._strategy = strategy
        self._floor_free = floor_free
        self._passed = 0
        strategy.add_event_handler("on_push_frame", self._pushed)
        strategy.add_event_handler("on_user_turn_started", self._started)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override] # as Pipecat itself does
        await super().setup(setup)
        await self._strategy.setup(setup)

    async def cleanup(self) -> None:
        await self._strategy.cleanup()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            self._passed += _BLOCK
            while self._floor_free and self._floor_free[0] < self._passed:
                self._floor_free.pop(0)
                await self._strategy.handle_user_turn_stopped()
        elif isinstance(frame, VADUserStartedSpeakingFrame):
            self._note("noticed")
        await self._strategy.process_frame(frame)
        await self.push_frame(frame, direction)

    async def _pushed(self, _strategy: object, frame: Frame, _direction: FrameDirection) -> None:
        if isinstance(frame, DuckFrame) and frame.gain < 1.0:
            self._note("ducked")

    async def _started(self, _strategy: object, _params: object) -> None:
        self._note("stopped")
        await self._strategy.handle_user_turn_started()

    def _note(self, kind: str) -> None:
        self.reactions.append(Reaction(kind, self._passed))
