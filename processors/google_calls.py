"""What Google's services have in common besides their errors: how they are probed, and how bad a problem is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from google.api_core import exceptions as google_exceptions
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_errors import GoogleService, ProblemKind, google_problem

_Answer = TypeVar("_Answer")
_MASKED_TRIES = 3

PROBE_SECS = 12.0
"""How long a probe may take, in seconds."""


@dataclass(frozen=True)
class Probe:
    """A service that works.

    Parameters:
        line: What was found, for a person.
        secs: How long it took to begin to answer, in seconds.
        warnings: What will work worse than wanted, one line each.
    """

    line: str
    secs: float
    warnings: tuple[str, ...] = field(default=())


@asynccontextmanager
async def probing(service: GoogleService, secs: float) -> AsyncIterator[None]:
    """Ask a service something, in limited time.

    Args:
        service: Which.
        secs: How long that may take.

    Raises:
        ConfigurationError: If the service refuses, fails or does not answer: the cause and what to do.
    """
    try:
        async with asyncio.timeout(secs):
            yield
    except ConfigurationError:
        raise
    except Exception as error:
        # Whatever a client library raises, a person gets the one line that says what to do.
        raise ConfigurationError(google_problem(error, service).line) from error


async def unmasked(ask: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """Ask again where gRPC hides why a call failed.

    A refusal that comes while the client still writes is reported, now and then, as an internal error of gRPC's own.

    Args:
        ask: Makes the call; made anew each time.

    Returns:
        What it gives.

    Raises:
        Exception: What the call raises; an internal error only if it is raised each time.
    """
    for _ in range(_MASKED_TRIES - 1):
        with suppress(google_exceptions.InternalServerError):
            return await ask()
    return await ask()


CATEGORIES: dict[ProblemKind, ErrorCategory] = {
    ProblemKind.CREDENTIALS: ErrorCategory.AUTHENTICATION,
    ProblemKind.PERMISSION: ErrorCategory.AUTHORIZATION,
    ProblemKind.BILLING: ErrorCategory.AUTHORIZATION,
    ProblemKind.NOT_FOUND: ErrorCategory.INVALID_REQUEST,
    ProblemKind.REQUEST: ErrorCategory.INVALID_REQUEST,
    ProblemKind.PROTOCOL: ErrorCategory.INVALID_REQUEST,
    ProblemKind.QUOTA: ErrorCategory.RATE_LIMIT,
    ProblemKind.TIMEOUT: ErrorCategory.CONNECTIVITY,
    ProblemKind.OUTAGE: ErrorCategory.CONNECTIVITY,
    ProblemKind.FAILURE: ErrorCategory.SERVER,
}
"""How Pipecat calls each kind of problem; some of its categories end the use of a service."""
