"""Questions, their withdrawals and ends of turns at the brain, in every order in which they may come there.

What a turn is about is told by frames that overtake each other; the brain alone is real, its clock is virtual and
Gemini Live is a memory (``tests/processors/test_turn_names``).
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    LLMContextFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.frames import EARLY, TURN, TurnConfirmedFrame, TurnReopenedFrame
from halfcascade.processors.gemini_live import GeminiLiveTextProcessor, GeminiLiveTextSettings
from halfcascade.processors.gemini_live.protocol.asked import AskedTurns
from tests.processors.test_turn_names import Memory
from tests.running import running

SOON = 2.0
FILLER_SECS = 3.0


class Ear(FrameProcessor):
    """Keeps what comes out of the brain, either way."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


class Desk:
    """The brain with somebody who plays the user aggregator's part.

    Parameters:
        memory: What the model knows.
        context: The conversation, live.
    """

    def __init__(self, answer_secs: float) -> None:
        self.memory = Memory(answer_secs)
        self.context = LLMContext()
        self._ear, self._tail = Ear(), Ear()

    async def hold(self, play: "Play") -> None:
        settings = GeminiLiveTextSettings(filler_after=FILLER_SECS)
        brain = GeminiLiveTextProcessor(object(), context=self.context, opener=self.memory.open, settings=settings)
        pipeline = Pipeline([self._ear, brain, self._tail])
        worker = PipelineWorker(pipeline, cancel_on_idle_timeout=False, enable_rtvi=False)
        self.queue = worker.queue_frame
        async with running(worker, 60.0):
            await self.come(UserStartedSpeakingFrame())
            await play(self)

    async def come(self, *frames: Frame, secs: float = 0.0) -> None:
        """Let frames reach the brain, one behind the other, and time pass."""
        for frame in frames:
            await self.queue(frame)
            await asyncio.sleep(0.001)
        await asyncio.sleep(secs)

    def early(self, text: str, turn: int, number: int) -> LLMContextFrame:
        """A question that is asked before the turn is over."""
        messages: list[Any] = [*self.context.messages, {"role": "user", "content": text}]
        frame = LLMContextFrame(LLMContext(messages), speculation=True)
        frame.metadata |= {TURN: turn, EARLY: number}
        return frame

    def over(self, text: str, turn: int) -> LLMContextFrame:
        """The end of a turn, with all its words."""
        self.context.add_message({"role": "user", "content": text})
        frame = LLMContextFrame(self.context)
        frame.metadata[TURN] = turn
        return frame

    def confirmed(self, text: str, turn: int, number: int) -> TurnConfirmedFrame:
        """The end of a turn with the words that were asked early."""
        self.context.add_message({"role": "user", "content": text})
        return TurnConfirmedFrame(self.context, turn, number)

    def of(self, kind: type[Frame]) -> list[Frame]:
        """What the brain has pushed of a kind."""
        return [frame for frame in (*self._ear.frames, *self._tail.frames) if isinstance(frame, kind)]

    @property
    def heard(self) -> str:
        """What the brain has said."""
        return "".join(frame.text for frame in self.of(LLMTextFrame) if isinstance(frame, LLMTextFrame))

    @property
    def asked(self) -> list[str]:
        """What the model holds to be the user's."""
        return self.memory.user_words()


Play = Callable[[Desk], Coroutine[Any, Any, None]]


def cancelled(number: int) -> EagerEndOfTurnCancelFrame:
    frame = EagerEndOfTurnCancelFrame()
    frame.metadata[EARLY] = number
    return frame


def play(script: Play, *, answer_secs: float = 0.2) -> Desk:
    desk = Desk(answer_secs)
    virtual_time.run(desk.hold(script))
    return desk


def test_a_question_that_its_withdrawal_overtakes_is_never_asked():
    async def script(desk: Desk) -> None:
        late = desk.early("what", 1, 1)
        await desk.come(cancelled(1), late, secs=SOON)
        assert desk.memory.messages == []
        await desk.come(UserStoppedSpeakingFrame(), secs=SOON)
        assert desk.heard == ""
        await desk.come(desk.over("what time is it", 1), secs=SOON)

    desk = play(script)
    assert desk.asked == ["what", "time", "is", "it"] and len(desk.memory.messages) == 2
    assert desk.heard == "Certainly."


