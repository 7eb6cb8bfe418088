"""Limits of the emulated services, as Google documents them or others met them."""

from collections import deque
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class SpeechLimits:
    """Limits of Speech-to-Text streams (facts/stt#requests, #limits).

    Parameters:
        audio_bytes: Most bytes of audio in one message (facts/stt#requests: the server enforces 25,600).
        max_duration: Seconds that a stream may be open.
        max_duration_v1: The same of v1.
        audio_bytes_v1: Most bytes of audio in one message of v1, which takes whole files.
        batch_seconds: Longest audio of a ``Recognize`` request.
        long_seconds: Longest audio of ``LongRunningRecognize`` and ``BatchRecognize``.
        idle: Seconds without a client message after which a stream is aborted (facts/stt#limits: observed from 5 to
            over 10).
    """

    audio_bytes: int = 25_600
    max_duration: float = 300.0
    max_duration_v1: float = 305.0
    audio_bytes_v1: int = 10 * 1024 * 1024
    batch_seconds: float = 60.0
    long_seconds: float = 480 * 60.0
    idle: float = 10.0

    def scaled(self, clock_scale: float) -> "SpeechLimits":
        """Let time run faster: at 100, five minutes are over after three seconds."""
        return replace(
            self,
            max_duration=self.max_duration / clock_scale,
            max_duration_v1=self.max_duration_v1 / clock_scale,
            idle=self.idle / clock_scale,
        )


@dataclass(frozen=True)
class TtsLimits:
    """Limits of Text-to-Speech (facts/tts#limits).

    Parameters:
        text_bytes: Most bytes of UTF-8 in one input. Whether Google counts an input or a stream is not known;
            frameworks send whole replies over one stream and nobody reported a refusal, so an input is counted.
        long_text_bytes: The same of long audio.
        idle: Seconds without input after which a stream is aborted.
        sessions: Most streams that may be open at once.
        requests_per_minute: Most requests in a minute, a stream counting as one; None = any number, because tests and
            benches are faster than people. Google allows 200.
    """

    text_bytes: int = 5_000
    long_text_bytes: int = 1_000_000
    idle: float = 5.0
    sessions: int = 100
    requests_per_minute: int | None = None

    def scaled(self, clock_scale: float) -> "TtsLimits":
        """Let time run faster."""
        return replace(self, idle=self.idle / clock_scale)


class Quota:
    """Counts the requests of the last minute.

    Parameters:
        per_minute: How many are allowed; None = any number.
    """

    def __init__(self, per_minute: int | None) -> None:
        self._per_minute = per_minute
        self._times: deque[float] = deque()

    def admit(self, now: float) -> bool:
        """Ask for one more request.

        Args:
            now: Clock reading in seconds.

        Returns:
            Whether it is allowed; only then it counts.
        """
        if self._per_minute is None:
            return True
        while self._times and self._times[0] <= now - 60.0:
            self._times.popleft()
        if len(self._times) >= self._per_minute:
            return False
        self._times.append(now)
        return True
