"""Voice activity detection that also tells when speech may be beginning and when it may be ending."""

import math
from bisect import bisect_left, insort
from collections import deque
from itertools import islice
from typing import Any

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADAnalyzer, VADParams, VADState
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection

from halfcascade.processors.frames import SpeechOnsetFrame, SpeechPausedFrame, SpeechResumedFrame
from halfcascade.processors.turns.networks import Silero

# Measured on tests/data: Silero's confidence falls 87 ms (median) after the last sound of speech. 60 ms of low level
# tell 27 ms sooner, at the price of twelve pauses a minute that turn out to be consonants ("stop"); at 50 ms there are
# twice as many, at 80 ms half as many and nothing is gained. Ears take such a pause back.
DEFAULT_PAUSE_SECS = 0.06
_SILERO_LAG_SECS = 0.07
# Within the first syllable the confidence may fall for a window or two.
_FALSE_ONSET_SECS = 0.12
# Quiet is what lies this far below the loudest of the last syllables, or hardly above the noise.
_BELOW_PEAK_DB, _ABOVE_FLOOR_DB = 30.0, 8.0
_GAP_SECS = 0.2
# Sound may also be noise, or what cancelling left of the bot; more of it than this would cost the ears more than it
# gives.
_LONGEST_UNNOTICED_SECS = 0.8
_PEAK_SECS, _FLOOR_SECS, _LEVEL_SECS = 0.6, 3.0, 0.01
_PEAK_LEVELS, _FLOOR_LEVELS = round(_PEAK_SECS / _LEVEL_SECS), round(_FLOOR_SECS / _LEVEL_SECS)
# The noise is what the quietest twentieth of the levels lie below.
_FLOOR_SHARE = 0.05
# That somebody still speaks is for those who wait for minutes of silence. Pipecat says so five times a second.
_SPEAKING_PERIOD_SECS = 1.0
DEFAULT_ONSET_SECS = 0.06
OVER_BOT_PARAMS = VADParams(confidence=0.5, start_secs=0.12, min_volume=0.4)
"""While the bot speaks: echo cancelling leaves no voice but the user's, though weaker than it was.

See facts/audio#echo.
"""
# -50 dBFS, which is about Pipecat's ``min_volume`` of 0.6 without its 400 ms of smoothing.
_AUDIBLE_POWER = 10 ** (-50 / 10)


class SpeechVADAnalyzer(SileroVADAnalyzer):
    """Silero that shows how long the undecided states between silence and speech have lasted."""

    def __init__(self, *, sample_rate: int | None = None, params: VADParams | None = None):
        """Load the model.

        Args:
            sample_rate: 8000 or 16000, or None to be told later.
            params: Thresholds and durations.
        """
        # Pipecat's constructor loads the network anew: 10 MB and a tenth of a second in which nobody else is served.
        VADAnalyzer.__init__(self, sample_rate=sample_rate, params=params)
        self._model = Silero()  # type: ignore[assignment]
        self._windows_since_reset = self._low_confidence_windows = 0
        self._voiced_windows = 0
        self._unvoiced_windows = 0
        self._voiced_confidence = self.params.confidence

    def change_start(self, params: VADParams) -> None:
        """Change when speech begins, in the midst of it or not; Pipecat's ``set_params`` would forget what was heard.

        ``voiced_secs`` is not changed: what it needs to rise is little enough.

        Args:
            params: Thresholds and durations; ``stop_secs`` stays as it was.
        """
        self._params = params.model_copy(update={"stop_secs": self._params.stop_secs})
        self._vad_start_frames = round(params.start_secs / self.window_secs)

    @property
    def state(self) -> VADState:
        """What it makes of the newest audio."""
        return self._vad_state

    @property
    def window_secs(self) -> float:
        """How much audio one verdict is about."""
        return self.num_frames_required() / self.sample_rate

    @property
    def voiced_secs(self) -> float:
        """How long it has sounded like speech, whatever ``state`` is: the volume it waits for rises slowly."""
        return self._voiced_windows * self.window_secs

    @property
    def unvoiced_secs(self) -> float:
        """How long it has not sounded like speech, whatever ``state`` is."""
        return self._unvoiced_windows * self.window_secs

    @property
    def quiet_secs(self) -> float:
        """How long it has been silent in ``STOPPING``; 0.0 in other states."""
        return self._vad_stopping_count * self.window_secs if self._vad_state == VADState.STOPPING else 0.0

    async def analyze_audio(self, buffer: bytes) -> VADState:
        """Judge what came, here and now.

        The network takes a sixth of a millisecond for a window. To hand that to a thread and wait for it, as Pipecat
        does, costs as much again, and as many threads as there are talks stand in each other's way.

        Args:
            buffer: 16-bit mono PCM of any length.

        Returns:
            What it makes of it.
        """
        return self._run_analyzer(buffer)

    def voice_confidence(self, buffer: bytes) -> float:
        """Judge one window.

        Args:
            buffer: 16-bit mono PCM, ``num_frames_required`` samples.

        Returns:
            Confidence that it is speech, 0.0 to 1.0.
        """
        samples = np.frombuffer(buffer, dtype="<i2").astype(np.float32) / 32768
        confidence = float(self._model(samples, self.sample_rate)[0, 0])
        self._maybe_reset_model(confidence)
        voiced = confidence >= self._voiced_confidence and float(samples @ samples) >= _AUDIBLE_POWER * len(samples)
        self._voiced_windows = self._voiced_windows + 1 if voiced else 0
        self._unvoiced_windows = 0 if voiced else self._unvoiced_windows + 1
        return confidence


