"""What the doctor asks Google's three services, or the servers that stand for them: each one short, real call."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.api_core import exceptions as google_errors
from google.cloud import speech_v2, texttospeech_v1

from halfcascade.bot.settings import Settings
from halfcascade.processors.chirp_tts.voices import check_speaking_rate, check_voice
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused, LiveConnection
from halfcascade.processors.gemini_live.protocol.models import (
    LiveModel,
    Modality,
    Remedy,
    bare_name,
    explain_refusal,
    lookup,
)
from halfcascade.processors.gemini_live.settings import default_settings, live_config
from halfcascade.processors.google_clients import gemini_client, speech_client, texttospeech_client
from halfcascade.processors.google_stt.models import check_languages, resolve_location

_CALL_SECS = 10.0
_ANSWER_SECS = 12.0
_ASKED = "Say hello."


@dataclass(frozen=True)
class Answer:
    """A service that works.

    Parameters:
        line: What was found, for a person.
        secs: How long it took to begin to answer.
    """

    line: str
    secs: float


async def ask_ears(settings: Settings) -> Answer:
    """Let Speech-to-Text recognize a moment of silence with the model, languages and location of the conversation.

    Args:
        settings: What the bot would use.

    Returns:
        What was found.

    Raises:
        ConfigurationError: Why it does not work, and what to do.
    """
    location = resolve_location(settings.stt_model, settings.stt_location)
    check_languages(settings.stt_model, settings.listen_for)
    client, project = speech_client(location)
    request = speech_v2.RecognizeRequest(
        recognizer=f"projects/{project}/locations/{location}/recognizers/_",
        config=speech_v2.RecognitionConfig(
            explicit_decoding_config=speech_v2.ExplicitDecodingConfig(
                encoding=speech_v2.ExplicitDecodingConfig.AudioEncoding.LINEAR16,
                sample_rate_hertz=16_000,
                audio_channel_count=1,
            ),
            language_codes=settings.listen_for,
            model=settings.stt_model,
        ),
        content=bytes(16_000),
    )
    began = time.monotonic()
    try:
        await client.recognize(request, timeout=_CALL_SECS, retry=None)
    except google_errors.GoogleAPICallError as error:
        raise _refused(
            "Speech-to-Text", "speech.googleapis.com", error, "the recognition model, its location and the languages"
        ) from error
    finally:
        await client.transport.close()
    languages = ", ".join(settings.listen_for)
    secs = time.monotonic() - began
    return Answer(f"Speech-to-Text answers: {settings.stt_model} in {location}, listening for {languages}", secs)


async def ask_voice(settings: Settings) -> Answer:
    """Look the voice up in Text-to-Speech and let it say a word.

    Args:
        settings: What the bot would use.

    Returns:
        What was found.

    Raises:
        ConfigurationError: Why it does not work, and what to do.
    """
    voice = settings.voice_name
    check_voice(voice, settings.language)
    check_speaking_rate(settings.speaking_rate)
    client = texttospeech_client(settings.tts_location)
    try:
        listed = await client.list_voices(language_code=settings.language, timeout=_CALL_SECS, retry=None)
        if voice not in {entry.name for entry in listed.voices}:
            raise ConfigurationError(
                f"Text-to-Speech has no voice {voice} here: choose another with --voice, or another tts_location."
            )
        began = time.monotonic()
        async with asyncio.timeout(_CALL_SECS):
            responses = await client.streaming_synthesize(_one_word(settings), timeout=_CALL_SECS)
            async for _ in responses:
                break
        secs = time.monotonic() - began
    except TimeoutError:
        raise ConfigurationError("Text-to-Speech does not answer: check the network and try again.") from None
    except google_errors.GoogleAPICallError as error:
        raise _refused(
            "Text-to-Speech", "texttospeech.googleapis.com", error, "the voice, the language and tts_location"
        ) from error
    finally:
        await client.transport.close()
    return Answer(f"Text-to-Speech speaks: {voice} in {settings.tts_location or 'global'}", secs)


async def _one_word(settings: Settings) -> AsyncIterator[texttospeech_v1.StreamingSynthesizeRequest]:
    config = texttospeech_v1.StreamingSynthesizeConfig(
        voice=texttospeech_v1.VoiceSelectionParams(name=settings.voice_name, language_code=settings.language),
        streaming_audio_config=texttospeech_v1.StreamingAudioConfig(
            audio_encoding=texttospeech_v1.AudioEncoding.PCM, sample_rate_hertz=24_000
        ),
    )
    yield texttospeech_v1.StreamingSynthesizeRequest(streaming_config=config)
    yield texttospeech_v1.StreamingSynthesizeRequest(input=texttospeech_v1.StreamingSynthesisInput(text="Hello."))


async def ask_brain(settings: Settings) -> Answer:
    """Open a Live session with the model, as the bot would, and wait for the first words of an answer.

    Args:
        settings: What the bot would use.

    Returns:
        What was found.

    Raises:
        ConfigurationError: Why it does not work, and what to do.
    """
    model, client = lookup(settings.model), gemini_client()
    modality = model.modality
    connection = await _connect(settings, client, model, modality)
    if connection is None:
        modality = Modality.AUDIO
        connection = await _connect(settings, client, model, modality)
    if connection is None:
        raise ConfigurationError(f"Model {bare_name(settings.model)} gives neither text nor audio: choose another.")
    how = "writes text" if modality is Modality.TEXT else "speaks, and its transcript is read"
    try:
        began = time.monotonic()
        await connection.send_text(_ASKED)
        async with asyncio.timeout(_ANSWER_SECS):
            async for message in connection.messages():
                content = message.server_content
                spoken = content and content.output_transcription and content.output_transcription.text
                if spoken or message.text:
                    break
        return Answer(f"Gemini Live answers: {bare_name(settings.model)} {how}", time.monotonic() - began)
    except TimeoutError:
        raise ConfigurationError(
            f"Model {bare_name(settings.model)} opens a session but does not answer: try again, or choose another."
        ) from None
    except ConnectionLost as error:
        line = explain_refusal(settings.model, error.code, error.reason, modality=modality, resuming=False).line
        raise ConfigurationError(line) from error
    finally:
        await connection.close()


async def _connect(settings: Settings, client: object, model: LiveModel, modality: Modality) -> LiveConnection | None:
    """Open a session; None if the model does not take this modality."""
    own = default_settings()
    own.model, own.language = settings.model, settings.language
    config = live_config(own, model, modality, instruction=settings.instruction, tools=None, handle=None, history=False)
    try:
        return await LiveConnection.open(client, settings.model, config)  # type: ignore[arg-type]
    except ConnectionRefused as error:
        refusal = explain_refusal(settings.model, error.code, error.reason, modality=modality, resuming=False)
        if refusal.remedy is Remedy.USE_AUDIO:
            return None
        raise ConfigurationError(refusal.line) from error


def _refused(service: str, api: str, error: google_errors.GoogleAPICallError, about: str) -> ConfigurationError:
    said = " ".join(str(error.message or error).split())[:200]
    if isinstance(error, google_errors.Unauthenticated):
        remedy = "run `gcloud auth application-default login`"
    elif isinstance(error, google_errors.PermissionDenied):
        remedy = f"enable it with `gcloud services enable {api}`, and check the account's roles"
    elif isinstance(error, google_errors.InvalidArgument | google_errors.NotFound):
        remedy = f"check {about}"
    elif isinstance(error, google_errors.ResourceExhausted):
        remedy = "the quota is used up: wait, or raise it in the Google console"
    elif isinstance(error, google_errors.MethodNotImplemented):
        remedy = "that server does not speak this API: check the *_EMULATOR_HOST variables"
    else:
        remedy = "check the network and try again"
    return ConfigurationError(f"{service} does not work ({said}): {remedy}.")
