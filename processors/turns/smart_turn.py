"""When a turn is over: how it was said, what was said, and a wait where both leave it open."""

import asyncio
import time
from dataclasses import dataclass

from loguru import logger
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import MetricsData, TurnMetricsData
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import EagerMatchPolicy, NormalizedMatch, TurnAnalyzerUserTurnStopStrategy

from halfcascade.processors.frames import SpeechCoveredFrame, SpeechOnsetFrame, SpeechPausedFrame, SpeechResumedFrame
from halfcascade.processors.language import join_text
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.words import TurnWords


@dataclass(frozen=True)
class SmartTurnStopParams:
    """When a silence ends the turn.

    Parameters:
        threshold: Probability that Smart Turn must give for the turn to be complete. Above Smart Turn's own 0.5: full
            sentences reach 0.9 and more, and a turn cut short annoys more than one that waits.
        incomplete_wait_secs: Silence after which a turn ends although it seems incomplete. Longer than the 1.4 s that
            people pause in mid-sentence, with room for noticing that they go on.
        speculate: Whether to ask for an answer before it is certain that the turn is over.
    """

    threshold: float = 0.7
    incomplete_wait_secs: float = 1.6
    speculate: bool = False


@dataclass
class SpeculationCount:
    """How speculation has gone.

    Parameters:
        started: Answers asked for early.
        kept: Of those, the ones that were right.
    """

    started: int = 0
    kept: int = 0


