"""Where in the user's part a piece of audio stands that is sent to the ears."""

import asyncio
import time
from collections.abc import AsyncIterator

from google.cloud.speech_v2.types import cloud_speech

from halfcascade.bot.replay.tape import USER_RATE

_KEPT_SECS = 30
_BYTES = 2
_SOUND_BYTES = 256


class UserAudio:
    """The newest of what the microphone gave the pipeline, so that what is sent of it is found again by its bytes."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._first = 0

    @property
    def samples(self) -> int:
        """How many samples there have been."""
        return self._first + len(self._kept) // _BYTES

    def append(self, audio: bytes) -> None:
        """Take more.

        Args:
            audio: 16-bit mono PCM.
        """
        self._kept += audio
        if len(self._kept) > 2 * _KEPT_SECS * USER_RATE * _BYTES:
            dropped = len(self._kept) - _KEPT_SECS * USER_RATE * _BYTES
            del self._kept[:dropped]
            self._first += dropped // _BYTES

    def find(self, audio: bytes) -> int | None:
        """Find a piece.

        Args:
            audio: 16-bit mono PCM.

        Returns:
            The number of its first sample, or None if it is without any sound. Audio that was changed on its way is
            taken for the newest of its length.
        """
        # By its last sound: it may begin and end with silence, of which there is much.
        sound_end = len(audio.rstrip(b"\0"))
        if not sound_end:
            return None
        sound_begin = max(0, sound_end - _SOUND_BYTES)
        sound, end = audio[sound_begin:sound_end], len(self._kept)
        while (place := self._kept.rfind(sound, 0, end)) >= 0:
            begin = place - sound_begin
            if begin >= 0 and begin % _BYTES == 0 and self._kept.startswith(audio, begin):
                return self._first + begin // _BYTES
            end = place + len(sound) - 1
        return max(0, self.samples - len(audio) // _BYTES)


class SentAudio:
    """The audio of one stream on its way to the recognizer.

    Parameters:
        begin: Number of its first sample in the user's part, or None before it.
        samples: How many were sent.
        closed_at: ``time.monotonic()`` seconds of the half-close, or None before it.

    Args:
        user: The user's part.
    """

    def __init__(self, user: UserAudio):
        self._user = user
        self._changed = asyncio.Event()
        self._head = bytearray()
        self._marks: list[tuple[int, float]] = []
        self.begin: int | None = None
        self.samples = 0
        self.closed_at: float | None = None

    @property
    def end(self) -> int:
        """Number of the sample behind the last one sent."""
        return (self.begin or 0) + self.samples

    @property
    def last_at(self) -> float:
        """``time.monotonic()`` seconds at which the last audio was sent."""
        return self._marks[-1][1] if self._marks else time.monotonic()

    def take(self, request: cloud_speech.StreamingRecognizeRequest) -> None:
        """Note a request as it passes.

        Args:
            request: With audio or without.
        """
        if not request.audio:
            return
        if self.begin is None:
            self._head += request.audio
            self.begin = self._user.find(bytes(self._head))
        self.samples += len(request.audio) // _BYTES
        self._marks.append((self.samples, time.monotonic()))
        self._changed.set()

    def close(self) -> None:
        """Note the half-close."""
        if self.begin is None and self.samples:
            self.begin = max(0, self._user.samples - self.samples)
        self.closed_at = time.monotonic()
        self._changed.set()

    async def run(self, requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest]) -> None:
        """Swallow a stream's requests, to the half-close.

        Args:
            requests: The requests.
        """
        async for request in requests:
            self.take(request)
        self.close()

    async def reach(self, samples: int) -> float | None:
        """Wait until so much has been sent.

        Args:
            samples: How many samples.

        Returns:
            When that was, in ``time.monotonic()`` seconds, or None if the stream was half-closed before.
        """
        while self.samples < samples and self.closed_at is None:
            await self.changed()
        return next((at for sent, at in self._marks if sent >= samples), None)

    async def changed(self) -> None:
        """Wait until more has been sent, or the stream is half-closed."""
        self._changed.clear()
        await self._changed.wait()
