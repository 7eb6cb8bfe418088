"""The voice alone: text in, speech out."""

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from google.cloud import texttospeech_v1 as tts

from halfcascade.processors.chirp_tts.batch import synthesize_batch
from halfcascade.processors.chirp_tts.errors import SynthesisError, synthesis_error
from halfcascade.processors.chirp_tts.segmenter import SpeechSegmenter
from halfcascade.processors.chirp_tts.settings import (
    SAMPLE_RATE,
    ChirpTTSSettings,
    check_settings,
    default_settings,
)
from halfcascade.processors.chirp_tts.synthesizer import ChirpSynthesizer
from halfcascade.processors.chirp_tts.text import split_utf8
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_clients import texttospeech_client

# facts/tts#limits: 5,000 bytes a request; some are left for what surrounds the text.
_REQUEST_BYTES = 4_500
_ATTEMPTS = 3
_BACKOFF_SECS = 0.25


@dataclass(frozen=True)
class Speech:
    """A spoken text.

    Parameters:
        pcm: 16-bit little-endian mono PCM.
        sample_rate: Samples per second.
    """

    pcm: bytes
    sample_rate: int = SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / 2 / self.sample_rate

    def save(self, path: Path | str) -> None:
        """Write it to a file.

        Args:
            path: Its ending decides the format: ``.wav``, ``.flac``, ``.ogg``.

        Raises:
            ConfigurationError: If the file cannot be written.
        """
        file_format = check_sound_file(path)
        packed = io.BytesIO()
        try:
            soundfile.write(packed, np.frombuffer(self.pcm, dtype="<i2"), self.sample_rate, format=file_format)
            # By Python, which says why a file cannot be written.
            Path(path).write_bytes(packed.getbuffer())
        except OSError as error:
            raise _unwritable(path, error.strerror) from error
        except (TypeError, ValueError, soundfile.SoundFileError) as error:
            raise _unwritable(path, error) from error


def check_sound_file(path: Path | str) -> str:
    """Make sure, without touching it, that a file can be written and names a format of sound.

    Args:
        path: The file.

    Returns:
        The format, as libsndfile calls it.

    Raises:
        ConfigurationError: If there is no folder for it, it cannot be written, or its ending names no format.
    """
    file = Path(path).absolute()
    try:
        if not file.parent.is_dir():
            raise ConfigurationError(f"There is no folder {Path(path).parent}: make it first, or name another file.")
        if file.is_dir():
            raise _unwritable(path, os.strerror(errno.EISDIR))
        if not os.access(file if file.exists() else file.parent, os.W_OK):
            raise ConfigurationError(f"{path} cannot be written (no permission): name a file that can.")
    except OSError as error:  # no file can have such a name
        raise _unwritable(path, error.strerror) from error
    ending = file.suffix.removeprefix(".").upper()
    if ending not in soundfile.available_formats() or ending == "RAW":  # which needs to be told more
        told = f"The ending of {path} names no format of sound: name a file that ends in .wav, .flac or .ogg."
        raise ConfigurationError(told)
    return ending


def _unwritable(path: Path | str, why: object) -> ConfigurationError:
    return ConfigurationError(f"{path} cannot be written ({why}): name a .wav file that can.")


async def synthesize(
    text: str,
    *,
    voice: str = "Charon",
    language: str = "en-US",
    speaking_rate: float | None = None,
    location: str | None = None,
    batch: bool = False,
    client: tts.TextToSpeechAsyncClient | None = None,
) -> Speech:
    """Speak a text.

    Args:
        text: What to say, of any length; sentences are synthesized one after the other.
        voice: Chirp 3 HD voice, short (``Charon``) or full (``en-US-Chirp3-HD-Charon``).
        language: Locale.
        speaking_rate: Multiple of the voice's own speed, 0.25 to 2.0.
        location: Region of the endpoint, None for the global one.
        batch: Ask with SynthesizeSpeech, one call for some thousand characters, instead of streaming.
        client: Text-to-Speech client, or None for one from the environment.

    Returns:
        The speech.

    Raises:
        ConfigurationError: If settings, credentials or text make no sense.
        SynthesisError: If the service refuses or does not answer.
    """
    pcm = b"".join(
        [
            chunk
            async for chunk in synthesize_stream(
                text,
                voice=voice,
                language=language,
                speaking_rate=speaking_rate,
                location=location,
                batch=batch,
                client=client,
            )
        ]
    )
    return Speech(pcm)


async def synthesize_stream(
    text: str,
    *,
    voice: str = "Charon",
    language: str = "en-US",
    speaking_rate: float | None = None,
    location: str | None = None,
    batch: bool = False,
    client: tts.TextToSpeechAsyncClient | None = None,
) -> AsyncIterator[bytes]:
    """Speak a text, piece by piece as the audio comes.

    Args:
        text: See ``synthesize``.
        voice: See ``synthesize``.
        language: See ``synthesize``.
        speaking_rate: See ``synthesize``.
        location: See ``synthesize``.
        batch: See ``synthesize``.
        client: See ``synthesize``.

    Yields:
        16-bit little-endian mono PCM at ``SAMPLE_RATE``.

    Raises:
        ConfigurationError: If settings, credentials or text make no sense.
        SynthesisError: If the service refuses or does not answer.
    """
    settings = default_settings()
    settings.apply_update(
        ChirpTTSSettings(
            voice=voice if "-" in voice else f"{language}-Chirp3-HD-{voice}",
            language=language,
            speaking_rate=speaking_rate,
        )
    )
    check_settings(settings)
    if not text.strip():
        raise ConfigurationError("There is nothing to say: give some text.")
    own, client = client is None, client or texttospeech_client(location)
    pieces = split_utf8(text, _REQUEST_BYTES) if batch else _sentences(text, language)
    try:
        async for chunk in _batch(client, settings, pieces) if batch else _stream(client, settings, pieces):
            yield chunk
    finally:
        if own:
            await client.transport.close()


def _sentences(text: str, language: str) -> list[str]:
    segmenter = SpeechSegmenter(language)
    segments = [*segmenter.feed(text), *segmenter.flush()]
    spoken = [segment.text.strip() for segment in segments]
    return [part for sentence in spoken for part in split_utf8(sentence, _REQUEST_BYTES) if part.strip()]


async def _stream(
    client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings, pieces: list[str]
) -> AsyncIterator[bytes]:
    async def sent(text: str, reason: str) -> None:
        pass

    synthesizer = ChirpSynthesizer(lambda: client, settings, sent, asyncio.ensure_future)
    try:
        for piece in pieces:
            async for chunk in _persistently(synthesizer, piece):
                yield chunk
    finally:
        synthesizer.close()


async def _persistently(synthesizer: ChirpSynthesizer, piece: str) -> AsyncIterator[bytes]:
    """Ask again for what failed before any of it was heard; a failure that lasts is raised."""
    for attempt in range(_ATTEMPTS):
        got_audio = False
        try:
            async for chunk in synthesizer.synthesize(piece, phrase=False, again=attempt > 0):
                got_audio = True
                yield chunk
        except SynthesisError as error:
            if got_audio or not error.retry or attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_BACKOFF_SECS * 2**attempt)
        else:
            return


async def _batch(
    client: tts.TextToSpeechAsyncClient, settings: ChirpTTSSettings, pieces: list[str]
) -> AsyncIterator[bytes]:
    for piece in pieces:
        try:
            yield await synthesize_batch(client, settings, piece)
        except SynthesisError:
            raise
        except Exception as error:
            raise synthesis_error(error, str(settings.voice)) from error