def vad_analyzer(params: VADParams | None = None) -> SpeechVADAnalyzer:
    """Make the voice activity detector that ``SpeechDetector`` needs; it also fits wherever Pipecat takes one.

    Args:
        params: Thresholds and durations, or None for Pipecat's defaults (0.2 s to start, 0.2 s to stop).
    """
    return SpeechVADAnalyzer(params=params or VADParams())


class SpeechDetector(VADProcessor):
    """A ``VADProcessor`` with two earlier signals.

    Besides Pipecat's ``VADUserStartedSpeakingFrame`` and ``VADUserStoppedSpeakingFrame``, both directions, it pushes
    downstream a ``SpeechOnsetFrame`` when something begins to sound like speech, a ``SpeechPausedFrame`` as soon as it
    falls silent, and a ``SpeechResumedFrame`` when that was only a pause.

    It belongs before the ears: frames then reach them in step with the audio they are about. With it, leave out the
    ``vad_analyzer`` of the user aggregator.
    """

    def __init__(
        self,
        *,
        analyzer: SpeechVADAnalyzer | None = None,
        pause_secs: float = DEFAULT_PAUSE_SECS,
        onset_secs: float = DEFAULT_ONSET_SECS,
        over_bot: VADParams | None = OVER_BOT_PARAMS,
        audio_idle_timeout: float = 1.0,
    ):
        """Load the model.

        Args:
            analyzer: Detector to use, or None for ``vad_analyzer()``.
            pause_secs: Silence after which ``SpeechPausedFrame`` is pushed.
            onset_secs: Speech after which ``SpeechOnsetFrame`` is pushed.
            over_bot: When speech begins while the bot speaks, or None for no difference.
            audio_idle_timeout: Seconds without audio after which speech is held to have stopped.
        """
        self._analyzer = analyzer or vad_analyzer()
        super().__init__(
            vad_analyzer=self._analyzer,
            speech_activity_period=_SPEAKING_PERIOD_SECS,
            audio_idle_timeout=audio_idle_timeout,
            enable_direct_mode=True,
        )
        self._pause_secs = pause_secs
        self._onset_secs = onset_secs
        self._usual, self._over_bot = self._analyzer.params, over_bot or self._analyzer.params
        self._bot_speaking = False
        self._onset = False
        self._paused = False
        self._quiet = _QuietMeter()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, then judge it if it is audio.

        Args:
            frame: The frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self._bot_speaking = True
            self._analyzer.change_start(self._over_bot)
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self._bot_speaking = False
            self._analyzer.change_start(self._usual)
            # So far it may have been the bot's.
            self._quiet.sound_secs = 0.0
        elif isinstance(frame, InputAudioRawFrame):
            self._quiet.audio(frame.audio, frame.sample_rate)
            await self._report()

    async def broadcast_frame(self, frame_cls: type[Frame], **kwargs: Any) -> None:
        """Broadcast a frame; the beginning of speech over the bot with how long it may have lasted.

        Cancelling takes the edge off a user's first words over the bot, so they are noticed late. The ears shall have
        them all the same.

        Args:
            frame_cls: Its class.
            **kwargs: Its fields.
        """
        if frame_cls is VADUserStartedSpeakingFrame and self._bot_speaking:
            kwargs["start_secs"] = max(kwargs["start_secs"], self._unnoticed_secs)
        await super().broadcast_frame(frame_cls, **kwargs)

    @property
    def _unnoticed_secs(self) -> float:
        """How long somebody may have spoken already, unnoticed."""
        return min(self._quiet.sound_secs, _LONGEST_UNNOTICED_SECS)

    async def _report(self) -> None:
        analyzer = self._analyzer
        if analyzer.state in (VADState.SPEAKING, VADState.STOPPING):
            self._onset = False
            stopping = analyzer.state == VADState.STOPPING
            silence = max(self._quiet.secs, analyzer.quiet_secs + _SILERO_LAG_SECS if stopping else 0.0)
            if silence >= self._pause_secs and not self._paused:
                self._paused = True
                await self.push_frame(SpeechPausedFrame(silence))
            elif silence == 0.0 and self._paused:
                self._paused = False
                await self.push_frame(SpeechResumedFrame(_LEVEL_SECS))
        else:
            self._paused = False
            if analyzer.voiced_secs >= self._onset_secs and not self._onset:
                self._onset = True
                await self.push_frame(SpeechOnsetFrame(analyzer.voiced_secs, self._unnoticed_secs))
            elif analyzer.unvoiced_secs >= _FALSE_ONSET_SECS and self._onset:
                self._onset = False
                await self.push_frame(SpeechPausedFrame(analyzer.unvoiced_secs))


