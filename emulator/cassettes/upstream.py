"""Where recorded calls go, and as whom: Google's hosts, or the servers that the usual variables name.

What a client sends as its key or token goes on as it is, unless it is the placeholder that every emulator tells its
clients to use: in its place come the keys of the recorder's own environment.
"""

import asyncio
import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.listening import PLACEHOLDER_KEY

_SPEECH, _TTS, _GEMINI = "speech.googleapis.com", "texttospeech.googleapis.com", "generativelanguage.googleapis.com"
_VERTEX = "aiplatform.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_TOKEN_SECS = 20.0
_LOCATION = re.compile(r"projects(?:/|%2F)[^/%&]+(?:/|%2F)locations(?:/|%2F)([\w-]+)", re.IGNORECASE)
_REST = (
    (re.compile(r"/+v\w+/(text:|voices)|:synthesizeLongAudio$"), _TTS),
    (re.compile(r"/+v\w+/(speech:|operations)|/(recognizers|phraseSets|customClasses|config)\b"), _SPEECH),
    (re.compile(r"google\.cloud\.aiplatform|/publishers/"), _VERTEX),
)
_HERE = ("127.0.0.1", "localhost", "::1")
_GRPC_VARIABLES = {_SPEECH: "SPEECH_EMULATOR_HOST", _TTS: "TEXTTOSPEECH_EMULATOR_HOST"}


@dataclass(frozen=True)
class Target:
    """Where a call goes.

    Parameters:
        host: Google's name of the service, without a region.
        address: ``host:port`` to connect to.
        tls: Whether over TLS.
        path_prefix: In front of the path, where a base URL has one.
    """

    host: str
    address: str
    tls: bool
    path_prefix: str = ""

    @property
    def is_google(self) -> bool:
        """Whether it is Google's own."""
        return self.address.partition(":")[0].endswith(".googleapis.com")


def may_borrow(headers: Mapping[str, str]) -> bool:
    """Tell whether a request may be sent on with the recorder's keys: programs here may, web pages from elsewhere not.

    Args:
        headers: Of the request, by name in lower case.
    """
    names = [_host_of(f"//{headers.get('host', '')}")]
    if origin := headers.get("origin"):
        names.append(_host_of(origin))
    return all(name in _HERE or name.endswith(".googleapis.com") for name in names)


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


class Upstream:
    """Finds targets and credentials.

    Parameters:
        environment: Variables; None = this process's.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._credentials: Any = None
        self._lock = asyncio.Lock()

    def grpc_target(self, path: str, metadata: Mapping[str, str]) -> Target:
        """Find where a gRPC call goes.

        Args:
            path: Of the call.
            metadata: Of the call: it names the location.
        """
        host = _TTS if ".texttospeech." in path else _SPEECH
        if address := self._environment.get(_GRPC_VARIABLES[host]):
            return Target(host, address, tls=False)
        return Target(host, f"{_regional(host, metadata.get('x-goog-request-params', ''))}:443", tls=True)

    def http_target(self, path: str) -> Target:
        """Find where an HTTP request or a websocket goes.

        Args:
            path: Of the request.
        """
        host = next((host for pattern, host in _REST if pattern.search(path)), _GEMINI)
        variable = "GOOGLE_VERTEX_BASE_URL" if host == _VERTEX else "GOOGLE_GEMINI_BASE_URL"
        if base := self._environment.get(variable):
            parts = urlsplit(base)
            return Target(host, parts.netloc, tls=parts.scheme != "http", path_prefix=parts.path.rstrip("/"))
        place = path if host != _VERTEX or _LOCATION.search(path) else self._vertex_place()
        return Target(host, _regional(host, place), tls=True)

    def tls(self) -> ssl.SSLContext:
        """Make the TLS settings for a target."""
        return ssl.create_default_context(cafile=self.bundle())

    def bundle(self) -> str:
        """Name the file of trusted roots."""
        import certifi

        return self._environment.get("SSL_CERT_FILE") or certifi.where()

    def api_key(self, given: str) -> str:
        """Choose the API key.

        Args:
            given: What the client sent.
        """
        if given and given != PLACEHOLDER_KEY:
            return given
        own = self._environment.get("GEMINI_API_KEY") or self._environment.get("GOOGLE_API_KEY")
        return own or given

    async def authorization(self, target: Target, given: str) -> str:
        """Choose the ``Authorization`` header, or "".

        Args:
            target: Where the call goes.
            given: What the client sent.

        Raises:
            EmulatorError: If there are no credentials, or they cannot be refreshed.
        """
        if given and given.partition(" ")[2] != PLACEHOLDER_KEY:
            return given
        if not target.is_google or target.host == _GEMINI:
            return given if not target.is_google else ""
        async with self._lock:
            try:
                async with asyncio.timeout(_TOKEN_SECS):
                    return f"Bearer {await asyncio.to_thread(self._token)}"
            except TimeoutError:
                raise EmulatorError(f"Google gave no access token within {_TOKEN_SECS:.0f} s.") from None

    def _token(self) -> str:
        import google.auth
        from google.auth.exceptions import GoogleAuthError
        from google.auth.transport.requests import Request

        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=[_SCOPE])
            if not self._credentials.valid:
                self._credentials.refresh(Request())
        except GoogleAuthError as error:
            raise EmulatorError(
                f"There are no credentials for Google ({str(error).splitlines()[0]}): run `gcloud auth "
                "application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
            ) from error
        return str(self._credentials.token)

    def _vertex_place(self) -> str:
        return f"projects/-/locations/{self._environment.get('GOOGLE_CLOUD_LOCATION', 'us-central1')}"


def _regional(host: str, place: str) -> str:
    """Name the host that serves a location."""
    match = _LOCATION.search(place)
    return f"{match[1]}-{host}" if match and match[1] != "global" else host
