"""Judges from levels alone whether there is an echo, and whether it is being cancelled."""

from collections import deque

import numpy as np

FULL_SCALE = 32768.0
"""Of 16-bit samples."""

_FLOOR_DB = -100.0
_QUIET_DB = -65.0
"""Levels below this differ without meaning."""


class EchoPresence:
    """Knows when there is no echo at all: a headset, a loudspeaker turned off, a device that cancels by itself.

    AEC3 finds that out too, but only after some eight seconds of bot speech, and until then it takes a user who talks
    over the bot for echo: 20 to 60 dB down, whole sentences lost (simulated, any noise level).

    No echo it is, once the bot was loud for 0.4 s and for 0.7 s, longer than any echo AEC3 could cancel is late, the
    microphone stayed at its noise. A user who talks over the bot does not change that, unless the bot talks on over
    1.5 s of sound: then the path may have changed, and AEC3 decides again.
    """

    _LOUD = 1e-4
    """-40 dBFS: what is played of a word, not of the pause after it."""
    _QUIET_FRAMES, _QUIET_SPAN, _NOISY_FRAMES = 40, 70, 150
    _INAUDIBLE = 10**-6.5
    """-65 dBFS: what is quieter than this is not an echo that anything could take for speech."""

    def __init__(self) -> None:
        self.absent = False
        self._quiet = self._span = self._noisy = 0

    def observe(self, near_power: float, reference_power: float, noise: float) -> None:
        """Take the levels of one frame of 10 ms, and the microphone's noise."""
        loud = reference_power > self._LOUD
        if near_power > max(2 * noise, self._INAUDIBLE):
            self._quiet = self._span = 0
            self._noisy += loud
            if self._noisy >= self._NOISY_FRAMES:
                self.absent = False
            return
        self._quiet += loud
        # A pause of the bot tells nothing, but an echo that is late may still come in it.
        self._span += self._quiet > 0
        if self._quiet >= self._QUIET_FRAMES and self._span >= self._QUIET_SPAN:
            self.absent = True
            self._noisy = 0


class CancellingMonitor:
    """Judges from levels alone whether the bot's voice is being cancelled.

    Half-duplex is a heavy measure, so it takes two signs at once over four seconds of bot speech, twice: little is
    cancelled, and what remains rises and falls with what is played. A user who talks over the bot lowers the first
    number but does not follow the bot's rhythm (correlation below 0.4 measured, against 0.8 and more where AEC3 finds
    no reference, such as on a wireless loudspeaker that plays a second late). The bot then counts as speaking until its
    last words have come back.
    """

    _WINDOW = 400
    _EVERY = 100
    _MIN_LAG, _MAX_LAG = -15, 130
    _SPAN = 50
    _POOR_ERLE_DB = 6.0
    _GOOD_ERLE_DB = 12.0
    _POOR_CORRELATION = 0.55
    _AUDIBLE_DB = -50.0
    _ACTIVE_HANGOVER = 40

    def __init__(self, presence: EchoPresence | None = None) -> None:
        """Begin without an opinion.

        Args:
            presence: What is known of these devices already.
        """
        self.erle_db: float | None = None
        self.poor = False
        self.far_active = False
        self.echo_audible = False
        """Whether the bot is heard in the microphone, as far as levels tell."""
        self.presence = presence or EchoPresence()
        self._near = self._out = 0.0
        self._frames = 0
        self._measured: deque[float] = deque(maxlen=8)
        self.noise = 0.0
        """The microphone's, as a mean square."""
        self._since_active = self._ACTIVE_HANGOVER
        self._levels: deque[tuple[float, float]] = deque(maxlen=self._WINDOW + self._MAX_LAG - self._MIN_LAG)
        self._active = 0
        self._suspicions = 0
        self._lag = 0

    def observe(self, near: np.ndarray, reference: np.ndarray, out: np.ndarray) -> None:
        """Take one frame of 10 ms: microphone, reference, and what cancelling left; int16."""
        near_power, reference_power, out_power = (power_of(block) for block in (near, reference, out))
        # Follows the quietest the microphone gets: up 1 dB a second, down at once.
        self.noise = min(near_power, self.noise * 1.0023 + 1e-12) if self.noise else near_power
        self.presence.observe(near_power, reference_power, self.noise)
        self._since_active = 0 if reference_power > 1e-5 else self._since_active + 1
        self.far_active = self._since_active < self._ACTIVE_HANGOVER + (max(0, self._lag) if self.poor else 0)
        self.echo_audible = self.far_active and near_power > 4 * self.noise and not self.presence.absent
        if not self.far_active:
            return
        if self.echo_audible:
            self._measure(near_power, out_power)
        self._levels.append((_decibels(reference_power), _decibels(out_power)))
        self._active += 1
        if self._active % self._EVERY == 0 and len(self._levels) == self._levels.maxlen:
            self._judge()

    def _measure(self, near_power: float, out_power: float) -> None:
        """Take the median of half seconds, so that a user who talks over the bot does not count as echo at once."""
        self._near += near_power
        self._out += out_power
        self._frames += 1
        if self._frames == self._SPAN:
            self._measured.append(float(10 * np.log10((self._near + 1e-12) / (self._out + 1e-12))))
            self.erle_db = float(np.median(self._measured))
            self._near = self._out = 0.0
            self._frames = 0

    def _judge(self) -> None:
        if self.erle_db is None:
            return
        reference, out = np.array(self._levels).T
        audible = bool(np.percentile(out, 80) > self._AUDIBLE_DB)
        if audible and self.erle_db < self._POOR_ERLE_DB and self._follows(reference, out) > self._POOR_CORRELATION:
            self._suspicions += 1
        elif self.erle_db > self._GOOD_ERLE_DB or not audible:
            self._suspicions = 0
        self.poor = self._suspicions >= (1 if self.poor else 2)

    def _follows(self, reference: np.ndarray, out: np.ndarray) -> float:
        """Best correlation of the two level curves, whichever of them comes first; takes note of the lag."""
        first = np.maximum(reference[-self._MIN_LAG : -self._MIN_LAG + self._WINDOW], _QUIET_DB)
        best, self._lag = 0.0, 0
        for start in range(0, self._MAX_LAG - self._MIN_LAG, 2):
            second = np.maximum(out[start : start + self._WINDOW], _QUIET_DB)
            if first.std() > 1 and second.std() > 1:
                correlation = float(np.corrcoef(first, second)[0, 1])
                if correlation > best:
                    best, self._lag = correlation, start + self._MIN_LAG
        return best


def power_of(block: np.ndarray) -> float:
    """Mean square of int16 samples against full scale."""
    samples = block.astype(np.float64) / FULL_SCALE
    return float(np.mean(samples**2)) if len(samples) else 0.0


def _decibels(power: float) -> float:
    return max(_FLOOR_DB, float(10 * np.log10(power + 1e-12)))
