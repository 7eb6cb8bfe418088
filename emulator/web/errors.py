"""Errors as Google's HTTP APIs write them."""

from typing import Any

import grpc

# google.rpc.Code and the HTTP status that stands for it (google/rpc/code.proto).
HTTP_STATUS = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "UNAUTHENTICATED": 401,
}

BAD_KEY = "API key not valid. Please pass a valid API key."
NO_KEY = "Method doesn't allow unregistered callers (callers without established identity). Please use API Key."


class ApiError(Exception):
    """A request that an HTTP API refuses.

    Parameters:
        code: Name of the gRPC code.
        message: Text for the client.
        details: Of the error object.
        status: HTTP status; None = the one that stands for the code.
    """

    def __init__(self, code: str, message: str, *details: dict[str, Any], status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details
        self.status = status or HTTP_STATUS[code]

    def body(self) -> dict[str, Any]:
        """Write the answer's JSON."""
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": self.code}
        if self.details:
            error["details"] = list(self.details)
        return {"error": error}


def invalid(message: str) -> ApiError:
    """Make the error of an invalid argument."""
    return ApiError("INVALID_ARGUMENT", message)


def not_found(message: str = "The requested URL was not found on this server.") -> ApiError:
    """Make the error of a path or thing that is not there."""
    return ApiError("NOT_FOUND", message)


def unsupported(message: str) -> ApiError:
    """Make the error of what Google has and the emulator has not."""
    return ApiError("UNIMPLEMENTED", message)


def bad_key(service: str) -> ApiError:
    """Make the error of a wrong API key.

    Args:
        service: Host name of the API.
    """
    return ApiError(
        "INVALID_ARGUMENT",
        BAD_KEY,
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": {"service": service},
        },
    )


def from_grpc(code: grpc.StatusCode, message: str) -> ApiError:
    """Write a gRPC error as HTTP says it."""
    return ApiError(code.name, message)
