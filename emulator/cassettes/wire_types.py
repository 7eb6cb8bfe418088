"""Which protocol buffers travel in a gRPC call, so that they can be written down as JSON and made again."""

import functools
import importlib
import re
from typing import Any, Literal

from google.protobuf import json_format
from google.protobuf.message import DecodeError

_PATH = re.compile(r"/(google\.cloud\.(?:speech|texttospeech))\.(v\w+)\.\w+/(\w+)")


@functools.cache
def message_type(path: str, direction: Literal["Request", "Response"]) -> Any:
    """Find the protobuf class of one direction.

    Args:
        path: Such as ``/google.cloud.speech.v2.Speech/Recognize``.
        direction: Whose message.

    Returns:
        The class, or None where it has no name of its own, as operations and resources.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    try:
        types = importlib.import_module(f"{match[1]}_{match[2]}.types")
    except ImportError:
        return None
    kind = getattr(types, f"{match[3]}{direction}", None)
    return kind.pb() if kind is not None else None


def to_json(kind: Any, data: bytes) -> Any:
    """Write a message as JSON, or None if it is none of that kind."""
    try:
        return json_format.MessageToDict(kind.FromString(data))
    except (DecodeError, TypeError, ValueError):
        return None


def to_bytes(kind: Any, value: Any) -> bytes:
    """Make a message of its JSON; fields that this version does not know are left out."""
    data: bytes = json_format.ParseDict(value, kind(), ignore_unknown_fields=True).SerializeToString()
    return data
