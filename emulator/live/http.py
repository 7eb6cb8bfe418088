"""What the Live port answers to plain HTTPS: ``models.get`` and ``models.list`` of the Developer API, and errors."""

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from halfcascade.emulator.live.errors import Refusal, bad_api_key, no_api_key
from halfcascade.emulator.live.models import MODELS, LiveModel, Surface

# Base URLs may end in a slash, so that paths begin with two.
_DEVELOPER = re.compile(
    r"/+ws/google\.ai\.generativelanguage\.(v1beta|v1alpha)\.GenerativeService\.BidiGenerateContent(Constrained)?"
)
_VERTEX = re.compile(r"/+ws/google\.cloud\.aiplatform\.(v1|v1beta1)\.LlmBidiService/BidiGenerateContent")
_MODELS = re.compile(r"/+(v1beta|v1alpha)/models(?:/([^/:]+))?")


@dataclass(frozen=True)
class Endpoint:
    """A websocket path.

    Parameters:
        surface: Which API.
        version: Its version.
        constrained: Whether it is the one for ephemeral tokens.
    """

    surface: Surface
    version: str
    constrained: bool = False


def endpoint(path: str) -> Endpoint | None:
    """Read a websocket request's path, or give None if it is no Live path (facts/live#endpoints)."""
    plain = _plain(path)
    if match := _DEVELOPER.fullmatch(plain):
        return Endpoint("developer", match[1], constrained=bool(match[2]))
    if match := _VERTEX.fullmatch(plain):
        return Endpoint("vertex", match[1])
    return None


def check_caller(request: Request, where: Endpoint, api_key: str | None) -> Refusal | None:
    """Check who calls (facts/live#endpoints).

    Args:
        request: The opening request; the key is in a header (SDK) or in the query (raw clients).
        where: Which endpoint.
        api_key: The one key that is good; None = any.

    Returns:
        What the caller is refused with, or None.
    """
    authorization = request.headers.get("Authorization", "")
    if where.surface == "vertex":
        known = authorization.startswith("Bearer ") or bool(_given_key(request))
        return None if known else no_api_key()
    if where.constrained:
        return None if authorization.startswith("Token ") or "access_token=" in request.path else no_api_key()
    key = _given_key(request)
    if not key:
        return no_api_key()
    return bad_api_key() if api_key is not None and key != api_key else None


def answer(request: Request, api_key: str | None) -> Response:
    """Answer a request that opens no websocket.

    Args:
        request: A GET request.
        api_key: The one key that is good; None = any.

    Returns:
        JSON of a model, of all models, or an error.
    """
    match = _MODELS.fullmatch(_plain(request.path))
    if match is None:
        return _error(HTTPStatus.NOT_FOUND, "NOT_FOUND", "The requested URL was not found on this server.")
    key = _given_key(request)
    if not key:
        return _error(HTTPStatus.FORBIDDEN, "PERMISSION_DENIED", no_api_key().reason)
    if api_key is not None and key != api_key:
        return _error(HTTPStatus.BAD_REQUEST, "INVALID_ARGUMENT", bad_api_key().reason, _INVALID_KEY)
    rows = [_model(row) for row in MODELS.values() if "developer" in row.surfaces]
    if match[2] is None:
        return _json(HTTPStatus.OK, {"models": rows})
    name = f"models/{match[2]}"
    row = next((row for row in rows if row["name"] == name), None)
    if row is None:
        reason = f"{name} is not found for API version {match[1]}, or is not supported for generateContent."
        return _error(HTTPStatus.NOT_FOUND, "NOT_FOUND", reason)
    return _json(HTTPStatus.OK, row)


_INVALID_KEY = {
    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
    "reason": "API_KEY_INVALID",
    "domain": "googleapis.com",
    "metadata": {"service": "generativelanguage.googleapis.com"},
}


def _plain(path: str) -> str:
    # Not urlsplit: it takes what follows two slashes for a host.
    return path.partition("?")[0]


def _given_key(request: Request) -> str:
    query = parse_qs(request.path.partition("?")[2])
    return request.headers.get("x-goog-api-key") or query.get("key", [""])[0]


def _model(row: LiveModel) -> dict[str, Any]:
    return {
        "name": f"models/{row.name}",
        "version": row.name,
        "displayName": row.name,
        "inputTokenLimit": row.input_tokens,
        "outputTokenLimit": row.output_tokens,
        "supportedGenerationMethods": ["bidiGenerateContent"],
    }


def _error(status: HTTPStatus, name: str, message: str, *details: dict[str, Any]) -> Response:
    error: dict[str, Any] = {"code": status.value, "message": message, "status": name}
    if details:
        error["details"] = list(details)
    return _json(status, {"error": error})


def _json(status: HTTPStatus, value: dict[str, Any]) -> Response:
    body = json.dumps(value).encode()
    headers = Headers(
        {"Content-Type": "application/json; charset=UTF-8", "Content-Length": str(len(body)), "Connection": "close"}
    )
    return Response(status.value, status.phrase, headers, body)
