"""What a protocol machine tells its shell to do."""

from dataclasses import dataclass
from typing import Any

import grpc


@dataclass(frozen=True)
class Send:
    """Send a response.

    Parameters:
        message: A protobuf message.
    """

    message: Any


@dataclass(frozen=True)
class Abort:
    """End the call with an error.

    Parameters:
        code: gRPC status.
        text: Error text for the client.
    """

    code: grpc.StatusCode
    text: str


@dataclass(frozen=True)
class End:
    """End the call normally."""


@dataclass(frozen=True)
class Begin:
    """Begin a stream of the mind.

    Parameters:
        request: ``RecognitionRequest`` or ``SynthesisRequest``.
    """

    request: Any


@dataclass(frozen=True)
class Feed:
    """Hand input to the mind's stream.

    Parameters:
        data: PCM for a listener, text for a speaker.
    """

    data: Any


@dataclass(frozen=True)
class Finish:
    """Tell the mind's stream that no more input comes."""


Action = Send | Abort | End | Begin | Feed | Finish


class RequestError(Exception):
    """A request that the API refuses.

    Parameters:
        code: gRPC status.
        text: Error text for the client.
    """

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def invalid(text: str) -> RequestError:
    """Make the error of an invalid argument (HTTP 400)."""
    return RequestError(grpc.StatusCode.INVALID_ARGUMENT, text)


def exhausted() -> RequestError:
    """Make the error of a used-up quota (HTTP 429)."""
    return RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Resource has been exhausted (e.g. check quota).")
