"""Turns a segment of text into audio: from the cache, or by one call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from google.cloud import texttospeech_v1 as tts
from loguru import logger

from halfcascade.processors.chirp_tts.batch import cannot_stream, synthesize_batch
from halfcascade.processors.chirp_tts.errors import SynthesisError, synthesis_error
from halfcascade.processors.chirp_tts.feed import TextFeed
from halfcascade.processors.chirp_tts.phrase_cache import PhraseCache, PhraseKey
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings, phrase_key, streaming_config, synthesis_input
from halfcascade.processors.chirp_tts.stream import StandBy, SynthesisStream, TaskFactory
from halfcascade.processors.language import needs_space

# facts/tts#first-audio, until measured.
_FIRST_AUDIO_PRIOR_SECS = 0.3


class ChirpSynthesizer:
    """Speaks single segments.

    Attributes:
        first_audio_secs: How long first audio has taken lately.
    """

    def __init__(
        self,
        client: Callable[[], tts.TextToSpeechAsyncClient],
        settings: ChirpTTSSettings,
        on_sent: Callable[[str, str], Awaitable[None]],
        create_task: TaskFactory,
        phrase_cache: PhraseCache | None = None,
    ):
        """Initialize; nothing is called yet.

        Args:
            client: Gives the client; asked for every call, since a talk may exchange it.
            settings: Complete settings; read for every call, so that changes count from the next one on.
            on_sent: Told each text that is sent, and why if it is not for the first time.
            create_task: The processor's task manager.
            phrase_cache: Where phrases are kept, if they are.
        """
        self._client = client
        self._settings = settings
        self._on_sent = on_sent
        self._create_task = create_task
        self._phrase_cache = phrase_cache
        self.first_audio_secs = _FIRST_AUDIO_PRIOR_SECS
        # Once a voice or location has said that it does not stream, it is not asked again.
        self._batch_only = False
        # Phrases whose sound must not be waited for, or fail.
        self._at_hand: dict[PhraseKey, bytes] = {}
        self._stand_by = StandBy(self._open_stream, create_task)

    def expect_text(self) -> None:
        """Text will come soon: have a call opened."""
        if not self._batch_only:
            self._stand_by.expect()

    def close(self) -> None:
        """Drop the call that stands ready; settings may have changed, or the conversation is over."""
        self._stand_by.close()

    @property
    def batch_only(self) -> bool:
        """Whether whole answers are asked for, because voice or location do not stream."""
        return self._batch_only

    async def synthesize(
        self, text: str, *, phrase: bool, again: bool = False, feed: TextFeed | None = None, start: int = 1
    ) -> AsyncIterator[bytes]:
        """Yield the audio of a text from one call.

        Args:
            text: What to say.
            phrase: Whether it may be spoken often, so that it is worth keeping.
            again: Whether it was asked for before.
            feed: Brings what is to be said behind it in the same call, if anything is.
            start: Number of the feed's first piece behind the text.

        Yields:
            16-bit mono PCM at ``SAMPLE_RATE``.

        Raises:
            SynthesisError: If it failed, or broke off after some audio.
        """
        cache = self._phrase_cache if phrase else None
        key = phrase_key(self._settings, text)
        if phrase and (pcm := self._at_hand.get(key)):
            await self._on_sent(text, "cache")
            yield pcm
            return
        if cache and (pcm := await cache.get(key)):
            await self._on_sent(text, "cache")
            yield pcm
            return
        audio = bytearray()
        async for chunk in self._once(text, "retry" if again else "", feed, start):
            if cache:
                audio += chunk
            yield chunk
        if cache:
            await cache.put(key, bytes(audio))

    async def follow(self, sound: AsyncIterator[bytes], feed: TextFeed | None) -> AsyncIterator[bytes]:
        """Yield the sound of a feed's first piece, which is there, and let one call say the others.

        Args:
            sound: 16-bit mono PCM at ``SAMPLE_RATE``.
            feed: The pieces, if there may be others.

        Yields:
            16-bit mono PCM at ``SAMPLE_RATE``.

        Raises:
            SynthesisError: If that failed.
        """
        async for chunk in sound:
            yield chunk
        if feed is None:
            return
        async for text in feed.texts(1):
            async for chunk in self.synthesize(text, phrase=False, feed=feed, start=2):
                yield chunk
            return

    async def prepare(self, text: str) -> bytes:
        """Have the audio of a phrase at hand from now on.

        Args:
            text: The phrase.

        Returns:
            16-bit mono PCM at ``SAMPLE_RATE``; b"" if it is not at hand, which is only told.
        """
        key, audio = phrase_key(self._settings, text), bytearray()
        try:
            async for chunk in self.synthesize(text, phrase=True):
                audio += chunk
        except SynthesisError as error:
            logger.warning(f"A phrase could not be made ready: {error.reason}")
        else:
            self._at_hand[key] = bytes(audio)
        return self._at_hand.get(key, b"")

    async def _once(self, text: str, reason: str, feed: TextFeed | None, start: int) -> AsyncIterator[bytes]:
        """Make one call; a second one only where the first says nothing about the text."""
        got_audio = False
        while True:
            ready = None if self._batch_only else self._stand_by.take()
            texts = _texts(text, feed, start)
            if self._batch_only:
                attempt = self._whole(texts)
            else:
                attempt = self._speak(ready or self._open_stream(), texts, reason)
            try:
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
                # A call that stood ready may have died unnoticed.
                if ready is None or got_audio or not error.retry:
                    raise error from raised
                reason = "retry"

    async def _whole(self, texts: AsyncIterator[str]) -> AsyncIterator[bytes]:
        async for text in texts:
            await self._on_sent(text, "batch")
            yield await synthesize_batch(self._client(), self._settings, text)

    async def _speak(self, stream: SynthesisStream, texts: AsyncIterator[str], reason: str) -> AsyncIterator[bytes]:
        feeding = self._create_task(self._feed(stream, texts, reason))
        try:
            sent_at = asyncio.get_running_loop().time()
            first = True
            async for chunk in stream.audio():
                if first:
                    took = asyncio.get_running_loop().time() - sent_at
                    self.first_audio_secs += 0.3 * (took - self.first_audio_secs)
                    first = False
                yield chunk
        finally:
            feeding.cancel()
            stream.cancel()

    async def _feed(self, stream: SynthesisStream, texts: AsyncIterator[str], reason: str) -> None:
        before = ""
        async for text in texts:
            # A service that joins inputs as they are would join their words.
            space = " " if before and needs_space(before, text) else ""
            stream.speak(synthesis_input(self._settings, space + text))
            before = text
            await self._on_sent(text, reason)
        stream.half_close()

    def _open_stream(self) -> SynthesisStream:
        return SynthesisStream(self._client(), streaming_config(self._settings), self._create_task)


async def _texts(first: str, feed: TextFeed | None, start: int) -> AsyncIterator[str]:
    yield first
    if feed is not None:
        async for text in feed.texts(start):
            yield text
