"""Where the clients of Google's three services come from: Google itself, or servers named by the environment.

``SPEECH_EMULATOR_HOST`` and ``TEXTTOSPEECH_EMULATOR_HOST`` (``host:port``) lead to plaintext gRPC servers with
anonymous credentials, after the custom of Google's own emulators. google-genai reads ``GOOGLE_GEMINI_BASE_URL`` itself.

Each function takes the variables to go by as ``environ``, so that two talks in one process may lead to different
servers.
"""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import certifi
import grpc
from google import genai
from google.auth.credentials import AnonymousCredentials, Credentials
from google.auth.exceptions import GoogleAuthError
from google.cloud import speech_v2, texttospeech_v1
from google.cloud.speech_v2.services.speech.transports import SpeechGrpcAsyncIOTransport
from google.cloud.texttospeech_v1.services.text_to_speech.transports import TextToSpeechGrpcAsyncIOTransport
from google.genai import types

from halfcascade.processors.credentials import find_credentials
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.live_socket import LIVE_SOCKET_OPTIONS

SPEECH_EMULATOR_HOST = "SPEECH_EMULATOR_HOST"
TEXTTOSPEECH_EMULATOR_HOST = "TEXTTOSPEECH_EMULATOR_HOST"
GEMINI_BASE_URL = "GOOGLE_GEMINI_BASE_URL"
EMULATOR_PROJECT = "emulator"

