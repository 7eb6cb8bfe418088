"""Says aloud that a service is away, and that it is back, so that whoever only listens knows."""

import time
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pipecat.frames.frames import BotStartedSpeakingFrame, Frame, OutputAudioRawFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from halfcascade.processors.frames import Service, ServiceOutageFrame, ServiceRecoveredFrame, TroubleToneFrame
from halfcascade.processors.language import phrases

REPEAT_SECS = 12.0
"""The same outage is said again to somebody who goes on trying, but not more often than this."""

_TONE_RATE = 24_000
_TONE_REPEAT_SECS = 6.0
_TONE_SECS = 0.16
_TONE_LEVEL = 5_000.0
_FALLING = (622.0, 466.0)


class Notice(StrEnum):
    """What is to be told.

    Parameters:
        DEAF: Speech is heard and not recognized.
        OFFLINE: The conversation's server cannot be reached.
        RECOVERED: It works again.
        TONE: Something is wrong, and the voice cannot say what.
    """

    DEAF = "deaf"
    OFFLINE = "offline"
    RECOVERED = "recovered"
    TONE = "tone"


@dataclass
class _Outage:
    said_at: float
    in_words: bool
    heard: bool = False


class OutageNotices:
    """Decides what is said when. No I/O: fed news and clock readings in seconds."""

    def __init__(self) -> None:
        """Begin with everything at work."""
        self._away: dict[Service, _Outage] = {}
        self._voice_away = False
        self._tone_at = float("-inf")

    def outage(self, service: Service, now: float) -> Notice | None:
        """Somebody waits for a service.

        Args:
            service: Which.
            now: Clock reading.

        Returns:
            What to tell, if it was not told just now.
        """
        if service is Service.VOICE:
            self._voice_away = True
            return self._tone(now)
        known = self._away.get(service)
        if known is not None and now < known.said_at + REPEAT_SECS:
            return None
        self._away[service] = _Outage(now, in_words=not self._voice_away)
        if self._voice_away:
            return self._tone(now)
        return Notice.DEAF if service is Service.EARS else Notice.OFFLINE

    def recovered(self, service: Service, now: float) -> Notice | None:
        """A service works again.

        Args:
            service: Which.
            now: Clock reading.

        Returns:
            What to tell: nothing where the service itself is heard, where another one is still away, or where nobody
            has heard of the outage yet.
        """
        if service is Service.VOICE:
            self._voice_away = False
            return None
        known = self._away.pop(service, None)
        told = known is not None and known.heard
        return Notice.RECOVERED if told and not self._away and not self._voice_away else None

    def heard(self) -> None:
        """The bot's voice has begun to be heard, and what was told in words with it."""
        for outage in self._away.values():
            outage.heard = outage.heard or outage.in_words

    def _tone(self, now: float) -> Notice | None:
        if now < self._tone_at + _TONE_REPEAT_SECS:
            return None
        self._tone_at = now
        return Notice.TONE


class OutageAnnouncer(FrameProcessor):
    """Tells the user of outages, by the voice where it works, else by ``TroubleTone``, which needs no network.

    It belongs between the brain and the voice.
    """

    def __init__(self, language: str = "en-US"):
        """Prepare what is said.

        Args:
            language: Locale of the conversation.
        """
        super().__init__(enable_direct_mode=True)
        self._phrases = phrases(language)
        self._notices = OutageNotices()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell what the news of a service mean, once for each broadcast.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self._notices.heard()
        # News of ears and brain pass downstream, those of the voice upstream.
        if isinstance(frame, ServiceOutageFrame | ServiceRecoveredFrame):
            comes_from = FrameDirection.UPSTREAM if frame.service is Service.VOICE else FrameDirection.DOWNSTREAM
            if direction is comes_from:
                await self._tell(frame)

    async def _tell(self, frame: ServiceOutageFrame | ServiceRecoveredFrame) -> None:
        now = time.monotonic()
        began = isinstance(frame, ServiceOutageFrame)
        notice = (self._notices.outage if began else self._notices.recovered)(frame.service, now)
        if notice is Notice.TONE:
            await self.push_frame(TroubleToneFrame())
        elif notice is not None:
            await self.push_frame(TTSSpeakFrame(str(getattr(self._phrases, notice.value)), append_to_context=False))


class TroubleTone(FrameProcessor):
    """Sounds two falling tones. It belongs behind the voice, which holds up what comes behind speech that it awaits."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Pass a frame on, and sound if it asks for that.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, TroubleToneFrame):
            await self.push_frame(OutputAudioRawFrame(trouble_tone(_TONE_RATE), _TONE_RATE, 1))


def trouble_tone(sample_rate: int) -> bytes:
    """Two falling tones.

    Args:
        sample_rate: Samples per second.

    Returns:
        16-bit mono PCM.
    """
    times = np.arange(int(sample_rate * _TONE_SECS)) / sample_rate
    # Faded in and out over 15 ms, so that nothing clicks.
    ramp = np.clip(np.minimum(times, _TONE_SECS - times) / 0.015, 0.0, 1.0)
    tones = [_TONE_LEVEL * ramp * np.sin(2 * np.pi * pitch * times) for pitch in _FALLING]
    return np.concatenate(tones).astype(np.int16).tobytes()