class SmartTurnStopStrategy(TurnAnalyzerUserTurnStopStrategy):
    """Ends turns on what Smart Turn hears together with the words.

    - A complete-sounding turn ends as soon as its words are final.
    - A short answer ("yes") ends likewise, whatever it sounds like.
    - A turn whose last words cannot end a sentence ("tell me a"), or that sounds unfinished, ends after
      ``incomplete_wait_secs`` of silence.

    With ``speculate``, the answer is asked for while the end of the turn is still open: on an
    ``EagerTranscriptionFrame``, and when a turn that seems incomplete has its words final. It is kept if the turn ends
    with the same words.
    """

    def __init__(
        self,
        *,
        turn_analyzer: BaseTurnAnalyzer,
        words: TurnWords,
        params: SmartTurnStopParams | None = None,
        match_policy: EagerMatchPolicy | None = None,
    ):
        """Start with no turn.

        Args:
            turn_analyzer: Smart Turn; its own silence limit must be longer than ``incomplete_wait_secs``.
            words: What the words of the user's languages tell.
            params: When a silence ends the turn.
            match_policy: Decides whether the final words are those the answer was asked for with.
        """
        super().__init__(turn_analyzer=turn_analyzer)
        self._words = words
        self._params = params or SmartTurnStopParams()
        self._match_policy = match_policy or NormalizedMatch()
        self._said = ""
        self._probability: float | None = None
        self._waited = False
        self._maybe_speaking = False
        self._wait_until: float | None = None
        self._wait_task: asyncio.Task[None] | None = None
        self._speculation: UserTurnSpeculation | None = None
        self.speculations = SpeculationCount()

    async def cleanup(self) -> None:
        """Stop waiting."""
        await super().cleanup()
        await self._stop_waiting()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow speech, words and silence.

        Args:
            frame: The frame to be analyzed.

        Returns:
            Always CONTINUE.
        """
        match frame:
            case VADUserStartedSpeakingFrame() | SpeechResumedFrame():
                self._maybe_speaking = False
                self._wait_until = None
                self._dismiss_foreseen()
                await self._stop_waiting()
                await self._withdraw_speculation()
            case SpeechOnsetFrame():
                self._maybe_speaking = True
                await self._stop_waiting()
            case SpeechPausedFrame():
                await self._handle_pause(frame)
            case EagerEndOfTurnCancelFrame():
                self._speculation = None
            case EagerTranscriptionFrame():
                await self._speculate(join_text(self._said, frame.text))
        result = await super().process_frame(frame)
        if isinstance(frame, SpeechCoveredFrame):
            await self._handle_covered()
        return result

    async def trigger_user_turn_stopped(self, *, enable_user_speaking_frames: bool | None = None) -> None:
        """End the turn; an answer already asked for is kept if it still applies.

        Args:
            enable_user_speaking_frames: Whether to emit ``UserStoppedSpeakingFrame``.
        """
        speculation, self._speculation = self._speculation, None
        if speculation is None:
            await super().trigger_user_turn_stopped(enable_user_speaking_frames=enable_user_speaking_frames)
        elif self._match_policy.matches(speculation.text, self._said):
            self.speculations.kept += 1
            await self.trigger_user_turn_finalized(
                enable_user_speaking_frames=enable_user_speaking_frames, confirms_speculation=True
            )
        else:
            logger.debug("{}: the turn ended with other words than the answer was asked for with", self)
            await self.trigger_user_turn_speculation_cancelled()
            await super().trigger_user_turn_stopped(enable_user_speaking_frames=enable_user_speaking_frames)

    async def _reset(self) -> None:
        await super()._reset()
        self._said = ""
        self._wait_until = None
        await self._stop_waiting()
        await self._withdraw_speculation()

    async def _discard_pending_end_of_turn(self) -> None:
        await super()._discard_pending_end_of_turn()
        self._probability = None
        self._waited = False

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._wait_until = time.monotonic() - frame.stop_secs + self._params.incomplete_wait_secs
        await super()._handle_vad_user_stopped_speaking(frame)
        if self._wait_until is not None:
            self._start_waiting()
            await self._speculate_while_waiting()

    async def _handle_covered(self) -> None:
        self._transcript_finalized = True
        if self._said or self._vad_user_speaking:
            await self._maybe_trigger_user_turn_stopped()
        else:
            # A turn that noise began: waiting for its words would keep the bot silent for seconds.
            await self.trigger_user_turn_stopped()

    async def _handle_pause(self, frame: SpeechPausedFrame) -> None:
        if self._vad_user_speaking:
            if isinstance(self._turn_analyzer, EarlySmartTurnAnalyzer):
                self._turn_analyzer.foresee(frame.secs)
        elif self._maybe_speaking:
            self._maybe_speaking = False
            if self._wait_until is not None:
                self._start_waiting()
            await self._maybe_trigger_user_turn_stopped()

    def _dismiss_foreseen(self) -> None:
        if isinstance(self._turn_analyzer, EarlySmartTurnAnalyzer):
            self._turn_analyzer.dismiss()

    async def _handle_transcription(self, frame: TranscriptionFrame) -> None:
        self._said = join_text(self._said, frame.text)
        if frame.finalized and not self._vad_user_speaking and not self._vad_stopped:
            # A turn that its words started, after the speech: there is no sound left to judge.
            self._turn_complete = not self._words.is_open_ended(self._said)
        await super()._handle_transcription(frame)
        await self._speculate_while_waiting()

    async def _handle_prediction_result(self, result: MetricsData | None) -> None:
        if isinstance(result, TurnMetricsData):
            self._probability = result.probability
        await super()._handle_prediction_result(result)

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if self._maybe_speaking:
            return
        # Words that come without any voice activity are left to the base class's timer.
        if self._vad_stopped and not self._vad_user_speaking:
            self._turn_complete = self._waited or self._seems_complete()
        await super()._maybe_trigger_user_turn_stopped()

    def _seems_complete(self) -> bool:
        if self._probability is None:
            return False
        if self._words.is_answer(self._said):
            return True
        return self._probability >= self._params.threshold and not self._words.is_open_ended(self._said)

    def _start_waiting(self) -> None:
        if self._wait_task is None:
            self._wait_task = self.create_task(self._wait(), f"{self}::wait")

    async def _stop_waiting(self) -> None:
        task, self._wait_task = self._wait_task, None
        if task is not None:
            await self.cancel_task(task)

    async def _wait(self) -> None:
        if self._wait_until is not None:
            await asyncio.sleep(max(0.0, self._wait_until - time.monotonic()))
        # Cleared first: what follows ends the turn, and the turn's end stops this very task.
        self._wait_task = None
        self._waited = True
        await self._maybe_trigger_user_turn_stopped()

    async def _speculate_while_waiting(self) -> None:
        if self._wait_until is not None and self._transcript_finalized and self._said:
            await self._speculate(self._said)

    async def _speculate(self, text: str) -> None:
        if not self._params.speculate or self._speculation is not None or self._words.is_open_ended(text):
            return
        self._speculation = UserTurnSpeculation(text=text)
        self.speculations.started += 1
        await self.trigger_user_turn_inference_triggered(speculation=self._speculation)

    async def _withdraw_speculation(self) -> None:
        if self._speculation is not None:
            self._speculation = None
            await self.trigger_user_turn_speculation_cancelled()
