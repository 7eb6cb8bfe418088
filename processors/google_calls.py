"""What Google's services have in common besides their errors: how they are probed, and how bad a problem is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_errors import GoogleService, ProblemKind, google_problem

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
