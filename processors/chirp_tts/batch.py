"""SynthesizeSpeech: the whole audio of a text in one answer, for where streaming is not served."""

import io

import soundfile
from google.api_core import exceptions as google
from google.cloud import texttospeech_v1 as tts

from halfcascade.processors.chirp_tts.settings import SAMPLE_RATE, ChirpTTSSettings, streaming_config

# facts/tts#first-audio: about 800 ms for a sentence; a text of some thousand characters takes longer.
BATCH_SECS = 30.0


def cannot_stream(error: BaseException) -> bool:
    """Whether an error says that this voice or location does not stream at all (facts/tts#voices).

    Args:
        error: What a StreamingSynthesize call raised.
    """
    if isinstance(error, google.MethodNotImplemented):
        return True
    refused = isinstance(error, google.InvalidArgument | google.FailedPrecondition | google.NotFound)
    return refused and "streaming synthesis" in str(error).lower()


async def synthesize_batch(client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings, text: str) -> bytes:
    """Speak a text in one call.

    Args:
        client: Text-to-Speech client.
        settings: Complete settings.
        text: What to say; at most 5,000 bytes (facts/tts#limits).

    Returns:
        16-bit little-endian mono PCM at ``SAMPLE_RATE``.

    Raises:
        GoogleAPICallError: If the service refuses.
    """
    streaming = streaming_config(settings)
    spoken = tts.SynthesisInput(markup=text) if settings.markup else tts.SynthesisInput(text=text)
    if streaming.custom_pronunciations:
        spoken.custom_pronunciations = streaming.custom_pronunciations
    response = await client.synthesize_speech(
        tts.SynthesizeSpeechRequest(
            input=spoken,
            voice=streaming.voice,
            audio_config=tts.AudioConfig(
                audio_encoding=tts.AudioEncoding.LINEAR16,
                sample_rate_hertz=SAMPLE_RATE,
                speaking_rate=settings.speaking_rate or None,
            ),
        ),
        timeout=BATCH_SECS,
    )
    # LINEAR16 comes with a WAV header.
    samples, _ = soundfile.read(io.BytesIO(response.audio_content), dtype="int16")
    return samples.astype("<i2").tobytes()
