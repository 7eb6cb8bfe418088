import asyncio

import pytest
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError, TransportError

from halfcascade.processors.google_calls import CATEGORIES
from halfcascade.processors.google_errors import (
    GEMINI_LIVE,
    SPEECH_TO_TEXT,
    TEXT_TO_SPEECH,
    ProblemKind,
    google_problem,
    problem,
)

PLUGIN = "Getting metadata from plugin failed with error: ('invalid_grant: Bad Request', {'error': 'invalid_grant'})"


@pytest.mark.parametrize(
    ("error", "kind", "passes"),
    [
        (google.Unauthenticated("Request had invalid authentication credentials."), ProblemKind.CREDENTIALS, False),
        (google.ServiceUnavailable(PLUGIN), ProblemKind.CREDENTIALS, False),
        (RefreshError("Reauthentication is needed."), ProblemKind.CREDENTIALS, False),
        (TransportError("Connection to oauth2.googleapis.com timed out."), ProblemKind.OUTAGE, True),
        (google.InvalidArgument("API key not valid. Please pass a valid API key."), ProblemKind.CREDENTIALS, False),
        (google.PermissionDenied("Cloud Speech-to-Text API has not been used in project 1."), "permission", False),
        (google.PermissionDenied("This API method requires billing to be enabled."), ProblemKind.BILLING, False),
        (google.NotFound("Requested entity was not found."), ProblemKind.NOT_FOUND, False),
        (google.InvalidArgument("The language xx is not supported."), ProblemKind.REQUEST, False),
        (google.ResourceExhausted("Quota exceeded."), ProblemKind.QUOTA, True),
        (google.MethodNotImplemented("Method not found!"), ProblemKind.PROTOCOL, False),
        (google.DeadlineExceeded("Deadline Exceeded"), ProblemKind.TIMEOUT, True),
        (TimeoutError(), ProblemKind.TIMEOUT, True),
        (google.ServiceUnavailable("failed to connect to all addresses"), ProblemKind.OUTAGE, True),
        (ConnectionRefusedError("refused"), ProblemKind.OUTAGE, True),
        (google.Aborted("Stream timed out after receiving no more client requests."), ProblemKind.FAILURE, True),
        (google.InternalServerError("Internal error encountered."), ProblemKind.FAILURE, True),
        (RuntimeError(""), ProblemKind.FAILURE, True),
    ],
)
@pytest.mark.parametrize("service", [SPEECH_TO_TEXT, TEXT_TO_SPEECH, GEMINI_LIVE], ids=lambda service: service.name)
def test_an_error_has_one_kind_and_one_line(error, kind, passes, service):
    found = google_problem(error, service)
    assert (found.kind, found.passes) == (kind, passes)
    assert service.name in found.line and "\n" not in found.line and found.line.endswith(".")
    # One remedy, whatever the words were.
    assert found.line.rpartition("): ")[2].rpartition(": ")[2] == problem(found.kind, service).line.rpartition(": ")[2]


@pytest.mark.parametrize("kind", ProblemKind)
def test_every_kind_has_a_line_for_every_service_and_a_category(kind):
    for service in (SPEECH_TO_TEXT, TEXT_TO_SPEECH, GEMINI_LIVE):
        line = problem(kind, service, "said\nso. ").line
        assert "(said so)" in line and "{" not in line
    assert kind in CATEGORIES


def test_cancellation_is_no_problem_of_google():
    assert not issubclass(asyncio.CancelledError, Exception)
