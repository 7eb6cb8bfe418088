"""Cuts a stream of audio into portions of speech. No I/O, no engine: fed with samples, returns what happened.

Energy against an adapting noise floor is enough here: the engine behind is asked only about what is loud, and answers
noises (a cough, a knock) with no text.
"""

from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np

from halfcascade.emulator.minds.base import LISTENER_RATE, SpeechActivity

FRAME = LISTENER_RATE // 50
"""Samples of one decision (20 ms)."""
_FRAME_SECONDS = FRAME / LISTENER_RATE

_ONSET_DB = 10.0
_OFFSET_DB = 7.0
_ALWAYS_QUIET_DB = -52.0
_FLOOR_RANGE_DB = (-75.0, -38.0)
_FLOOR_AT_START_DB = -50.0
_FLOOR_FRAMES = 150
_FLOOR_KNOWN_FRAMES = 75
_SMOOTHING_FRAMES = 5
_ONSET_FRAMES = (3, 5)
"""So many loud frames, of so many, are speech: single clicks are shorter."""

_PRE_ROLL_FRAMES = 12
_EARLY_FRAMES = 8
_INTERIM_FRAMES = 25
# Decoding costs time in proportion: a monologue is closed in a pause that is the shorter the longer it lasts.
_CUTS = ((10.0, 12), (15.0, 5), (20.0, 0))

_VOICED_FRAME = LISTENER_RATE * 3 // 100
_VOICED_HOP = _VOICED_FRAME // 2
_VOICED_HERTZ = (70, 400)
_VOICED_PERIODICITY = 0.6
_VOICED_FRAMES = 4

PAUSE_SECONDS: dict[str, float] = {"standard": 0.8, "short": 0.5, "supershort": 0.2}
"""How long a pause closes a portion, per endpointing sensitivity (facts/stt#endpointing, third-party figures)."""


@dataclass(frozen=True)
class Portion:
    """Audio to turn into text.

    Parameters:
        kind: ``interim``, the portion goes on; ``early``, it seems to be over; ``final``, it is closed.
        samples: Mono float32, -1 to 1, at ``LISTENER_RATE``, all of the portion so far.
        start: Where it begins, in seconds since the stream began.
        end: Where its speech ends so far.
        revision: Equal for two portions that hold the same speech.
    """

    kind: Literal["interim", "early", "final"]
    samples: np.ndarray
    start: float
    end: float
    revision: tuple[int, int]


