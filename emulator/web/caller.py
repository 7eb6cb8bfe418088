"""Who sends a request, and what its head says."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs


@dataclass(frozen=True)
class Caller:
    """The head of an HTTP request or of a websocket's opening one.

    Parameters:
        path: Without the query.
        query: Its first value by name.
        headers: By name in lower case.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def api_key(self) -> str:
        """The API key, from the header (SDKs) or the query (raw clients), or ""."""
        return self.headers.get("x-goog-api-key") or self.query.get("key", "")

    @property
    def bearer(self) -> bool:
        """Whether an OAuth token is given."""
        return self.headers.get("authorization", "").startswith("Bearer ") or "access_token" in self.query

    @property
    def ephemeral_token(self) -> str:
        """Name of the ephemeral token, from the header (Python), or the query (JavaScript), or ""."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Token" else self.query.get("access_token", "")


def caller_of(scope: Mapping[str, Any]) -> Caller:
    """Read the head out of an ASGI scope."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
    return Caller(
        scope["path"],
        {name: values[0] for name, values in query.items()},
        {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers},
    )
