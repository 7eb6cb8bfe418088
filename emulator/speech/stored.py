"""What is alike for all resources that Speech-to-Text stores, of whatever version."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc

from halfcascade.emulator.actions import RequestError

_MOST = 10_000
_PAGE = 100


def check_free(stored: Mapping[str, Any], kind: str, name: str) -> None:
    """Check that another resource can be stored.

    Args:
        stored: What is stored already.
        kind: Such as ``PhraseSet``.
        name: Of the new one.

    Raises:
        RequestError: If there is one of that name, or no room.
    """
    if name in stored:
        raise RequestError(grpc.StatusCode.ALREADY_EXISTS, f"{kind} {name} already exists.")
    if len(stored) >= _MOST:
        raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, f"There are {_MOST} of them already.")


def fill_page(request: Any, response: Any, found: Sequence[Any], read: Callable[[Any], Any] = lambda item: item) -> Any:
    """Fill a response with what one page of a listing holds.

    Args:
        request: Says which page, and how much it holds.
        response: Has a field for the resources, and one for what asks for the next page.
        found: All that is listed.
        read: Gives a resource for one of them; as it is unless told.

    Returns:
        The response.
    """
    start = int(request.page_token) if request.page_token.isdecimal() else 0
    end = start + (request.page_size or _PAGE)
    field = next(item.name for item in response.DESCRIPTOR.fields if item.name != "next_page_token")
    getattr(response, field).extend(map(read, found[start:end]))
    response.next_page_token = str(end) if end < len(found) else ""
    return response
