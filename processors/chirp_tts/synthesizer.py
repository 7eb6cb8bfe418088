"""Turns a segment of text into audio: from the cache, or by a call that is tried again while that makes sense."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from google.cloud import texttospeech_v1 as tts
from loguru import logger

from halfcascade.processors.chirp_tts.batch import cannot_stream, synthesize_batch
from halfcascade.processors.chirp_tts.errors import synthesis_error
from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings, phrase_key, streaming_config, synthesis_input
from halfcascade.processors.chirp_tts.stream import StandBy, SynthesisStream, TaskFactory

# facts/tts#first-audio: first audio is measured at 280 to 350 ms from far away; several times that means it will not
# come.
FIRST_AUDIO_SECS = 2.0
# Audio comes several times faster than it plays: a hole this long is no network jitter.
STALL_SECS = 1.5
# A segment that has given no audio for this long in all is skipped: silence is worse than a missing sentence.
SEGMENT_BUDGET_SECS = 5.0
_FIRST_BACKOFF_SECS = 0.25
# facts/tts#first-audio, until measured.
_FIRST_AUDIO_PRIOR_SECS = 0.3


class ChirpSynthesizer:
    """Speaks single segments.

    Attributes:
        client: What makes the calls; to be set before the first one.
        first_audio_secs: How long first audio has taken lately.
    """

    def __init__(
        self,
        settings: ChirpTTSSettings,
        on_sent: Callable[[str, str], Awaitable[None]],
        create_task: TaskFactory,
        phrase_cache: PhraseCache | None = None,
    ):
        """Initialize without a client.

        Args:
            settings: Complete settings; read for every call, so that changes count from the next one on.
            on_sent: Told each text that is sent, and why if it is not for the first time.
            create_task: The processor's task manager.
            phrase_cache: Where phrases are kept, if they are.
        """
        self.client: tts.TextToSpeechAsyncClient | None = None
        self._settings = settings
        self._on_sent = on_sent
        self._create_task = create_task
        self._phrase_cache = phrase_cache
        self.first_audio_secs = _FIRST_AUDIO_PRIOR_SECS
        # Once a voice or location has said that it does not stream, it is not asked again.
        self._batch_only = False
        self._stand_by = StandBy(self._open_stream, create_task)

    def connect(self) -> None:
        """Begin to connect, so that the first reply finds the channel warm."""
        if channel := getattr(getattr(self.client, "transport", None), "grpc_channel", None):
            channel.get_state(try_to_connect=True)

    def expect_text(self) -> None:
        """Text will come soon: have a call opened."""
        if not self._batch_only:
            self._stand_by.expect()

    def close(self) -> None:
        """Drop the call that stands ready; settings may have changed, or the conversation is over."""
        self._stand_by.close()

    async def synthesize(self, text: str, *, phrase: bool) -> AsyncIterator[bytes]:
        """Yield the audio of a text; tries again as long as nothing has come and the budget lasts.

        Args:
            text: What to say.
            phrase: Whether it may be spoken often, so that it is worth keeping.

        Yields:
            16-bit mono PCM at ``SAMPLE_RATE``.

        Raises:
            SynthesisError: If it failed for good, or broke off after some audio.
        """
        cache = self._phrase_cache if phrase else None
        key = phrase_key(self._settings, text)
        if cache and (pcm := await cache.get(key)):
            await self._on_sent(text, "cache")
            yield pcm
            return
        audio = bytearray()
        async for chunk in self._with_retries(text):
            if cache:
                audio += chunk
            yield chunk
        if cache:
            await cache.put(key, bytes(audio))

    async def _with_retries(self, text: str) -> AsyncIterator[bytes]:
        now = asyncio.get_running_loop().time
        deadline = now() + SEGMENT_BUDGET_SECS
        backoff, failures, reason = _FIRST_BACKOFF_SECS, 0, ""
        while True:
            got_audio = False
            ready = None if self._batch_only else self._stand_by.take()
            try:
                attempt = (
                    self._whole(text) if self._batch_only else self._attempt(ready or self._open_stream(), text, reason)
                )
                async for chunk in attempt:
                    got_audio = True
                    yield chunk
                return
            except Exception as raised:
                if cannot_stream(raised) and not self._batch_only:
                    logger.warning(f"{self._settings.voice} does not stream here: its audio comes in one answer each.")
                    self._batch_only = True
                    continue
                error = synthesis_error(raised, str(self._settings.voice))
                # A call that stood ready may have died unnoticed, which says nothing about this segment.
                failures += 0 if ready else 1
                may_retry = error.retry and not got_audio and (error.throttled or failures < 2)
                # Being throttled calls for a wait, anything else for speed.
                wait = backoff if error.throttled else 0.0
                if not may_retry or now() + wait > deadline:
                    raise error from raised
                logger.warning(f"{error.reason} Trying again.")
            reason = "retry"
            await asyncio.sleep(wait)
            backoff *= 2

    def _call(self, ready: SynthesisStream | None, text: str, reason: str) -> AsyncIterator[bytes]:
        return self._whole(text) if self._batch_only else self._attempt(ready or self._open_stream(), text, reason)

    async def _whole(self, text: str) -> AsyncIterator[bytes]:
        if self.client is None:
            raise RuntimeError("the voice was not set up")
        await self._on_sent(text, "batch")
        yield await synthesize_batch(self.client, self._settings, text)

    async def _attempt(self, stream: SynthesisStream, text: str, reason: str) -> AsyncIterator[bytes]:
        try:
            stream.speak(synthesis_input(self._settings, text))
            await self._on_sent(text, reason)
            chunks, sent_at = stream.audio(), asyncio.get_running_loop().time()
            timeout = FIRST_AUDIO_SECS
            while True:
                async with asyncio.timeout(timeout):
                    chunk = await anext(chunks, None)
                if chunk is None:
                    return
                if timeout == FIRST_AUDIO_SECS:
                    took = asyncio.get_running_loop().time() - sent_at
                    self.first_audio_secs += 0.3 * (took - self.first_audio_secs)
                    timeout = STALL_SECS
                yield chunk
        finally:
            stream.cancel()

    def _open_stream(self) -> SynthesisStream:
        if self.client is None:
            raise RuntimeError("the voice was not set up")
        return SynthesisStream(self.client, streaming_config(self._settings), self._create_task)
