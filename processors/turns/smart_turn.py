"""When a turn is over: the shell around ``EndOfTurnJudge``, which feeds it what the pipeline knows."""

import asyncio
import re
import time
from contextlib import suppress

from loguru import logger
from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EagerTranscriptionFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.metrics.metrics import MetricsData, TurnMetricsData
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import ProcessFrameResult, UserTurnSpeculation
from pipecat.turns.user_stop import EagerMatchPolicy, NormalizedMatch, TurnAnalyzerUserTurnStopStrategy

from halfcascade.processors.frames import (
    PauseJudgedFrame,
    SpeechCoveredFrame,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
)
from halfcascade.processors.language import TurnWords, join_text
from halfcascade.processors.turns.bot_speech import BotSpeech
from halfcascade.processors.turns.early_smart_turn import EarlySmartTurnAnalyzer
from halfcascade.processors.turns.end_of_turn import EndOfTurnJudge, EndOfTurnParams
from halfcascade.processors.turns.speculation import Speculations
from halfcascade.processors.turns.text_end import TextEnd, TextEndAsker

# While the user speaks the language model only keeps up with the beginning of the turn, so that its end costs little.
_ASK_EVERY_WORDS = 12
# An answer that would be asked for so shortly before the turn ends anyway gains nothing.
_LEAST_GAIN_SECS = 0.15
_CLOCK_SECS = 0.002
# Marks that recognizers put behind whatever a half-closed stream ended with, so they tell nothing.
_END_MARKS = re.compile(r"[\s.?!。？！]+$")
# A capital letter tells nothing either where the turn goes on: recognizers begin each stream with one.
_FIRST_PERSON = re.compile(r"I\b")


