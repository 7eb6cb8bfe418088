"""Barge-in that understands: the bot gets quieter at once, and stops only for words that are meant to stop it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    UserBackchannelFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.turns.types import ProcessFrameResult
from pipecat.turns.user_start import BaseUserTurnStartStrategy
from pipecat.utils.time import time_now_iso8601

from halfcascade.processors.frames import (
    DuckFrame,
    SpeechCoveredFrame,
    SpeechOnsetFrame,
    SpeechPausedFrame,
    SpeechResumedFrame,
)
from halfcascade.processors.language import join_text
from halfcascade.processors.turns.barge_in_judge import BargeInJudge, BargeInParams, Verdict
from halfcascade.processors.turns.bot_speech import BotSpeech
from halfcascade.processors.turns.networks import listening_threads
from halfcascade.processors.turns.speech_sound import Hearing
from halfcascade.processors.turns.words import TurnWords, turn_words


@dataclass(frozen=True)
class Ducking:
    """How the bot gets quieter while somebody talks over it.

    Parameters:
        gain: Multiplier on the bot's samples; 0.25 is 12 dB down.
        down_secs: Time to get there.
        up_secs: Time to come back after a false alarm.
    """

    gain: float = 0.25
    down_secs: float = 0.03
    up_secs: float = 0.15


@dataclass
class BargeInCount:
    """What was heard over the bot.

    Parameters:
        interruptions: Speech that stopped the bot.
        backchannels: Listener's words that did not.
        noises: Sounds without words that did not.
    """

    interruptions: int = 0
    backchannels: int = 0
    noises: int = 0


class BargeInUserTurnStartStrategy(BaseUserTurnStartStrategy):
    """Starts user turns; over the bot's speech only for real interruptions.

    While the bot is silent a turn starts with the user's speech, as with Pipecat's own strategies. While it speaks, the
    first sound of speech pushes a ``DuckFrame``, and ``BargeInJudge`` decides on sound and words. A real interruption
    starts the turn, and with it goes Pipecat's ``InterruptionFrame``. A backchannel ("mm-hm") or noise lets the bot
    swell back without a gap; its words leave as a ``UserBackchannelFrame`` and stay out of the conversation.

    Takes the place of ``VADUserTurnStartStrategy`` and ``TranscriptionUserTurnStartStrategy``. Works best behind a
    ``SpeechDetector``, whose ``SpeechOnsetFrame`` comes about 0.2 s before Pipecat's voice activity frame.
    """

    def __init__(
        self,
        *,
        words: TurnWords | None = None,
        languages: Sequence[str] = (),
        params: BargeInParams | None = None,
        ducking: Ducking | None = None,
        bot_speech: BotSpeech | None = None,
    ):
        """Start with a silent bot.

        Args:
            words: Backchannels to know, or None for those of ``languages``.
            languages: Locales of the user; none for every language there are lists for.
            params: How to decide.
            ducking: How the bot gets quieter.
            bot_speech: What the bot is saying: to a question "yes" is an answer. None where that is not known.
        """
        super().__init__()
        params = params or BargeInParams()
        self._judge = BargeInJudge(words or turn_words(*languages), params)
        self._hearing = Hearing() if params.looks else None
        self._ducking = ducking or Ducking()
        self._bot_speech = bot_speech or BotSpeech()
        self._ducked = False
        self._bot_speaking = False
        self._user_speaking = False
        self._turn = False
        # Speech over the bot whose words are still to come, after the sound alone let the bot go on.
        self._awaits_words = False
        self._words_so_far = ""
        self.counts = BargeInCount()

    @property
    def ducked(self) -> bool:
        """Whether the bot is held quieter at the moment."""
        return self._ducked

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Learn the sample rate.

        Args:
            setup: Configuration object containing setup parameters.
        """
        await super().setup(setup)
        self._judge.set_sample_rate(setup.audio_in_sample_rate)

    async def handle_user_turn_started(self) -> None:
        """Forget what led to the turn, and restore the loudness for what the bot says next."""
        self._turn = True
        self._awaits_words = False
        self._words_so_far = ""
        self._judge.end()
        await self._duck(False, self._ducking.down_secs)

    async def handle_user_turn_stopped(self) -> None:
        """Take note that the floor is free."""
        self._turn = False

    async def process_frame(self, frame: Frame) -> ProcessFrameResult:
        """Follow the bot's speech, the user's, and the words.

        Args:
            frame: The frame to be processed.

        Returns:
            STOP if a user turn started.
        """
        match frame:
            case InputAudioRawFrame():
                self._judge.audio(frame.audio)
                await self._listen()
            case BotStartedSpeakingFrame():
                self._bot_speaking = True
            case BotStoppedSpeakingFrame():
                return await self._bot_stopped()
            case SpeechOnsetFrame() | SpeechResumedFrame():
                await self._heard_speech(frame.secs)
            case VADUserStartedSpeakingFrame():
                self._user_speaking = True
                if not self._bot_speaking:
                    return await self._start_turn()
                await self._heard_speech(frame.start_secs)
            case SpeechPausedFrame() | VADUserStoppedSpeakingFrame():
                self._user_speaking = self._user_speaking and isinstance(frame, SpeechPausedFrame)
                self._judge.silence()
            case InterimTranscriptionFrame() | TranscriptionFrame() if frame.text.strip():
                return await self._heard_words(frame)
            case SpeechCoveredFrame() if self._awaits_words:
                self._awaits_words = False
                self.counts.noises += 1
        return await self._decide()

    async def _heard_speech(self, secs: float) -> None:
        if self._turn or not self._bot_speaking:
            return
        self._judge.begin(secs, sure=self._user_speaking)
        await self._duck(True, self._ducking.down_secs)

    async def _listen(self) -> None:
        excerpt = self._judge.listen()
        if excerpt is not None and self._hearing is not None:
            loop = asyncio.get_running_loop()
            self._judge.sounded(await loop.run_in_executor(listening_threads(), self._hearing.judge, excerpt))

    async def _heard_words(self, frame: InterimTranscriptionFrame | TranscriptionFrame) -> ProcessFrameResult:
        if self._turn:
            return ProcessFrameResult.CONTINUE
        text = join_text(self._words_so_far, frame.text)
        if not self._judge.active and not self._awaits_words and not self._bot_speaking:
            return await self._start_turn()
        if not self._judge.words_are_backchannel(text) or self._is_answer(text):
            return await self._interrupt()
        self._judge.backchannel_words()
        if not isinstance(frame, TranscriptionFrame):
            return await self._decide()
        self._words_so_far = text
        if frame.finalized or not self._user_speaking:
            return await self._backchannel_ended(frame, text)
        return await self._decide()

    def _is_answer(self, text: str) -> bool:
        """Whether listener's words answer what the bot has just asked, or is about to have."""
        return self._bot_speech.asks and not self._judge.words_are_sounds(text)

    async def _backchannel_ended(self, frame: TranscriptionFrame, text: str) -> ProcessFrameResult:
        """All words are there, and they only mean "go on"."""
        if not self._bot_speaking and not self._judge.words_are_sounds(text):
            return await self._start_turn()  # The bot has finished meanwhile: "yes" is an answer.
        self._judge.end()
        self._awaits_words = False
        self._words_so_far = ""
        self.counts.backchannels += 1
        await self._duck(False, self._ducking.up_secs)
        await self.trigger_reset_aggregation()
        await self.push_frame(UserBackchannelFrame(text, frame.user_id, time_now_iso8601()))
        return ProcessFrameResult.CONTINUE

    async def _bot_stopped(self) -> ProcessFrameResult:
        self._bot_speaking = False
        await self._duck(False, self._ducking.up_secs)
        if self._turn or not self._judge.active:
            return ProcessFrameResult.CONTINUE
        self._judge.end()
        if self._user_speaking:
            return await self._start_turn()
        self._awaits_words = True
        return ProcessFrameResult.CONTINUE

    async def _decide(self) -> ProcessFrameResult:
        match self._judge.verdict():
            case Verdict.INTERRUPTION:
                return await self._interrupt()
            case Verdict.BACKCHANNEL:
                self._judge.end()
                self._awaits_words = True
                await self._duck(False, self._ducking.up_secs)
        return ProcessFrameResult.CONTINUE

    async def _interrupt(self) -> ProcessFrameResult:
        self.counts.interruptions += self._bot_speaking
        return await self._start_turn()

    async def _start_turn(self) -> ProcessFrameResult:
        if self._turn:
            return ProcessFrameResult.CONTINUE
        await self.trigger_user_turn_started()
        return ProcessFrameResult.STOP

    async def _duck(self, down: bool, ramp_secs: float) -> None:
        if down != self._ducked:
            self._ducked = down
            await self.push_frame(DuckFrame(gain=self._ducking.gain if down else 1.0, ramp_secs=ramp_secs))
