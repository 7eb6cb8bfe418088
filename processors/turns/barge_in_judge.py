"""Whether speech over the bot is an interruption, decided from its sound and its words; no I/O."""

from dataclasses import dataclass
from enum import Enum

import numpy as np

from halfcascade.processors.audio_history import AudioHistory
from halfcascade.processors.turns.barge_in_sound import RATE as MODEL_RATE
from halfcascade.processors.turns.barge_in_sound import find_start, to_rate
from halfcascade.processors.turns.speech_sound import Excerpt, Heard, above_background
from halfcascade.processors.turns.words import TurnWords

# As long as speech may last before its words alone decide.
_HISTORY_SECS = 6.0
# What is before the first sound, so that a detector of speech knows the room.
_CONTEXT_SECS = 0.3
_LONG_LOOK_EVERY_SECS = 0.5
_DEFAULT_RATE = 16_000


class Verdict(Enum):
    """What speech over the bot is."""

    UNDECIDED = "undecided"
    INTERRUPTION = "interruption"
    BACKCHANNEL = "backchannel"


@dataclass(frozen=True)
class Look:
    """A moment at which the sound of speech is judged.

    Parameters:
        secs: How long after its first sound.
        threshold: Probability of an interruption from which the bot stops.
        goes_on: Whether only sound that still goes on then is judged: what is over by then is not waited with.
    """

    secs: float
    threshold: float
    goes_on: bool = False


@dataclass(frozen=True)
class BargeInParams:
    """How to decide.

    Parameters:
        looks: When to judge the sound, in order of time; empty to not judge it. The earlier, the less there is to go
            by, so the surer it has to be. Words are seldom there by then: interim results lag.
        settle_secs: Silence after which speech is over and, unless it sounded like an interruption, a backchannel.
        speech: How sure the detector of speech has to be, at each of the looks, that the newest sound is speech.
        speech_unvoiced: The same where less than ``voiced`` of it is voiced. A cough makes the detector half sure; of a
            word that begins without a voice ("stop") it is surer.
        spoken: How likely the whole beginning has to be speech: laughter may sound like words to the detector.
        spoken_after_none: How likely soon after a sound that was none: laughter and coughs come in bursts.
        burst_secs: How soon that is.
        above_background_db: How much louder it has to be than what went on in the second before. Music and television
            go on; who speaks hardly louder than they do is told by words.
        longest_backchannel_secs: Speech that lasts longer is an interruption, unless its words say otherwise. Real
            backchannels last up to 1.9 s (99 % of them), and who says more has words by then.
        steady: Share of the last second that surely has to be speech for that.
        voiced: Share of all of it that has to be voiced: a laugh is less, and so is a cough.
        longest_backchannel_words_secs: Speech that lasts longer is one whatever its words.
    """

    looks: tuple[Look, ...] = (Look(0.3, 0.5), Look(0.37, 0.5), Look(0.5, 0.5), Look(0.65, 0.4, goes_on=True))
    settle_secs: float = 0.12
    speech: float = 0.5
    speech_unvoiced: float = 0.63
    spoken: float = 0.7
    spoken_after_none: float = 0.85
    burst_secs: float = 0.6
    above_background_db: float = 7.0
    longest_backchannel_secs: float = 1.9
    steady: float = 0.35
    voiced: float = 0.5
    longest_backchannel_words_secs: float = 2.5


