"""Asks Speech-to-Text, before a talk, whether it would listen."""

import time
from collections.abc import AsyncIterator

from google.cloud import speech_v2
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.processors.google_calls import probing, unmasked
from halfcascade.processors.google_errors import SPEECH_TO_TEXT

# Rate of the moment of silence that is sent, in samples per second; the pipeline's own is not known yet.
PROBE_RATE = 16_000
_SILENCE_SECS = 0.2


async def probe_recognition(
    client: speech_v2.SpeechAsyncClient, first: cloud_speech.StreamingRecognizeRequest, sample_rate: int, secs: float
) -> float:
    """Recognize a moment of silence on a stream as talks open it.

    Args:
        client: The client.
        first: First request of the stream.
        sample_rate: Samples per second that it names.
        secs: How long that may take.

    Returns:
        Seconds it took.

    Raises:
        ConfigurationError: Why it would not work, and what to do.
    """

    async def requests() -> AsyncIterator[cloud_speech.StreamingRecognizeRequest]:
        yield first
        yield cloud_speech.StreamingRecognizeRequest(audio=bytes(2 * round(_SILENCE_SECS * sample_rate)))

    async def ask() -> None:
        async for _ in await client.streaming_recognize(requests=requests()):
            pass

    began = time.monotonic()
    async with probing(SPEECH_TO_TEXT, secs):
        await unmasked(ask)
    return time.monotonic() - began
