"""Says aloud that a service is away, and that it is back, so that whoever only listens knows.

First comes a word that fills the silence: most outages are over a moment later, and then no answer has to wait until a
long apology is over. The reason follows if there is still no answer. Likewise "I am back" is said only where no answer
says so by coming.
"""

import asyncio
import time
from enum import StrEnum

import numpy as np
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    CancelFrame,
    EndFrame,
    Frame,
    LLMTextFrame,
    OutputAudioRawFrame,
    TTSSpeakFrame,
    UserStartedSpeakingFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup

from halfcascade.processors.frames import Service, ServiceOutageFrame, ServiceRecoveredFrame, TroubleToneFrame
from halfcascade.processors.language import phrases

REPEAT_SECS = 12.0
"""The same outage is said again to somebody who goes on trying, but not more often than this."""

REASON_SECS = 4.0
"""How long after the first word the reason is given, if the outage lasts."""

ANSWER_SECS = 2.0
"""How long an answer may take to come once all services are back, before that is said in its place."""

_TONE_RATE = 24_000
_TONE_REPEAT_SECS = 6.0
_TONE_SECS = 0.16
_TONE_LEVEL = 5_000.0
_FALLING = (622.0, 466.0)


class Notice(StrEnum):
    """What is to be told.

    Parameters:
        WAIT: An answer takes longer.
        DEAF: Speech is heard and not recognized.
        OFFLINE: The conversation's server cannot be reached.
        RECOVERED: It works again.
        TONE: Something is wrong, and the voice cannot say what.
    """

    WAIT = "wait"
    DEAF = "deaf"
    OFFLINE = "offline"
    RECOVERED = "recovered"
    TONE = "tone"


class OutageNotices:
    """Decides what is said when. No I/O: fed news and clock readings in seconds."""

    def __init__(self) -> None:
        """Begin with everything at work."""
        self._away: set[Service] = set()
        self._voice_away = False
        self._tone_at = float("-inf")
        self._reason_at: float | None = None
        self._reason_given_at: float | None = None
        self._reason_heard = False
        self._back_at: float | None = None

    @property
    def deadline(self) -> float | None:
        """Clock reading at which ``tick`` is due, or None."""
        return min((at for at in (self._reason_at, self._back_at) if at is not None), default=None)

    def outage(self, service: Service, now: float) -> Notice | None:
        """Somebody waits for a service.

        Args:
            service: Which.
            now: Clock reading.

        Returns:
            What to tell, if it was not told just now.
        """
        self._back_at = None
        if service is Service.VOICE:
            self._voice_away = True
            return self._tone(now)
        first = not self._away
        self._away.add(service)
        if self._voice_away:
            return self._tone(now)
        if first:
            self._reason_at = now + REASON_SECS
            return Notice.WAIT
        if self._reason_given_at is None:
            # They have waited before: whoever was told to wait and spoke again is told why, at once.
            return None if self._reason_at is not None else self._reason(now)
        return self._reason(now) if now >= self._reason_given_at + REPEAT_SECS else None

    def recovered(self, service: Service, now: float) -> None:
        """A service works again.

        It is told later, unless an answer tells it: not where the service itself is heard, where another one is still
        away, or where nobody has heard of the outage.

        Args:
            service: Which.
            now: Clock reading.
        """
        if service is Service.VOICE:
            self._voice_away = False
            return
        self._away.discard(service)
        if self._away:
            return
        if self._reason_heard and not self._voice_away:
            self._back_at = now + ANSWER_SECS
        self._reason_at = self._reason_given_at = None
        self._reason_heard = False

    def heard(self) -> None:
        """The bot's voice has begun to be heard, and what was told in words with it."""
        self._reason_heard = self._reason_given_at is not None

    def spoken_to(self) -> None:
        """The user speaks: nothing is said into that, and what they say asks anew for the reason."""
        self._reason_at = None

    def answered(self) -> None:
        """An answer comes, which tells by itself that all is well again."""
        self._back_at = None

    def tick(self, now: float) -> Notice | None:
        """Let time pass.

        Args:
            now: Clock reading.

        Returns:
            What to tell.
        """
        if self._reason_at is not None and now >= self._reason_at:
            self._reason_at = None
            return None if self._voice_away else self._reason(now)
        if self._back_at is not None and now >= self._back_at:
            self._back_at = None
            return Notice.RECOVERED
        return None

    def _reason(self, now: float) -> Notice:
        self._reason_at, self._reason_given_at, self._reason_heard = None, now, False
        return Notice.DEAF if self._away == {Service.EARS} else Notice.OFFLINE

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
        words = phrases(language)
        self._words = {
            Notice.WAIT: words.fillers[0],
            Notice.DEAF: words.deaf,
            Notice.OFFLINE: words.offline,
            Notice.RECOVERED: words.recovered,
        }
        self._notices = OutageNotices()
        self._changed = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to keep time.

        Args:
            setup: Pipecat's.
        """
        await super().setup(setup)
        self._timer = self.create_task(self._run_timer(), "outage_timer")

    async def cleanup(self) -> None:
        """Stop keeping time."""
        await self._stop_timer()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell what the news of a service mean, once for each broadcast.

        Args:
            frame: Any frame.
            direction: Where it goes.
        """
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        match frame:
            case BotStartedSpeakingFrame():
                self._notices.heard()
            case UserStartedSpeakingFrame() | VADUserStartedSpeakingFrame():
                self._notices.spoken_to()
            case LLMTextFrame():
                self._notices.answered()
            case EndFrame() | CancelFrame():
                await self._stop_timer()
            case ServiceOutageFrame() | ServiceRecoveredFrame():
                # News of ears and brain pass downstream, those of the voice upstream.
                comes_from = FrameDirection.UPSTREAM if frame.service is Service.VOICE else FrameDirection.DOWNSTREAM
                if direction is comes_from:
                    await self._take(frame)
            case _:
                pass

    async def _take(self, frame: ServiceOutageFrame | ServiceRecoveredFrame) -> None:
        now = time.monotonic()
        if isinstance(frame, ServiceOutageFrame):
            await self._tell(self._notices.outage(frame.service, now))
        else:
            self._notices.recovered(frame.service, now)
        self._changed.set()

    async def _tell(self, notice: Notice | None) -> None:
        if notice is Notice.TONE:
            await self.push_frame(TroubleToneFrame())
        elif notice is not None:
            await self.push_frame(TTSSpeakFrame(self._words[notice], append_to_context=False))

    async def _run_timer(self) -> None:
        while True:
            self._changed.clear()
            deadline = self._notices.deadline
            try:
                async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
                    await self._changed.wait()
            except TimeoutError:
                await self._tell(self._notices.tick(time.monotonic()))

    async def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            await self.cancel_task(timer)


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
