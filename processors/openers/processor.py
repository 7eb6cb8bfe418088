"""The thin shell of the openers: frames in, a phrase for the voice out."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    FunctionCallInProgressFrame,
    InterruptionFrame,
    LLMTextFrame,
    StartFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.time import nanoseconds_to_seconds

from halfcascade.processors.frames import (
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
    TurnReopenedFrame,
    TurnSentFrame,
)
from halfcascade.processors.openers.machine import OPENER, OpenerMachine

Prepare = Callable[[str], Awaitable[bool]]


class OpenerProcessor(FrameProcessor):
    """Says an opener when the answer is slow. Stands between brain and voice.

    An opener is a ``TTSSpeakFrame`` of text type ``OPENER`` that leaves no trace in the context; interrupting it is an
    interruption as any other.
    """

    def __init__(self, machine: OpenerMachine, prepare: Prepare):
        """Initialize.

        Args:
            machine: Decides.
            prepare: Makes the sound of a phrase ready, and tells whether it did: ``ChirpTTSService.prepare_phrase``.
        """
        super().__init__()
        self._machine = machine
        self._prepare = prepare
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._answering = False

    async def cleanup(self) -> None:
        """Stop waiting."""
        await self._stop()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Note what a frame tells, and pass it on.

        Args:
            frame: The frame.
            direction: Where it travels.
        """
        await super().process_frame(frame, direction)
        if self._note(frame):
            self._changed.set()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame) and self._machine.openers:
            self._tasks = [self.create_task(self._make_ready()), self.create_task(self._wait())]
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    def _note(self, frame: Frame) -> bool:
        """Tell the machine what a frame means to it; False if that is nothing, as with every frame of audio."""
        machine, now = self._machine, self._now()
        match frame:
            case TurnSentFrame():
                self._answering = False
                machine.turn_sent(frame.text, now)
            case UserStoppedSpeakingFrame():
                machine.turn_over()
            case UserStartedSpeakingFrame() | TurnReopenedFrame():
                machine.turn_open()
            case VADUserStartedSpeakingFrame() | SpeechOnsetFrame() | SpeechResumedFrame():
                machine.user_sounds(True)
            case VADUserStoppedSpeakingFrame() | SpeechPausedFrame():
                machine.user_sounds(False)
            case BotStartedSpeakingFrame():
                machine.bot_sounds(True, now)
            case BotStoppedSpeakingFrame():
                machine.bot_sounds(False, now)
            case FunctionCallInProgressFrame():
                machine.tool_called()
            case InterruptionFrame():
                machine.interrupted()
            case LLMTextFrame() if frame.text.strip() and not self._answering:
                self._answering = True
                machine.answer_came(now)
            case _:
                return False
        return True

    async def _wait(self) -> None:
        while True:
            self._changed.clear()
            due = self._machine.deadline
            # An answer that is not expected to take long may do so all the same: look again now and then.
            wait = None if due is None else max(due - self._now(), 0.05)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            if (text := self._machine.tick(self._now())) is not None:
                await self.push_frame(TTSSpeakFrame(text, append_to_context=False, text_type=OPENER))

    async def _make_ready(self) -> None:
        """Have the openers' sound ready, one after the other: only then they can be said."""
        ready: set[str] = set()
        for text in self._machine.openers:
            if await self._prepare(text):
                ready.add(text)
                self._machine.ready(frozenset(ready))
        if len(ready) < len(self._machine.openers):
            logger.warning(f"{len(self._machine.openers) - len(ready)} openers could not be made and are not said.")

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    def _now(self) -> float:
        return nanoseconds_to_seconds(self.get_clock().get_time())
