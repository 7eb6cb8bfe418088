"""Finds out from the sound when a user begins and ends to speak: automatic activity detection, without I/O.

Energy against an adapting noise floor. How sensitive the real service is, is not published; what a client can set is
obeyed, and the rest is a plain choice.
"""

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from halfcascade.emulator.minds.base import LISTENER_RATE

_FRAME = LISTENER_RATE // 50
_FRAME_SECONDS = _FRAME / LISTENER_RATE
_FLOOR_FRAMES = 150
_FLOOR_DB = (-75.0, -45.0)
_ALWAYS_QUIET_DB = -50.0
_ABOVE_FLOOR_DB = 10.0
_START_SECONDS = {"START_SENSITIVITY_HIGH": 0.06, "START_SENSITIVITY_LOW": 0.2}
_END_SECONDS = {"END_SENSITIVITY_HIGH": 0.4, "END_SENSITIVITY_LOW": 0.8}
_START, _END = 0.1, 0.5
_START_RANGE, _END_RANGE = (0.0, 2.0), (0.1, 10.0)
# Speech between two frames that are loud enough: a stop consonant, a breath.
_HOLES = 3


@dataclass(frozen=True)
class ActivitySettings:
    """What a setup asks of activity detection.

    Parameters:
        automatic: Whether the server finds activity; otherwise the client tells.
        start: Seconds of sound after which speech has begun.
        end: Seconds of quiet after which it is over.
        interrupts: Whether a beginning activity interrupts the model.
        covers_all: Whether a turn holds all audio since the last one (turnCoverage), not the activity alone.
    """

    automatic: bool = True
    start: float = _START
    end: float = _END
    interrupts: bool = True
    covers_all: bool = False

    @classmethod
    def parse(cls, config: dict[str, Any]) -> "ActivitySettings":
        """Read ``realtimeInputConfig``.

        Args:
            config: Its fields, normalized.
        """
        automatic = config.get("automaticActivityDetection", {})
        start = _START_SECONDS.get(str(automatic.get("startOfSpeechSensitivity")), _START)
        end = _END_SECONDS.get(str(automatic.get("endOfSpeechSensitivity")), _END)
        if "prefixPaddingMs" in automatic:
            start = float(automatic["prefixPaddingMs"]) / 1000
        if "silenceDurationMs" in automatic:
            end = float(automatic["silenceDurationMs"]) / 1000
        return cls(
            automatic=not automatic.get("disabled", False),
            start=_within(start, _START_RANGE),
            end=_within(end, _END_RANGE),
            interrupts=config.get("activityHandling") not in ("NO_INTERRUPTION", 2),
            covers_all=config.get("turnCoverage") in ("TURN_INCLUDES_ALL_INPUT", 2),
        )


class ActivityDetector:
    """Follows one stream of audio.

    Parameters:
        settings: What the client asked for.
    """

    def __init__(self, settings: ActivitySettings) -> None:
        self._start = max(1, round(settings.start / _FRAME_SECONDS))
        self._end = max(1, round(settings.end / _FRAME_SECONDS))
        self._rest = b""
        self._floors: deque[float] = deque(maxlen=_FLOOR_FRAMES)
        self._loud = self._quiet = 0
        self.active = False
        """Whether somebody speaks."""

    def feed(self, pcm: bytes) -> list[Literal["begin", "end"]]:
        """Take audio.

        Args:
            pcm: 16-bit mono at ``LISTENER_RATE``.

        Returns:
            What happened in it, in order.
        """
        data = self._rest + pcm
        whole = len(data) // (2 * _FRAME) * 2 * _FRAME
        self._rest = data[whole:]
        if not whole:
            return []
        frames = np.frombuffer(data[:whole], "<i2").reshape(-1, _FRAME).astype(np.float32) / 32_768
        levels = 10 * np.log10(np.mean(frames**2, axis=1) + 1e-12)
        return [event for level in levels if (event := self._frame(float(level)))]

    def reset(self) -> None:
        """Forget an activity that was ended by somebody else."""
        self.active = False
        self._loud = self._quiet = 0
        self._rest = b""

    def _frame(self, level: float) -> Literal["begin", "end"] | None:
        floor = _within(min(self._floors, default=_FLOOR_DB[0]), _FLOOR_DB)
        self._floors.append(level)
        loud = level > max(floor + _ABOVE_FLOOR_DB, _ALWAYS_QUIET_DB)
        self._quiet = 0 if loud else self._quiet + 1
        if self.active:
            if self._quiet < self._end:
                return None
            self.active = False
            self._loud = 0
            return "end"
        self._loud = self._loud + 1 if loud else (self._loud if self._quiet <= _HOLES else 0)
        if self._loud < self._start:
            return None
        self.active = True
        return "begin"


def _within(value: float, bounds: tuple[float, float]) -> float:
    return min(max(value, bounds[0]), bounds[1])
