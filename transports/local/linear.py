"""A linear echo canceller: takes away what the room makes of the reference, and leaves the user's voice as it is.

AEC3 alone suppresses whatever it cannot tell from echo, and with it the user's words over the bot: 5 dB of them where
both are equally loud, 9 dB and more where the bot is 8 dB louder (simulated). Behind this filter there is little echo
left to suppress, and the user loses 1 to 2 dB.
"""

from collections import deque

import numpy as np

_FILTER_SECS = 0.4
"""Delay against the reference and reverberation together."""

_FORGETTING = 0.9999
"""Per frame of 10 ms: a room changes over minutes. Simulated: 0.999 costs 4 dB while the user talks too."""

_SMOOTHING = 0.5
_UNCERTAINTY = 0.1
_TINY = 1e-6


class LinearCanceller:
    """A partitioned-block frequency-domain Kalman filter.

    It knows at each frequency how uncertain it is of the room and how loud everything but the echo is, and learns
    accordingly: fast at first, hardly while the user talks over the bot. Nobody has to tell it which of the two it is
    (Kuech, Mabande, Enzner, "State-space architecture of the partitioned-block-based acoustic echo controller", ICASSP
    2014).
    """

    def __init__(self, frame: int, sample_rate: int):
        """Begin with a room that is not known.

        Args:
            frame: Samples per call of `process`.
            sample_rate: Samples per second.
        """
        self._frame = frame
        shape = (round(_FILTER_SECS * sample_rate / frame), frame + 1)
        self._spectra = np.zeros(shape, np.complex64)
        self._before = np.zeros(frame, np.float32)
        self._silent_frames = shape[0]
        self.reset()

    def reset(self) -> None:
        """Forget the room, not what is still sounding in it."""
        self._room = np.zeros_like(self._spectra)
        self._uncertainty = np.full(self._spectra.shape, _UNCERTAINTY, np.float32)
        self._rest = np.full(self._spectra.shape[1], 1e-4, np.float32)

    def process(self, near: np.ndarray, far: np.ndarray) -> np.ndarray:
        """Cancel in the next frame.

        Args:
            near: float32 samples of the microphone, full scale 1.0.
            far: float32 samples of the reference, as many; never later than their echo.

        Returns:
            float32 samples: the microphone without the echo.
        """
        self._silent_frames = 0 if far.any() else self._silent_frames + 1
        spectra = self._spectra
        spectra[1:] = spectra[:-1]
        spectra[0] = np.fft.rfft(np.concatenate([self._before, far]))
        self._before = far
        if self._silent_frames > len(spectra):
            return near
        frame = self._frame
        echo = np.fft.irfft((spectra * self._room).sum(axis=0))[frame:]
        rest = near - echo
        self._learn(np.fft.rfft(np.concatenate([np.zeros(frame, np.float32), rest])))
        return rest

    def _learn(self, rest: np.ndarray) -> None:
        spectra, uncertainty, frame = self._spectra, self._uncertainty, self._frame
        power = spectra.real**2 + spectra.imag**2
        self._rest = _SMOOTHING * self._rest + (1 - _SMOOTHING) * (rest.real**2 + rest.imag**2)
        # Half of a block of two frames is new.
        gain = uncertainty / (0.5 * (uncertainty * power).sum(axis=0) + self._rest + _TINY)
        step = np.fft.irfft(gain * spectra.conj() * rest, axis=1)
        step[:, frame:] = 0.0
        self._room += np.fft.rfft(step, axis=1)
        kept = _FORGETTING**2
        drift = (1 - kept) * (self._room.real**2 + self._room.imag**2)
        self._uncertainty = kept * (1 - 0.5 * gain * power) * uncertainty + drift


class LinearJudge:
    """Tells whether what the linear canceller leaves is somebody's voice, or no more than what it always leaves.

    How much that is, it learns while the bot speaks: quickly that it is less, slowly that it is more, for it may be
    taken in by a user. So a filter that has learned nothing yet leaves all to AEC3, without a threshold for it.
    """

    _BLOCK = 10
    _LESS = 0.3
    _MORE, _SURELY_MORE = 10**0.02, 10**0.1
    """0.2 dB and 1 dB in a block of 100 ms, by how sure it is that nobody but the bot is heard."""

    _ALONE, _SURELY_ALONE = 10**-2.0, 10**-3.0
    """What AEC3 leaves of the bot, and seldom and never of a user (of one 8 dB below the bot, 5 to 17 dB are gone)."""

    _MARGIN = 10.0
    _ECHO_FRAMES = 20
    _HOLD_FRAMES = 5
    _RECENT = 0.9
    _SUSPECT_FRAMES, _LOST_FRAMES = 3, 15

    def __init__(self) -> None:
        self._leak = 1.0
        self._blocks = 0
        self._sums = np.zeros(3)
        self._count = 0
        self._echoes: deque[float] = deque(maxlen=self._ECHO_FRAMES)
        self._held = 0
        self._recent = np.zeros(3)
        self._wrong = 0

    @property
    def erle_db(self) -> float | None:
        """How much of the bot's voice the filter takes away, in dB; None before that is known."""
        return float(-10 * np.log10(self._leak)) if self._blocks else None

    @property
    def lost(self) -> bool:
        """Whether the filter should begin anew: it has long added an echo instead of removing one."""
        return self._wrong >= self._LOST_FRAMES

    def somebody(self, near: float, rest: float, echo: float, noise: float) -> bool:
        """Judge a frame.

        Args:
            near: Mean square of the microphone.
            rest: Of what the linear filter leaves.
            echo: Of what it takes away.
            noise: Of the microphone's noise.

        Returns:
            Whether somebody's voice is in it, or has just been.
        """
        self._echoes.append(echo)
        self._recent = self._RECENT * self._recent + (near, rest, echo)
        whole, left, removed = self._recent
        adds = left > 1.2 * whole and removed > 0.3 * whole and echo > noise
        self._wrong = self._wrong + 1 if adds else max(0, self._wrong - 1)
        louder = rest > self._MARGIN * self._leak * max(self._echoes) + 2 * noise
        self._held = self._HOLD_FRAMES if louder else max(0, self._held - 1)
        return self._held > 0 and self._wrong < self._SUSPECT_FRAMES

    def learn(self, near: float, rest: float, alone: float) -> None:
        """Learn from a frame in which the bot is heard.

        Args:
            near: Mean square of the microphone.
            rest: Of what the linear filter leaves.
            alone: Of what AEC3 leaves.
        """
        self._sums += (near, rest, alone)
        self._count += 1
        if self._count < self._BLOCK:
            return
        whole, left, cancelled = self._sums
        self._sums, self._count = np.zeros(3), 0
        change = left / (self._leak * whole)
        if change < 1:
            self._leak *= change**self._LESS
        elif cancelled < self._ALONE * whole:
            self._leak *= min(change, self._SURELY_MORE if cancelled < self._SURELY_ALONE * whole else self._MORE)
        self._blocks += 1
