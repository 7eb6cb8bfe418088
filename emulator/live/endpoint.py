"""The paths of Gemini Live, and who may call them (facts/live#endpoints)."""

import re
from dataclasses import dataclass

from halfcascade.emulator.live.errors import Refusal, bad_api_key, no_api_key
from halfcascade.emulator.live.models import Surface
from halfcascade.emulator.web.caller import Caller
from halfcascade.emulator.web.versions import Version, find_version

# Base URLs may end in a slash, so that paths begin with two.
_DEVELOPER = re.compile(
    r"/+ws/google\.ai\.generativelanguage\.(\w+)\.GenerativeService\.BidiGenerateContent(Constrained)?"
)
_VERTEX = re.compile(r"/+ws/google\.cloud\.aiplatform\.(\w+)\.LlmBidiService/BidiGenerateContent")


@dataclass(frozen=True)
class Endpoint:
    """A websocket path.

    Parameters:
        surface: Which API.
        version: What serves its version.
        name: The version's name as the client wrote it.
        constrained: Whether it is the one for ephemeral tokens.
    """

    surface: Surface
    version: Version
    name: str
    constrained: bool = False


def endpoint(path: str) -> Endpoint | None:
    """Read a websocket request's path, or give None if it is no Live path."""
    if match := _DEVELOPER.fullmatch(path):
        version = find_version("gemini", match[1])
        return Endpoint("developer", version, match[1], constrained=bool(match[2])) if version else None
    if match := _VERTEX.fullmatch(path):
        version = find_version("vertex", match[1])
        return Endpoint("vertex", version, match[1]) if version else None
    return None


def check_caller(caller: Caller, where: Endpoint, api_key: str | None) -> Refusal | None:
    """Check who calls.

    Args:
        caller: Head of the opening request.
        where: Which endpoint.
        api_key: The one key that is good; None = any.

    Returns:
        What the caller is refused with, or None.
    """
    if where.surface == "vertex":
        return None if caller.bearer or caller.api_key else no_api_key()
    if where.constrained:
        return None if caller.ephemeral_token else no_api_key()
    if not caller.api_key:
        return no_api_key()
    return bad_api_key() if api_key is not None and caller.api_key != api_key else None