class _QuietMeter:
    """How long the level has been low, compared with the speech before it."""

    def __init__(self) -> None:
        self._levels: deque[float] = deque()
        # The same ones in order, so that a percentile is a look-up: this runs a hundred times a second in every talk.
        self._sorted: list[float] = []
        self._rest = np.zeros(0, np.float32)
        self.secs = 0.0
        self.sound_secs = 0.0
        """How long there has been sound, with pauses shorter than those between sentences."""

    def audio(self, pcm: bytes, sample_rate: int) -> None:
        """Take 16-bit mono audio."""
        step = round(_LEVEL_SECS * sample_rate)
        samples = np.frombuffer(pcm, "<i2").astype(np.float32)
        if len(self._rest):
            samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % step
        self._rest = samples[whole:]
        for start in range(0, whole, step):
            part = samples[start : start + step]
            level = 10 * math.log10(float(part @ part) / step + 1.0)
            self._remember(level)
            quiet = level < max(self._floor() + _ABOVE_FLOOR_DB, self._peak() - _BELOW_PEAK_DB)
            self.secs = self.secs + _LEVEL_SECS if quiet else 0.0
            self.sound_secs = self.sound_secs + _LEVEL_SECS if self.secs < _GAP_SECS else 0.0

    def _remember(self, level: float) -> None:
        self._levels.append(level)
        insort(self._sorted, level)
        if len(self._levels) > _FLOOR_LEVELS:
            del self._sorted[bisect_left(self._sorted, self._levels.popleft())]

    def _peak(self) -> float:
        return max(islice(reversed(self._levels), _PEAK_LEVELS))

    def _floor(self) -> float:
        at = _FLOOR_SHARE * (len(self._sorted) - 1)
        below = int(at)
        above = min(below + 1, len(self._sorted) - 1)
        return self._sorted[below] + (at - below) * (self._sorted[above] - self._sorted[below])
