"""Where the clients of Google's three services come from: Google itself, or servers named by the environment.

``SPEECH_EMULATOR_HOST`` and ``TEXTTOSPEECH_EMULATOR_HOST`` (``host:port``) lead to plaintext gRPC servers with
anonymous credentials, after the custom of Google's own emulators. google-genai reads ``GOOGLE_GEMINI_BASE_URL`` itself.
"""

import os
from dataclasses import dataclass
from typing import Any

import grpc
from google import genai
from google.api_core.client_options import ClientOptions
from google.auth import default as default_credentials
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import speech_v2, texttospeech_v1
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.cloud.texttospeech_v1.services.text_to_speech.transports import TextToSpeechGrpcAsyncIOTransport
from google.genai import types

from halfcascade.processors.errors import ConfigurationError

SPEECH_EMULATOR_HOST = "SPEECH_EMULATOR_HOST"
TEXTTOSPEECH_EMULATOR_HOST = "TEXTTOSPEECH_EMULATOR_HOST"
GEMINI_BASE_URL = "GOOGLE_GEMINI_BASE_URL"
EMULATOR_PROJECT = "emulator"

_CLOUD_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_CREDENTIALS_REMEDY = (
    "run `gcloud auth application-default login` (or set GOOGLE_APPLICATION_CREDENTIALS), "
    "or talk to the emulator with `--backend emulator`"
)
# gRPC's own default caps messages at 4 MiB; a minute of 24 kHz audio is 2.9 MB, so the cap is lifted.
_CHANNEL_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.keepalive_time_ms", 30_000)]

LIVE_SOCKET_OPTIONS: dict[str, Any] = {
    # Live servers answer pings up to 30 s late; the websocket library would hang up after 20 s (facts/live#keepalive).
    "ping_interval": 30.0,
    "ping_timeout": 60.0,
    # A hand-over waits for the old socket to be closed (facts/live#lifetime): a server that never says goodbye must not
    # hold it.
    "close_timeout": 1.0,
    "max_size": 16 * 1024 * 1024,
}
"""Settings of the Live websocket; google-genai hands them from its HTTP options to ``websockets.connect``."""


@dataclass(frozen=True)
class CloudAccess:
    """Credentials of a Google Cloud project.

    Parameters:
        credentials: What authenticates calls.
        project: The project that is billed, also part of the recognizer path (facts/stt#requests).
    """

    credentials: Credentials
    project: str


def cloud_access(host_variable: str) -> CloudAccess:
    """Find the credentials for one Cloud API.

    Args:
        host_variable: Environment variable that names an emulator of that API; set, it makes credentials needless.

    Returns:
        Anonymous access where the variable is set, else application default credentials and their project.

    Raises:
        ConfigurationError: If there are no credentials, or they name no project.
    """
    if os.environ.get(host_variable):
        return CloudAccess(AnonymousCredentials(), os.environ.get("GOOGLE_CLOUD_PROJECT", EMULATOR_PROJECT))
    try:
        credentials, project = default_credentials(scopes=[_CLOUD_SCOPE])
    except GoogleAuthError as error:
        raise ConfigurationError(f"No Google Cloud credentials were found: {_CREDENTIALS_REMEDY}.") from error
    project = os.environ.get("GOOGLE_CLOUD_PROJECT") or project
    if not project:
        raise ConfigurationError(
            "The Google Cloud credentials name no project: set GOOGLE_CLOUD_PROJECT, "
            "or run `gcloud config set project PROJECT`."
        )
    return CloudAccess(credentials, project)


def speech_client(location: str = "global") -> tuple[speech_v2.SpeechAsyncClient, str]:
    """Make a Speech-to-Text v2 client. Must be called with the event loop running.

    Args:
        location: Google Cloud location; decides the host, which must agree with the recognizer path
            (facts/stt#requests).

    Returns:
        The client, and the project for its recognizer paths.

    Raises:
        ConfigurationError: If there are no usable credentials.
    """
    access = cloud_access(SPEECH_EMULATOR_HOST)
    if host := os.environ.get(SPEECH_EMULATOR_HOST):
        channel = grpc.aio.insecure_channel(host, options=_CHANNEL_OPTIONS)
        return speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel)), access.project
    endpoint = "speech.googleapis.com" if location == "global" else f"{location}-speech.googleapis.com"
    options = ClientOptions(api_endpoint=endpoint)
    return speech_v2.SpeechAsyncClient(credentials=access.credentials, client_options=options), access.project


def texttospeech_client(location: str | None = None) -> texttospeech_v1.TextToSpeechAsyncClient:
    """Make a Text-to-Speech v1 client. Must be called with the event loop running.

    Args:
        location: Region of the endpoint, or None for the global one (facts/tts#locations).

    Returns:
        The client.

    Raises:
        ConfigurationError: If there are no usable credentials.
    """
    access = cloud_access(TEXTTOSPEECH_EMULATOR_HOST)
    if host := os.environ.get(TEXTTOSPEECH_EMULATOR_HOST):
        channel = grpc.aio.insecure_channel(host, options=_CHANNEL_OPTIONS)
        return texttospeech_v1.TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel))
    in_region = location and location != "global"
    endpoint = f"{location}-texttospeech.googleapis.com" if in_region else "texttospeech.googleapis.com"
    options = ClientOptions(api_endpoint=endpoint)
    return texttospeech_v1.TextToSpeechAsyncClient(credentials=access.credentials, client_options=options)


def gemini_client() -> genai.Client:
    """Make a google-genai client from google-genai's own environment names.

    Returns:
        A client of the Developer API (``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``), or of Vertex AI
        (``GOOGLE_GENAI_USE_VERTEXAI`` with ``GOOGLE_CLOUD_PROJECT`` and ``GOOGLE_CLOUD_LOCATION``).

    Raises:
        ConfigurationError: If neither is set up.
    """
    try:
        return genai.Client(http_options=types.HttpOptions(async_client_args=dict(LIVE_SOCKET_OPTIONS)))
    except (ValueError, GoogleAuthError) as error:
        raise ConfigurationError(
            "No Gemini access was found: set GOOGLE_API_KEY, or GOOGLE_GENAI_USE_VERTEXAI=true with "
            "GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION, or talk to the emulator with `--backend emulator`."
        ) from error
