"""Early questions in any order with what confirms, withdraws, interrupts or overtakes them.

The brain is the real one, on a virtual clock; the user aggregator is a model of it, whose ordered frames may be late.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import EARLY, TURN, TurnConfirmedFrame, TurnReopenedFrame
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor
from tests.processors.test_turn_names import Memory
from tests.running import running

STEPS = ("start", "ask", "withdraw", "end", "reopen", "interrupt", "deliver", "moment", "while", "long")
WAITS = {"moment": 0.03, "while": 0.4, "long": 3.0}


class Sink(FrameProcessor):
    """Keeps the text that would be heard, and when it came."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMTextFrame):
            self.texts.append(asyncio.get_running_loop().time())
        await self.push_frame(frame, direction)


class Turns:
    """What the user aggregator pushes: system frames at once, the others when they are delivered, or never."""

    def __init__(self, worker: PipelineWorker, context: LLMContext):
        self._worker = worker
        self._context = context
        self._late: list[Frame] = []
        self._open = False
        self._words: list[str] = []
        self._count = self._turn = self._early = 0
        self._asked: list[str] | None = None

    async def do(self, step: str) -> None:
        match step:
            case "start" if not self._open:
                await self._begin()
            case "reopen" if not self._open and self._context.messages:
                *before, ended = self._context.messages
                self._context.set_messages(before)
                self._words = [*str(ended["content"]).split(), *self._words]
                await self._push(TurnReopenedFrame(turn=self._turn))
                await self._begin()
            case "ask" if self._open and self._asked is None:
                await self._ask()
            case "withdraw" if self._open and self._asked is not None:
                self._asked = None
                self._say()
                await self._push(EagerEndOfTurnCancelFrame(), {EARLY: self._early})
            case "end" if self._open:
                await self._end()
            case "interrupt" if self._open:
                self._late.clear()
                await self._push(InterruptionFrame())
            case "deliver":
                await self.deliver()
            case _ if step in WAITS:
                await asyncio.sleep(WAITS[step])

    async def close(self) -> None:
        await self.do("end")
        await self.deliver()

    async def deliver(self) -> None:
        late, self._late = self._late, []
        for frame in late:
            await self._push(frame)

    def _say(self) -> None:
        self._count += 1
        self._words.append(f"w{self._count}")

    async def _begin(self) -> None:
        self._open = True
        self._say()
        # An interruption drops what has not been taken.
        self._late.clear()
        await self._push(UserStartedSpeakingFrame())
        await self._push(InterruptionFrame())

    async def _ask(self) -> None:
        self._asked = list(self._words)
        self._early += 1
        messages: list[Any] = [*self._context.messages, {"role": "user", "content": " ".join(self._words)}]
        frame = LLMContextFrame(LLMContext(messages), speculation=True)
        frame.metadata |= {TURN: self._turn + 1, EARLY: self._early}
        self._late.append(frame)

    async def _end(self) -> None:
        self._open = False
        await self._push(UserStoppedSpeakingFrame())
        self._context.add_message({"role": "user", "content": " ".join(self._words)})
        self._turn += 1
        frame: Frame = LLMContextFrame(self._context)
        if self._asked is not None:
            frame = TurnConfirmedFrame(self._context, self._turn, self._early)
        frame.metadata[TURN] = self._turn
        self._late.append(frame)
        self._words, self._asked = [], None

    async def _push(self, frame: Frame, metadata: dict[str, Any] | None = None) -> None:
        frame.metadata |= metadata or {}
        await self._worker.queue_frame(frame)
        await asyncio.sleep(0.001)


async def hold(steps: Sequence[str], answer_secs: float) -> None:
    context, memory, sink = LLMContext(), Memory(answer_secs), Sink()
    brain = GeminiLiveTextProcessor(object(), context=context, opener=memory.open)
    worker = PipelineWorker(Pipeline([brain, sink]), cancel_on_idle_timeout=False, enable_rtvi=False)
    async with running(worker, 120.0):
        turns = Turns(worker, context)
        for step in steps:
            await turns.do(step)
        await turns.close()
        await asyncio.sleep(8.0)
        said = " ".join(str(message["content"]) for message in context.messages)
        assert not said or sink.texts
        for step in ("start", "ask", "deliver", "moment", "end", "deliver"):
            await turns.do(step)
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(8.0)
        said = " ".join(str(message["content"]) for message in context.messages)
        assert memory.user_words() == said.split()
        assert sink.texts[-1] >= began


# Confirmed, gone on with, and asked early again: what was written to the context is not the new question.
@example(["start", "ask", "deliver", "while", "end", "deliver", "reopen", "ask", "deliver", "while", "end"], 2.0)
# Withdrawn before the brain had it.
@example(["start", "ask", "withdraw", "deliver", "while", "ask", "deliver", "end"], 0.5)
# Written to the context, and told to a session that opens before it is asked.
@example(["start", "end", "while"], 0.05)
@example(["start", "ask", "end", "while"], 0.05)
# Dropped by an interruption, and confirmed all the same.
@example(["start", "ask", "interrupt", "deliver", "end", "deliver"], 0.5)
# The confirmation is dropped, and the user says something else.
@example(["start", "ask", "deliver", "while", "end", "start", "end"], 0.5)
@given(st.lists(st.sampled_from(STEPS), max_size=16), st.sampled_from((0.05, 0.5, 2.0)))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_every_turn_is_asked_once_and_answered(steps, answer_secs):
    virtual_time.run(hold(steps, answer_secs))


@pytest.mark.slow
@given(st.lists(st.sampled_from(STEPS), max_size=30), st.sampled_from((0.05, 0.5, 2.0)))
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_turn_is_asked_once_and_answered_in_many_orders(steps, answer_secs):
    virtual_time.run(hold(steps, answer_secs))
