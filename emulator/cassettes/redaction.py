"""What must not stay in a recording: keys, tokens, private keys, and handles that open a session.

Headers stay only if they are known to hold nothing secret. Everything else is searched for the secrets that the call
came with, for what looks like one, and for fields that hold one by their name.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from halfcascade.emulator.listening import PLACEHOLDER_KEY

REMOVED = "REMOVED"
_KEPT_HEADERS = {
    "accept",
    "content-type",
    "grpc-encoding",
    "grpc-timeout",
    "retry-after",
    "user-agent",
    "x-goog-api-client",
    "x-goog-request-params",
}
_SECRET_HEADERS = ("authorization", "x-goog-api-key", "cookie", "proxy-authorization", "x-goog-iam-authorization-token")
_SECRET_QUERY = {"key", "access_token", "token", "auth", "oauth_token", "api_key", "apikey"}
_SECRET_FIELD = re.compile(
    r"(api_?key|(access|refresh|id|oauth|bearer)_?token|client_?secret|private_?key(_?id)?|password|passwd|"
    r"authorization|assertion|cookie|credentials?)",
    re.IGNORECASE,
)
_HANDLES = {"handle", "newHandle", "new_handle"}
# The neighbours keep what only happens to stand inside base64 audio as it is; line ends may be escaped.
_EDGE, _END = r"(?:(?<![\w+/-])|(?<=\\[nrt]))", r"(?![\w+/-])"
_PATTERNS = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        rf"{_EDGE}AIza[\w-]{{30,45}}{_END}",
        rf"{_EDGE}AQ\.[\w-]{{20,}}",
        rf"{_EDGE}ya29\.[\w.-]{{10,}}",
        rf"{_EDGE}1//0[\w-]{{20,}}",
        rf"{_EDGE}GOCSPX-[\w-]{{20,}}",
        rf"{_EDGE}eyJ[\w-]{{10,}}\.[\w-]{{10,}}\.[\w-]+",
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    )
)
_BEARER = re.compile(r"\b(Bearer|Token|Basic)\s+[\w.~+/=-]{8,}")
_IN_URL = re.compile(rf"([?&](?:{'|'.join(sorted(_SECRET_QUERY))})=)[^&\s\"'#]+", re.IGNORECASE)
_IN_JSON = re.compile(rf'("{_SECRET_FIELD.pattern}"\s*:\s*")(?:[^"\\]|\\.)*', re.IGNORECASE)
_EPHEMERAL = re.compile(r"auth_tokens/[\w.~-]+")
# What the emulators' clients are told to use for a key, as it is or as a bearer's: a word that stands in other places.
_NO_SECRETS = {PLACEHOLDER_KEY, f"Bearer {PLACEHOLDER_KEY}"}
# Shorter ones would be found in words.
_SHORTEST = 6


class Redactor:
    """Removes secrets from one recording; what stands for a handle or an ephemeral token is the same everywhere in it.

    Parameters:
        secrets: Known ones.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._names: dict[str, str] = {}
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Note further secrets, to be removed wherever they stand."""
        known = (secret for secret in secrets if len(secret) >= _SHORTEST and secret not in _NO_SECRETS)
        self._secrets.update(known)

    def learn_from(self, headers: Mapping[str, str], query: Iterable[tuple[str, str]] = ()) -> None:
        """Note the secrets that a request's head holds.

        Args:
            headers: By name in lower case.
            query: Names and values of the URL.
        """
        for name in _SECRET_HEADERS:
            if value := headers.get(name):
                self.learn(value, value.partition(" ")[2])
        self.learn(*(value for name, value in query if name.lower() in _SECRET_QUERY))

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Keep what may be told."""
        return {name: self.text(value) for name, value in headers.items() if name.lower() in _KEPT_HEADERS}

    def query(self, query: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Keep names, and the values that may be told."""
        return [(name, REMOVED if name.lower() in _SECRET_QUERY else self.text(value)) for name, value in query]

    def text(self, text: str) -> str:
        """Remove secrets from a text."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, REMOVED)
        for pattern in _PATTERNS:
            text = pattern.sub(REMOVED, text)
        text = _BEARER.sub(rf"\1 {REMOVED}", text)
        text = _IN_URL.sub(rf"\1{REMOVED}", text)
        text = _IN_JSON.sub(rf"\1{REMOVED}", text)
        return _EPHEMERAL.sub(lambda match: f"auth_tokens/{self._name('token', match[0])}", text)

    def data(self, data: bytes) -> bytes:
        """Remove secrets from bytes that nobody can read; their length stays, so that fields behind stay in place."""
        for secret in self._secrets:
            data = data.replace(secret.encode(), b"x" * len(secret.encode()))
        for pattern in _PATTERNS:
            data = re.sub(pattern.pattern.encode(), lambda match: b"x" * len(match[0]), data, flags=re.DOTALL)
        return data

    def value(self, value: Any) -> Any:
        """Remove secrets from parsed JSON."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {self.text(str(name)): self._field(str(name), item) for name, item in value.items()}
        return value

    def _field(self, name: str, value: Any) -> Any:
        if name in _HANDLES and isinstance(value, str) and value:
            return self._name("handle", value)
        if _SECRET_FIELD.fullmatch(name) and isinstance(value, str):
            return REMOVED
        return self.value(value)

    def _name(self, kind: str, secret: str) -> str:
        if secret in self._names.values():
            return secret
        if secret not in self._names:
            count = sum(name.startswith(f"{kind}-") for name in self._names.values())
            self._names[secret] = f"{kind}-{count + 1}"
        return self._names[secret]