class BargeInJudge:
    """Follows one stretch of speech over the bot at a time.

    ``begin`` opens it, ``audio``, ``silence`` and ``backchannel_words`` feed it, ``verdict`` judges it, ``end`` closes
    it. ``listen`` asks for an opinion about the sound, which ``sounded`` takes. Time is counted in audio, so that a
    late event loop changes no verdict.
    """

    def __init__(self, words: TurnWords, params: BargeInParams | None = None):
        """Start with silence.

        Args:
            words: The backchannels.
            params: How to decide.
        """
        self._words = words
        self._params = params or BargeInParams()
        self.set_sample_rate(_DEFAULT_RATE)

    def set_sample_rate(self, sample_rate: int) -> None:
        """Tell the rate of the audio, which must be 16-bit mono."""
        self._rate = sample_rate
        self._history = AudioHistory(sample_rate, _HISTORY_SECS)
        self._since: int | None = None
        self._looks = 0
        self._silent_since: int | None = None
        self._backchannel_words = False
        self._sounds_real = self._goes_on = self._sure = False
        self._long_looks = 0
        self._spoken = False
        self._stands_out = True
        self._spoken_needed = self._params.spoken
        # Up to where what begins is likely to be more of a sound that was no speech.
        self._burst_until = -1

    @property
    def active(self) -> bool:
        """Whether there is speech to judge."""
        return self._since is not None

    def audio(self, pcm: bytes) -> None:
        """Take audio."""
        self._history.append(pcm)
        self._history.forget(self._history.end - round(_HISTORY_SECS * self._rate / 2))

    def begin(self, secs: float, *, sure: bool = True) -> None:
        """Take note of speech that has lasted for some time.

        Args:
            secs: For how long.
            sure: Whether the detector is sure that it is speech. Before that, its sound stops nobody: what is left of
                the bot's own voice after echo cancelling may sound like somebody for a moment.
        """
        self._silent_since = None
        if self._since is None:
            self._since = self._first_sound(secs)
            more_of_it = self._since <= self._burst_until
            self._spoken_needed = self._params.spoken_after_none if more_of_it else self._params.spoken
            self._spoken = False
            self._looks = self._long_looks = 0
            self._backchannel_words = self._sounds_real = self._goes_on = self._sure = False
        self._sure = self._sure or sure

    def silence(self) -> None:
        """Take note that the user is silent."""
        if self._silent_since is None:
            self._silent_since = self._history.end

    def backchannel_words(self) -> None:
        """Take note that all words so far are those of a listener."""
        self._backchannel_words = True

    def end(self) -> None:
        """Stop judging."""
        if self._since is not None and self._looks and not self._spoken:
            self._burst_until = self._history.end + round(self._params.burst_secs * self._rate)
        self._since = None

    def words_are_backchannel(self, text: str) -> bool:
        """Whether words only mean "go on"."""
        return self._words.is_backchannel(text)

    def words_are_sounds(self, text: str) -> bool:
        """Whether words are no words at all, so that they answer nothing."""
        return self._words.is_sound(text)

    def listen(self) -> Excerpt | None:
        """Ask for an opinion: once for each of the looks, and now and then about speech that goes on and on.

        Returns:
            What to listen to, or None if it is not the time.
        """
        if self._since is None or not self._params.looks:
            return None
        due = sum(look.secs <= self._secs for look in self._params.looks)
        too_long = self._secs - self._params.longest_backchannel_secs
        long_due = 0 if too_long < 0 else 1 + int(too_long / _LONG_LOOK_EVERY_SECS)
        if due > self._looks:
            self._looks = due
            until = self._params.looks[due - 1].secs
        elif long_due > self._long_looks:
            self._long_looks = long_due
            until = self._secs
        else:
            return None
        samples, start = self._samples(), self._at_model_rate(self._since)
        self._stands_out = above_background(samples, start) >= self._params.above_background_db
        first = max(0, start - round(_CONTEXT_SECS * MODEL_RATE))
        beginning = round(self._params.looks[self._looks - 1].secs * MODEL_RATE)
        return Excerpt(samples[first : start + round(until * MODEL_RATE)], start - first, beginning)

    def sounded(self, heard: Heard) -> None:
        """Take the opinion about what ``listen`` gave last."""
        params = self._params
        if self._long_looks:
            self._goes_on = self._goes_on or (heard.steady >= params.steady and heard.voiced >= params.voiced)
            return
        spoken = heard.spoken >= self._spoken_needed
        self._spoken = self._spoken or spoken
        sure = params.speech if heard.voiced >= params.voiced else params.speech_unvoiced
        if spoken and heard.speech >= sure and self._stands_out:
            self._sounds_real = self._sounds_real or heard.interruption >= params.looks[self._looks - 1].threshold

    def verdict(self) -> Verdict:
        """Judge the speech so far."""
        if self._since is None:
            return Verdict.UNDECIDED
        now, secs = self._history.end, self._secs
        if not self._backchannel_words and self._sounds_real and self._sure:
            return Verdict.INTERRUPTION
        if self._silent_since is not None and self._looks >= sum(not look.goes_on for look in self._params.looks):
            settled = now - self._silent_since >= round(self._params.settle_secs * self._rate)
            return Verdict.BACKCHANNEL if settled else Verdict.UNDECIDED
        if self._backchannel_words:
            too_long = secs >= self._params.longest_backchannel_words_secs
        else:
            too_long = secs >= self._params.longest_backchannel_secs and (self._goes_on or not self._params.looks)
        return Verdict.INTERRUPTION if too_long and self._sure else Verdict.UNDECIDED

    @property
    def _secs(self) -> float:
        return 0.0 if self._since is None else (self._history.end - self._since) / self._rate

    def _first_sound(self, secs: float) -> int:
        """Position of the first sound of speech that was noticed after some time."""
        noticed = self._history.end - round(secs * self._rate)
        start = find_start(self._samples(), self._at_model_rate(noticed))
        return self._history.start + round(start * self._rate / MODEL_RATE)

    def _samples(self) -> np.ndarray:
        return to_rate(self._history.read(self._history.start, self._history.end), self._rate)

    def _at_model_rate(self, position: int) -> int:
        return round(max(0, position - self._history.start) * MODEL_RATE / self._rate)