class SmartTurnStopStrategy(TurnAnalyzerUserTurnStopStrategy):
    """Ends turns when ``EndOfTurnJudge`` says so, on what Smart Turn hears together with the words.

    A turn that is surely over ends as soon as its words are final; the less sure it is, the longer the silence that it
    takes, up to ``EndOfTurnParams.longest_wait_secs``.

    With ``speculations``, the answer is asked for while the wait still runs, if the turn is likely to be over, and on
    an ``EagerTranscriptionFrame``. It is kept if the turn ends with the same words.
    """

    def __init__(
        self,
        *,
        turn_analyzer: BaseTurnAnalyzer,
        words: TurnWords,
        params: EndOfTurnParams | None = None,
        text_end: TextEnd | None = None,
        speculations: Speculations | None = None,
        bot_speech: BotSpeech | None = None,
        match_policy: EagerMatchPolicy | None = None,
    ):
        """Start with no turn.

        Args:
            turn_analyzer: Smart Turn; its own silence limit must be longer than ``longest_wait_secs``.
            words: What the words of the user's languages tell.
            params: When a silence ends the turn.
            text_end: Small language model that tells whether the words end a sentence, or None for lists alone.
            speculations: How often answers may be asked for early, or None for never.
            bot_speech: What the bot says, to which the user's words may be an answer.
            match_policy: Decides whether the final words are those the answer was asked for with.
        """
        super().__init__(turn_analyzer=turn_analyzer)
        self._judge = EndOfTurnJudge(words, params)
        self._asker = TextEndAsker(text_end, self._text_end_answered) if text_end else None
        self._bot_speech = bot_speech or BotSpeech()
        self._match_policy = match_policy or NormalizedMatch()
        self._said = ""
        # The turn's words without what recognizers add where a stream ends: of this turn, of the one before; and those
        # that are not final yet.
        self._words = self._ended_words = self._interim = ""
        self._maybe_speaking = False
        # Whether the ears have found no words in all that was heard so far.
        self._heard_nothing = False
        self._asked_text = ""
        self._silent_since: float | None = None
        self._evidence = asyncio.Event()
        self._wait_task: asyncio.Task[None] | None = None
        self._speculation: UserTurnSpeculation | None = None
        self.speculations = speculations

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Get ready to ask the language model.

        Args:
            setup: Configuration object containing setup parameters.
        """
        await super().setup(setup)
        if self._asker:
            self._asker.start()

    async def cleanup(self) -> None:
        """Stop waiting, and free the language model."""
        await super().cleanup()
        await self._stop_waiting()
        if self._asker:
            self._asker.stop()

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow speech, words and silence.

        Args:
            frame: The frame to be analyzed.

        Returns:
            Always CONTINUE.
        """
        match frame:
            case VADUserStartedSpeakingFrame() | SpeechResumedFrame():
                await self._handle_speech(frame)
            case SpeechOnsetFrame():
                self._maybe_speaking = True
                await self._stop_waiting()
            case SpeechPausedFrame():
                await self._handle_pause(frame)
            case InterimTranscriptionFrame():
                self._heard_nothing = False
                self._interim = _go_on(self._words, frame.text)
                self._keep_up(self._interim)
            case EagerEndOfTurnCancelFrame():
                self._forget_speculation()
            case EagerTranscriptionFrame():
                await self._speculate(join_text(self._said, frame.text), _go_on(self._words, frame.text))
        result = await super().process_frame(frame)
        if isinstance(frame, SpeechCoveredFrame):
            await self._handle_covered()
        if isinstance(frame, SpeechCoveredFrame | TranscriptionFrame):
            self._reconsider()
        return result

    def turn_reopened(self, text: str) -> None:
        """Take note that the turn that has just begun is the one before, gone on with.

        Args:
            text: Its words before that.
        """
        self._words = self._ended_words or _plain(text)
        self._judge.reopen(time.monotonic())

    async def trigger_user_turn_stopped(self, *, enable_user_speaking_frames: bool | None = None) -> None:
        """End the turn; an answer already asked for is kept if it still applies.

        Args:
            enable_user_speaking_frames: Whether to emit ``UserStoppedSpeakingFrame``.
        """
        self._ended_words = self._words
        self._judge.end()
        if self.speculations is not None:
            self.speculations.turn_ended()
        if self._speculation is not None and self._match_policy.matches(self._speculation.text, self._said):
            self._speculation = None
            if self.speculations is not None:
                self.speculations.confirmed()
            await self.trigger_user_turn_finalized(
                enable_user_speaking_frames=enable_user_speaking_frames, confirms_speculation=True
            )
        else:
            await self._withdraw_speculation()
            await super().trigger_user_turn_stopped(enable_user_speaking_frames=enable_user_speaking_frames)

    async def _reset(self) -> None:
        await super()._reset()
        self._said = self._words = self._interim = self._asked_text = ""
        self._silent_since = None
        self._heard_nothing = False
        # Now: what the brain writes of the next answer is not what this turn answers.
        self._judge.begin(answers=self._bot_speech.asks)
        await self._stop_waiting()
        await self._withdraw_speculation()

    async def _discard_pending_end_of_turn(self) -> None:
        await super()._discard_pending_end_of_turn()
        self._silent_since = None

    async def _handle_speech(self, frame: VADUserStartedSpeakingFrame | SpeechResumedFrame) -> None:
        secs = frame.start_secs if isinstance(frame, VADUserStartedSpeakingFrame) else frame.secs
        self._judge.speech(time.monotonic() - secs)
        self._maybe_speaking = self._heard_nothing = False
        # What was final at a pause does not hold what follows; no start of speech need be reported between both.
        self._transcript_finalized = False
        self._dismiss_foreseen()
        await self._stop_waiting()
        await self._withdraw_speculation()

    async def _handle_vad_user_stopped_speaking(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._silent_since = time.monotonic() - frame.stop_secs
        self._judge.silence(self._silent_since)
        await super()._handle_vad_user_stopped_speaking(frame)
        self._reconsider()
        if self._heard_nothing and not self._said:
            await self.trigger_user_turn_stopped()

    async def _handle_covered(self) -> None:
        self._transcript_finalized = True
        if self._said or self._vad_user_speaking:
            # Where voice activity fades slowly, as in music, the ears are done before it ends.
            self._heard_nothing = not self._said
            self._ask(self._words)
            await self._maybe_trigger_user_turn_stopped()
        else:
            # A turn that noise began: waiting for its words would keep the bot silent for seconds.
            await self.trigger_user_turn_stopped()

    async def _handle_pause(self, frame: SpeechPausedFrame) -> None:
        # Before the last words come: they alone are left to be judged then.
        self._ask(self._interim)
        if self._vad_user_speaking:
            if isinstance(self._turn_analyzer, EarlySmartTurnAnalyzer):
                self._turn_analyzer.foresee(frame.secs)
        elif self._maybe_speaking:
            self._maybe_speaking = False
            self._reconsider()
            await self._maybe_trigger_user_turn_stopped()

    def _dismiss_foreseen(self) -> None:
        if isinstance(self._turn_analyzer, EarlySmartTurnAnalyzer):
            self._turn_analyzer.dismiss()

    async def _handle_transcription(self, frame: TranscriptionFrame) -> None:
        self._said = join_text(self._said, frame.text)
        self._words, self._interim = _go_on(self._words, frame.text), ""
        self._judge.said(self._words)
        self._transcript_finalized = frame.finalized
        if frame.finalized:
            self._ask(self._words)
            if not self._vad_user_speaking and not self._vad_stopped:
                # A turn that its words started, after the speech: there is no sound left to judge.
                self._turn_complete = not self._judge.is_open
        await super()._handle_transcription(frame)

    async def _handle_prediction_result(self, result: MetricsData | None) -> None:
        if isinstance(result, TurnMetricsData):
            self._judge.sounded(result.probability)
        await super()._handle_prediction_result(result)

    async def _maybe_trigger_user_turn_stopped(self) -> None:
        if self._maybe_speaking:
            return
        # Words that come without any voice activity are left to the base class's timer.
        if self._vad_stopped and not self._vad_user_speaking:
            ends_at = self._judge.ends_at
            self._turn_complete = ends_at is not None and time.monotonic() >= ends_at - _CLOCK_SECS
        await super()._maybe_trigger_user_turn_stopped()

    # The language model

    def _ask(self, text: str, *, urgent: bool = True) -> None:
        if not self._asker or not text or self._judge.knows_end_of(text):
            return
        if self._asker.ask(text, self._bot_speech.last_sentence, urgent=urgent):
            self._judge.asked(text, time.monotonic())
            self._asked_text = text

    def _keep_up(self, text: str) -> None:
        if not self._asked_text or len(text.split()) >= len(self._asked_text.split()) + _ASK_EVERY_WORDS:
            self._ask(text, urgent=False)

    def _text_end_answered(self, text: str, probability: float) -> None:
        self._judge.text_ends(text, probability)
        self._reconsider()

    # Waiting

    def _reconsider(self) -> None:
        """Let what has just become known change how long the silence has to last, even if a wait was over before."""
        self._evidence.set()
        if self._silent_since is not None and not self._maybe_speaking and self._wait_task is None:
            self._wait_task = self.create_task(self._wait(), f"{self}::wait")

    async def _stop_waiting(self) -> None:
        task, self._wait_task = self._wait_task, None
        if task is not None:
            await self.cancel_task(task)

    async def _wait(self) -> None:
        """Wait until the judge takes the turn to be over; what it comes to know meanwhile may change when that is."""
        while (ends_at := self._judge.ends_at) is not None and (left := ends_at - time.monotonic()) > _CLOCK_SECS:
            self._evidence.clear()
            if self._transcript_finalized:
                # Before, it would be judged by words from before the newest speech.
                await self.push_frame(PauseJudgedFrame(self._judge.goes_on, left))
            await self._speculate_while_waiting(left)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._evidence.wait(), left)
        # Cleared first: what follows ends the turn, and the turn's end stops this very task.
        self._wait_task = None
        await self._maybe_trigger_user_turn_stopped()

    # Asking early

    async def _speculate_while_waiting(self, left_secs: float) -> None:
        if self._transcript_finalized and self._said and left_secs >= _LEAST_GAIN_SECS:
            await self._speculate(self._said, self._words)

    async def _speculate(self, text: str, words: str) -> None:
        if self.speculations is None or self._speculation is not None or not self.speculations.allowed:
            return
        if not self._judge.would_be_worth_asking(words):
            return
        self._speculation = UserTurnSpeculation(text=text)
        self.speculations.asked()
        await self.trigger_user_turn_inference_triggered(speculation=self._speculation)

    async def _withdraw_speculation(self) -> None:
        if self._forget_speculation():
            await self.trigger_user_turn_speculation_cancelled()

    def _forget_speculation(self) -> bool:
        """Count the answer that was asked for as wrong, if there is one: somebody has withdrawn it, or does so now."""
        speculation, self._speculation = self._speculation, None
        if speculation is None:
            return False
        if self.speculations is not None:
            self.speculations.withdrawn()
        logger.debug("{}: the answer to {!r} was asked for too early", self, speculation.text)
        return True


def _plain(text: str) -> str:
    return _END_MARKS.sub("", text)


def _go_on(before: str, text: str) -> str:
    """Join what a stream gave to the turn's words, without what recognizers add at both ends of a stream."""
    if before and not _FIRST_PERSON.match(text):
        text = text[:1].lower() + text[1:]
    return join_text(before, _plain(text))
