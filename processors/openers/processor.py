"""The thin shell of the openers: frames in, a phrase for the voice out."""

from collections.abc import Awaitable, Callable

from loguru import logger
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    FunctionCallInProgressFrame,
    InterruptionFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)

from halfcascade.processors.frames import (
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
    TurnReopenedFrame,
    TurnSentFrame,
)
from halfcascade.processors.openers.machine import OPENER, OpenerMachine
from halfcascade.processors.timed_phrases import TimedPhrases

Prepare = Callable[[str], Awaitable[bool]]


class OpenerProcessor(TimedPhrases[OpenerMachine]):
    """Says an opener when the answer is slow. Stands between brain and voice.

    An opener is a ``TTSSpeakFrame`` of text type ``OPENER`` that leaves no trace in the context; interrupting it is an
    interruption as any other.
    """

    # An answer that is not expected to take long may do so all the same: look again now and then.
    _LEAST_WAIT_SECS = 0.05

    def __init__(self, machine: OpenerMachine, prepare: Prepare):
        """Initialize.

        Args:
            machine: Decides.
            prepare: Makes the sound of a phrase ready, and tells whether it did: ``ChirpTTSService.prepare_phrase``.
        """
        super().__init__(machine, machine.openers)
        self._prepare = prepare
        self._answering = False

    async def _note(self, frame: Frame) -> bool:
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

    async def _say(self, text: str) -> None:
        await self.push_frame(TTSSpeakFrame(text, append_to_context=False, text_type=OPENER))

    async def _make_ready(self) -> None:
        ready: set[str] = set()
        for text in self._machine.openers:
            if await self._prepare(text):
                ready.add(text)
                self._machine.ready(frozenset(ready))
        if len(ready) < len(self._machine.openers):
            logger.warning(f"{len(self._machine.openers) - len(ready)} openers could not be made and are not said.")