class Segmenter:
    """Finds speech in a stream.

    Parameters:
        pause: Seconds of quiet that close a portion.
    """

    def __init__(self, pause: float = PAUSE_SECONDS["standard"]):
        self._pause_frames = max(_EARLY_FRAMES + 1, round(pause / _FRAME_SECONDS))
        self._rest = np.zeros(0, dtype=np.int16)
        self._count = 0  # frames so far
        self._levels: deque[float] = deque(maxlen=_SMOOTHING_FRAMES)
        self._floors: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._recent: deque[bool] = deque(maxlen=_ONSET_FRAMES[1])
        self._pre_roll: deque[np.ndarray] = deque(maxlen=_PRE_ROLL_FRAMES)
        self._frames: list[np.ndarray] = []
        self._talking = False
        self._first = 0  # index of the portion's first frame
        self._last_loud = 0  # index after the last loud frame
        self._heard = False  # whether the portion holds anything loud
        self._number = 0
        self._next_interim = 0

    def feed(self, pcm: bytes) -> list[SpeechActivity | Portion]:
        """Take 16-bit mono PCM at ``LISTENER_RATE``; return what it brought, in order."""
        samples = np.concatenate([self._rest, np.frombuffer(pcm, dtype="<i2")])
        whole = len(samples) - len(samples) % FRAME
        self._rest = samples[whole:]
        events: list[SpeechActivity | Portion] = []
        for at in range(0, whole, FRAME):
            events += self._frame(samples[at : at + FRAME].astype(np.float32) / 32768)
        return events

    def finish(self) -> list[SpeechActivity | Portion]:
        """The stream is over: close what is open. No end of speech is reported (facts/stt#endpointing)."""
        if not (self._talking and self._heard):
            return []
        self._frames.append(self._rest.astype(np.float32) / 32768)
        return [self._close()]

    def _frame(self, frame: np.ndarray) -> list[SpeechActivity | Portion]:
        loud = self._is_loud(frame)
        self._count += 1
        if not self._talking:
            self._pre_roll.append(frame)
            self._recent.append(loud)
            return self._begin() if sum(self._recent) >= _ONSET_FRAMES[0] else []
        self._frames.append(frame)
        if loud:
            self._last_loud = self._count
            self._heard = True
        return self._go_on(quiet=self._count - self._last_loud)

    def _is_loud(self, frame: np.ndarray) -> bool:
        level = 10 * np.log10(float(np.mean(frame * frame)) + 1e-10)
        self._levels.append(level)
        self._floors.append(float(np.mean(self._levels)))
        floor = min(self._floors)
        if len(self._floors) < _FLOOR_KNOWN_FRAMES:
            # The stream may have begun in the middle of speech, which is not the room's noise.
            floor = min(floor, _FLOOR_AT_START_DB)
        floor = min(max(floor, _FLOOR_RANGE_DB[0]), _FLOOR_RANGE_DB[1])
        return level > max(floor + (_OFFSET_DB if self._talking else _ONSET_DB), _ALWAYS_QUIET_DB)

    def _begin(self) -> list[SpeechActivity | Portion]:
        onset = self._count - len(self._recent) + self._recent.index(True)
        self._talking = True
        self._last_loud = self._count
        self._open(list(self._pre_roll), heard=True)
        self._pre_roll.clear()
        self._recent.clear()
        return [SpeechActivity("begin", onset * _FRAME_SECONDS)]

    def _open(self, frames: list[np.ndarray], *, heard: bool) -> None:
        self._frames = frames
        self._heard = heard
        self._first = self._count - len(frames)
        self._number += 1
        self._next_interim = self._count + _INTERIM_FRAMES

    def _go_on(self, quiet: int) -> list[SpeechActivity | Portion]:
        events: list[SpeechActivity | Portion] = []
        if quiet >= self._pause_frames:
            events.append(SpeechActivity("end", self._last_loud * _FRAME_SECONDS))
            if self._heard:
                events.append(self._close())
            self._talking = False
            self._pre_roll.extend(self._frames[-_PRE_ROLL_FRAMES:])
        elif self._heard and self._too_long(quiet):
            events.append(self._close())
            self._open([], heard=False)
        elif self._heard and quiet == _EARLY_FRAMES:
            events.append(self._portion("early"))
        elif self._heard and quiet < _EARLY_FRAMES and self._count >= self._next_interim:
            self._next_interim = self._count + _INTERIM_FRAMES
            events.append(self._portion("interim"))
        return events

    def _too_long(self, quiet: int) -> bool:
        seconds = (self._count - self._first) * _FRAME_SECONDS
        return any(seconds >= limit and quiet >= pause for limit, pause in _CUTS)

    def _close(self) -> Portion:
        return self._portion("final")

    def _portion(self, kind: Literal["interim", "early", "final"]) -> Portion:
        return Portion(
            kind=kind,
            samples=np.concatenate(self._frames),
            start=self._first * _FRAME_SECONDS,
            end=self._last_loud * _FRAME_SECONDS,
            revision=(self._number, self._last_loud),
        )


def sounds_voiced(samples: np.ndarray) -> bool:
    """Whether mono float32 audio at ``LISTENER_RATE`` holds a vowel's worth (75 ms) of periodic sound.

    Every word of English does; knocks, clicks and most coughs do not.
    """
    shortest, longest = (LISTENER_RATE // hertz for hertz in reversed(_VOICED_HERTZ))
    loudest = float(np.max(np.abs(samples), initial=0.0))
    run = 0
    for at in range(0, len(samples) - _VOICED_FRAME, _VOICED_HOP):
        frame = samples[at : at + _VOICED_FRAME]
        if np.max(np.abs(frame)) < loudest / 4:
            run = 0
            continue
        frame = frame - frame.mean()
        spectrum = np.fft.rfft(frame, 2 * _VOICED_FRAME)
        correlation = np.fft.irfft(spectrum * spectrum.conj())[:_VOICED_FRAME]
        # Divided by the overlap's share, so that long periods are not at a disadvantage.
        lags = np.arange(shortest, longest)
        normal = correlation[lags] / (correlation[0] + 1e-12) * _VOICED_FRAME / (_VOICED_FRAME - lags)
        run = run + 1 if normal.max() > _VOICED_PERIODICITY else 0
        if run >= _VOICED_FRAMES:
            return True
    return False