CHANNEL_OPTIONS = [
    # gRPC's own default caps messages at 4 MiB; a minute of 24 kHz audio is 2.9 MB, so the cap is lifted.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    # A connection that has gone mute (another network, a firewall that forgot it) is noticed by itself, too.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Channels share connections otherwise, and a channel made anew because its connection is suspect would get it back.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # It is how long an attempt may take: TCP, TLS and HTTP/2 are four ways there and back. Those that hang are not
    # waited for, since CloudChannel makes others beside them.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
"""Of the gRPC channels of ears and voice."""


@dataclass(frozen=True)
class CloudAccess:
    """Credentials of a Google Cloud project.

    Parameters:
        credentials: What authenticates calls.
        project: The project that is billed, also part of the recognizer path (facts/stt#requests).
    """

    credentials: Credentials
    project: str


def cloud_access(host_variable: str, environ: Mapping[str, str] | None = None) -> CloudAccess:
    """Find the credentials for one Cloud API.

    Args:
        host_variable: Environment variable that names an emulator of that API; set, it makes credentials needless.
        environ: The variables; None means this process's.

    Returns:
        Anonymous access where the variable is set, else application default credentials and their project.

    Raises:
        ConfigurationError: If there are no credentials, or they name no project.
    """
    variables = os.environ if environ is None else environ
    if variables.get(host_variable):
        return CloudAccess(AnonymousCredentials(), variables.get("GOOGLE_CLOUD_PROJECT", EMULATOR_PROJECT))
    credentials, project = find_credentials()
    project = variables.get("GOOGLE_CLOUD_PROJECT") or project
    if not project:
        raise ConfigurationError(
            "The Google Cloud credentials name no project: set GOOGLE_CLOUD_PROJECT, "
            "or run `gcloud config set project PROJECT`."
        )
    return CloudAccess(credentials, project)


def speech_client(
    location: str = "global", environ: Mapping[str, str] | None = None
) -> tuple[speech_v2.SpeechAsyncClient, str]:
    """Make a Speech-to-Text v2 client. Must be called with the event loop running.

    Args:
        location: Google Cloud location; decides the host, which must agree with the recognizer path
            (facts/stt#requests).
        environ: The variables; None means this process's.

    Returns:
        The client, and the project for its recognizer paths.

    Raises:
        ConfigurationError: If there are no usable credentials.
    """
    access = cloud_access(SPEECH_EMULATOR_HOST, environ)
    if host := (os.environ if environ is None else environ).get(SPEECH_EMULATOR_HOST):
        channel = _plain_channel(host)
        return speech_v2.SpeechAsyncClient(transport=SpeechGrpcAsyncIOTransport(channel=channel)), access.project
    endpoint = "speech.googleapis.com" if location == "global" else f"{location}-speech.googleapis.com"
    channel = SpeechGrpcAsyncIOTransport.create_channel(endpoint, access.credentials, options=CHANNEL_OPTIONS)
    transport = SpeechGrpcAsyncIOTransport(channel=channel, host=endpoint)
    return speech_v2.SpeechAsyncClient(transport=transport), access.project


def texttospeech_client(
    location: str | None = None, environ: Mapping[str, str] | None = None
) -> texttospeech_v1.TextToSpeechAsyncClient:
    """Make a Text-to-Speech v1 client. Must be called with the event loop running.

    Args:
        location: Region of the endpoint, or None for the global one (facts/tts#locations).
        environ: The variables; None means this process's.

    Returns:
        The client.

    Raises:
        ConfigurationError: If there are no usable credentials.
    """
    access = cloud_access(TEXTTOSPEECH_EMULATOR_HOST, environ)
    if host := (os.environ if environ is None else environ).get(TEXTTOSPEECH_EMULATOR_HOST):
        channel = _plain_channel(host)
        return texttospeech_v1.TextToSpeechAsyncClient(transport=TextToSpeechGrpcAsyncIOTransport(channel=channel))
    in_region = location and location != "global"
    endpoint = f"{location}-texttospeech.googleapis.com" if in_region else "texttospeech.googleapis.com"
    channel = TextToSpeechGrpcAsyncIOTransport.create_channel(endpoint, access.credentials, options=CHANNEL_OPTIONS)
    transport = TextToSpeechGrpcAsyncIOTransport(channel=channel, host=endpoint)
    return texttospeech_v1.TextToSpeechAsyncClient(transport=transport)


def _plain_channel(host: str) -> grpc.aio.Channel:
    """Make a channel to a stand-in of Google's; no proxy leads to one on this machine."""
    direct = [("grpc.enable_http_proxy", 0)] if _is_here(urlsplit(f"//{host}").hostname) else []
    return grpc.aio.insecure_channel(host, options=[*CHANNEL_OPTIONS, *direct])


def _is_here(host: str | None) -> bool:
    return host == "localhost" or (host or "").startswith("127.") or host == "::1"


def gemini_client(environ: Mapping[str, str] | None = None) -> genai.Client:
    """Make a google-genai client from google-genai's own environment names.

    Args:
        environ: The variables; None leaves it to google-genai to read this process's.

    Returns:
        A client of the Developer API (``GOOGLE_API_KEY`` or ``GEMINI_API_KEY``), or of Vertex AI
        (``GOOGLE_GENAI_USE_VERTEXAI`` with ``GOOGLE_CLOUD_PROJECT`` and ``GOOGLE_CLOUD_LOCATION``).

    Raises:
        ConfigurationError: If neither is set up.
    """
    variables = os.environ if environ is None else environ
    if wants_vertex(variables) and not variables.get(GEMINI_BASE_URL):
        find_credentials()  # google-genai would say less of what is wrong with them
    given: dict[str, Any] = {} if environ is None else _gemini_arguments(environ)
    trusted: dict[str, Any] = {}
    if variables.get("SSL_CERT_FILE") or not wants_vertex(variables):
        # On Vertex AI google-genai may present a certificate of its own, from elsewhere.
        context = _trusting(variables)
        trusted = {"verify": context, "ssl": context}
    direct: dict[str, Any] = {}
    if _is_here(urlsplit(variables.get(GEMINI_BASE_URL, "")).hostname):
        # Named proxies lead elsewhere, and some need a package that is not there.
        direct = {"trust_env": False, "proxy": None}
    client_args = direct | ({"verify": trusted["verify"]} if trusted else {})
    options = types.HttpOptions(
        client_args=client_args or None,
        async_client_args={**LIVE_SOCKET_OPTIONS, **trusted, **direct},
        base_url=given.pop("base_url", None),
    )
    try:
        return genai.Client(http_options=options, **given)
    except ImportError as error:  # httpx, of a SOCKS proxy
        raise ConfigurationError(
            "The environment names a SOCKS proxy, which needs a package: pip install 'httpx[socks]', "
            "or unset ALL_PROXY."
        ) from error
    except (ValueError, GoogleAuthError) as error:
        raise ConfigurationError(
            "No Gemini access was found: set GOOGLE_API_KEY, or GOOGLE_GENAI_USE_VERTEXAI=true with "
            "GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION, or talk to the emulator with `--backend emulator`."
        ) from error


def _trusting(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Whom to trust, after the variables that google-genai reads.

    Made once: google-genai makes three for each client, and event loops stand still for 50 ms each time.
    """
    authority = environ.get("SSL_CERT_FILE") or certifi.where()
    path = Path(authority)
    return _context(authority, environ.get("SSL_CERT_DIR"), path.stat().st_mtime_ns if path.exists() else 0)


@cache
def _context(authority: str, folder: str | None, changed: int) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority, capath=folder)
    except OSError as error:
        raise ConfigurationError(
            f"SSL_CERT_FILE names {authority}, which holds no certificates ({error.strerror or error}): "
            "correct it, or unset it."
        ) from error


def wants_vertex(environ: Mapping[str, str]) -> bool:
    """Whether Gemini is asked for through Vertex AI.

    Args:
        environ: The variables.
    """
    return environ.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in ("1", "true")


def _gemini_arguments(environ: Mapping[str, str]) -> dict[str, Any]:
    """What google-genai would have read from these variables, as arguments."""
    vertex = wants_vertex(environ)
    arguments: dict[str, Any] = {"vertexai": vertex, "base_url": environ.get(GEMINI_BASE_URL)}
    if vertex:
        arguments |= {"project": environ.get("GOOGLE_CLOUD_PROJECT"), "location": environ.get("GOOGLE_CLOUD_LOCATION")}
    else:
        arguments["api_key"] = environ.get("GOOGLE_API_KEY") or environ.get("GEMINI_API_KEY")
    return arguments