def test_an_end_of_turn_that_going_on_overtakes_is_never_asked():
    async def script(desk: Desk) -> None:
        late = desk.early("what", 1, 1)
        # All of it stands in queues before the brain while the user ends, goes on and speaks.
        await desk.come(UserStoppedSpeakingFrame(), TurnReopenedFrame(turn=1), UserStartedSpeakingFrame())
        await desk.come(late, TurnConfirmedFrame(desk.context, 1, 1), secs=SOON)
        assert desk.memory.messages == []
        await desk.come(UserStoppedSpeakingFrame(), desk.over("what time is it", 2), secs=SOON)

    desk = play(script)
    assert desk.asked == ["what", "time", "is", "it"] and desk.heard == "Certainly."


def test_a_withdrawal_is_undone_at_once_so_that_the_next_question_need_not_wait():
    async def script(desk: Desk) -> None:
        await desk.come(desk.over("hello", 1), UserStoppedSpeakingFrame(), secs=SOON)
        await desk.come(UserStartedSpeakingFrame(), desk.early("what", 2, 1), secs=SOON)
        assert desk.asked == ["hello", "what"]
        await desk.come(cancelled(1), secs=SOON)
        assert desk.asked == ["hello"]

    play(script)


def test_a_withdrawal_of_an_earlier_question_leaves_the_one_that_stands():
    async def script(desk: Desk) -> None:
        await desk.come(desk.early("what", 1, 2), secs=SOON)
        await desk.come(cancelled(1), secs=SOON)
        assert desk.asked == ["what"]
        await desk.come(UserStoppedSpeakingFrame(), desk.confirmed("what", 1, 2), secs=SOON)

    desk = play(script)
    assert desk.asked == ["what"] and len(desk.memory.messages) == 2


def test_a_turn_that_is_gone_on_with_is_undone_at_once():
    async def script(desk: Desk) -> None:
        await desk.come(desk.over("hello", 1), UserStoppedSpeakingFrame(), secs=SOON)
        desk.context.set_messages([])
        await desk.come(TurnReopenedFrame(text="hello", turn=1), secs=SOON)
        assert desk.asked == []

    play(script)


def test_going_on_with_an_earlier_turn_leaves_what_was_asked_since():
    async def script(desk: Desk) -> None:
        await desk.come(desk.over("hello", 2), UserStoppedSpeakingFrame(), secs=SOON)
        await desk.come(TurnReopenedFrame(turn=1), secs=SOON)
        assert desk.asked == ["hello"]

    play(script)


@pytest.mark.parametrize("early", [False, True])
def test_whoever_waits_for_an_answer_that_was_asked_early_is_told_as_soon_as_others(early):
    async def script(desk: Desk) -> None:
        if early:
            await desk.come(desk.early("what", 1, 1), secs=1.0)
            await desk.come(UserStoppedSpeakingFrame(), desk.confirmed("what", 1, 1))
        else:
            await desk.come(UserStoppedSpeakingFrame(), desk.over("what", 1))
        await asyncio.sleep(FILLER_SECS - 0.5)
        assert not desk.of(TTSSpeakFrame)
        await asyncio.sleep(1.0)
        told.extend(desk.of(TTSSpeakFrame))

    told: list[Frame] = []
    play(script, answer_secs=60.0)
    assert len(told) == 1


def test_what_was_said_since_the_session_was_saved_is_told_again_after_a_drop():
    async def script(desk: Desk) -> None:
        await desk.come(desk.over("one", 1), UserStoppedSpeakingFrame(), secs=SOON)
        desk.context.add_message({"role": "assistant", "content": "Certainly."})
        desk.memory.saves = False
        await desk.come(UserStartedSpeakingFrame(), desk.over("two", 2), UserStoppedSpeakingFrame(), secs=SOON)
        desk.context.add_message({"role": "assistant", "content": "Certainly."})
        desk.memory.drop()
        await asyncio.sleep(SOON)
        assert desk.asked == ["one"]
        await desk.come(UserStartedSpeakingFrame(), desk.over("three", 3), UserStoppedSpeakingFrame(), secs=SOON)

    desk = play(script)
    assert desk.asked == ["one", "two", "three"]


@pytest.mark.parametrize("turn", [0, 1, 2])
def test_asked_turns_hold_to_their_names(turn):
    asked = AskedTurns()
    asked.asked(2)
    assert asked.reopened(turn) is (turn != 1)
    assert asked.is_void(1) is (turn >= 1) and asked.is_void(2) is (turn == 2) and not asked.is_void(3)
