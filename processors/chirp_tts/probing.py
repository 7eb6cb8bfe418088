"""Asks Text-to-Speech, before a talk, whether it would speak."""

import asyncio
import time

from google.cloud import texttospeech_v1 as tts
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.errors import SynthesisError, synthesis_error
from halfcascade.processors.chirp_tts.settings import ChirpTTSSettings, streaming_config, synthesis_input
from halfcascade.processors.chirp_tts.stream import SynthesisStream
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_calls import unmasked

_SAID = "Hello."


async def probe_synthesis(client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings, secs: float) -> float:
    """Have one word spoken on a call as talks make it.

    Args:
        client: The client.
        settings: Complete settings.
        secs: How long that may take.

    Returns:
        Seconds until its first audio.

    Raises:
        ConfigurationError: Why it would not work, and what to do.
    """

    async def ask() -> float:
        began, took = time.monotonic(), 0.0
        # Before a talk there is no task manager; the call's task ends with the call.
        stream = SynthesisStream(client, streaming_config(settings), asyncio.create_task)
        try:
            stream.speak(synthesis_input(settings, _SAID))
            stream.half_close()
            async for _ in stream.audio():
                took = took or time.monotonic() - began
        finally:
            stream.cancel()
        if not took:
            raise SynthesisError("Text-to-Speech gave no audio: check the voice.", ErrorCategory.APPLICATION)
        return took

    try:
        async with asyncio.timeout(secs):
            return await unmasked(ask)
    except Exception as error:
        raise ConfigurationError(synthesis_error(error, str(settings.voice)).reason) from error
