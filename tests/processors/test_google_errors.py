import asyncio

import pytest
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError, TransportError
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo

from halfcascade.processors.google_calls import CATEGORIES
from halfcascade.processors.google_errors import (
    GEMINI_LIVE,
    LONGEST_WAIT_SECS,
    SPEECH_TO_TEXT,
    TEXT_TO_SPEECH,
    ProblemKind,
    asked_to_wait,
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


@pytest.mark.parametrize(
    ("error", "secs"),
    [
        ("You exceeded your current quota. Please retry in 12.5s.", 12.5),
        ("Please retry in 850ms.", 0.85),
        ("Retry after 3 seconds", 3.0),
        ("Please retry in 3600s.", LONGEST_WAIT_SECS),
        ("Quota exceeded.", 0.0),
        (
            google.ResourceExhausted("Quota.", details=[RetryInfo(retry_delay=Duration(seconds=4, nanos=500_000_000))]),
            4.5,
        ),
        (google.ResourceExhausted("Quota. Please retry in 2s."), 2.0),
        (google.ServiceUnavailable("failed to connect"), 0.0),
        (TimeoutError(), 0.0),
    ],
)
def test_a_server_may_ask_to_be_left_alone(error, secs):
    assert asked_to_wait(error) == secs


def test_a_quota_is_always_left_alone_for_a_while():
    assert google_problem(google.ResourceExhausted("Quota exceeded."), SPEECH_TO_TEXT).wait_secs > 0
    assert google_problem(google.ServiceUnavailable("gone"), SPEECH_TO_TEXT).wait_secs == 0


@pytest.mark.parametrize("kind", ProblemKind)
def test_every_kind_has_a_line_for_every_service_and_a_category(kind):
    for service in (SPEECH_TO_TEXT, TEXT_TO_SPEECH, GEMINI_LIVE):
        line = problem(kind, service, "said\nso. ").line
        assert "(said so)" in line and "{" not in line
    assert kind in CATEGORIES


def test_cancellation_is_no_problem_of_google():
    assert not issubclass(asyncio.CancelledError, Exception)
