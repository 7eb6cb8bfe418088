"""The one table of what Google's services answer when they do not serve, and what a person can do about each.

Services, doctor and credentials take their lines from here, so that one error has one remedy. Nothing is imported but
words: protocol machines use it too.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class ProblemKind(StrEnum):
    """Why a service does not serve.

    Parameters:
        CREDENTIALS: It does not accept who asks.
        PERMISSION: It knows who asks, and does not allow it: the API is off, or a role is missing.
        BILLING: The project has no billing.
        NOT_FOUND: What was asked for does not exist there.
        REQUEST: It does not take what was asked.
        QUOTA: Too much was asked.
        PROTOCOL: The server does not speak this API.
        TIMEOUT: It accepted the call and went silent.
        OUTAGE: It cannot be reached.
        FAILURE: It fails for a reason of its own.
    """

    CREDENTIALS = "credentials"
    PERMISSION = "permission"
    BILLING = "billing"
    NOT_FOUND = "not_found"
    REQUEST = "request"
    QUOTA = "quota"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    OUTAGE = "outage"
    FAILURE = "failure"


@dataclass(frozen=True)
class GoogleService:
    """What a person must know of a service to mend it.

    Parameters:
        name: As people call it.
        api: Name under which a project enables it.
        grant: How an account gets access to it.
        sign_in: How credentials for it are made.
        choices: The settings that a refusal of a request may be about.
        host_variable: Environment variable that leads its client to another server.
    """

    name: str
    api: str
    grant: str
    sign_in: str
    choices: str
    host_variable: str


_GCLOUD_LOGIN = "run `gcloud auth application-default login`"
SPEECH_TO_TEXT = GoogleService(
    name="Speech-to-Text",
    api="speech.googleapis.com",
    grant="grant the account roles/speech.client",
    sign_in=_GCLOUD_LOGIN,
    choices="the recognition model, its location and the languages",
    host_variable="SPEECH_EMULATOR_HOST",
)
TEXT_TO_SPEECH = GoogleService(
    name="Text-to-Speech",
    api="texttospeech.googleapis.com",
    grant="grant the account access to the project",
    sign_in=_GCLOUD_LOGIN,
    choices="the voice, the language and the location of the voice",
    host_variable="TEXTTOSPEECH_EMULATOR_HOST",
)
GEMINI_LIVE = GoogleService(
    name="Gemini Live",
    api="aiplatform.googleapis.com",
    grant="grant the account roles/aiplatform.user, or allow the key the Gemini API",
    sign_in="check GOOGLE_API_KEY, or sign in to the Vertex project with `gcloud auth application-default login`",
    choices="the model, the language and the session's settings",
    host_variable="GOOGLE_GEMINI_BASE_URL",
)


_PASSING = (ProblemKind.QUOTA, ProblemKind.TIMEOUT, ProblemKind.OUTAGE, ProblemKind.FAILURE)


@dataclass(frozen=True)
class GoogleProblem:
    """A failed call, understood.

    Parameters:
        kind: Why.
        line: One line for a person: cause, then remedy.
        wait_secs: How long the server is to be left alone.
    """

    kind: ProblemKind
    line: str
    wait_secs: float = 0.0

    @property
    def passes(self) -> bool:
        """Whether asking again later may succeed without anybody's doing."""
        return self.kind in _PASSING


# kind: (cause, remedy); both may name fields of the service.
_TABLE: dict[ProblemKind, tuple[str, str]] = {
    ProblemKind.CREDENTIALS: ("{name} refused the credentials", "{sign_in}"),
    ProblemKind.PERMISSION: (
        "{name} is not allowed for this project or account",
        "enable it with `gcloud services enable {api}`, and {grant}",
    ),
    ProblemKind.BILLING: (
        "{name} needs billing, which is off for this project",
        "enable billing for it in the Google Cloud console",
    ),
    ProblemKind.NOT_FOUND: ("{name} does not have what was asked for", "check {choices}"),
    ProblemKind.REQUEST: ("{name} refused the request", "check {choices}"),
    ProblemKind.QUOTA: ("The quota of {name} is used up for now", "wait, or raise it in the Google Cloud console"),
    ProblemKind.PROTOCOL: ("That server does not speak {name}", "check {host_variable}"),
    ProblemKind.TIMEOUT: ("{name} does not answer", "check the network connection"),
    ProblemKind.OUTAGE: ("{name} cannot be reached", "check the network connection"),
    ProblemKind.FAILURE: ("{name} failed", "try again later, and look at Google's status page if it goes on"),
}
_BY_STATUS = {
    "UNAUTHENTICATED": ProblemKind.CREDENTIALS,
    "PERMISSION_DENIED": ProblemKind.PERMISSION,
    "NOT_FOUND": ProblemKind.NOT_FOUND,
    "INVALID_ARGUMENT": ProblemKind.REQUEST,
    "FAILED_PRECONDITION": ProblemKind.REQUEST,
    "OUT_OF_RANGE": ProblemKind.REQUEST,
    "RESOURCE_EXHAUSTED": ProblemKind.QUOTA,
    "UNIMPLEMENTED": ProblemKind.PROTOCOL,
    "DEADLINE_EXCEEDED": ProblemKind.TIMEOUT,
    "UNAVAILABLE": ProblemKind.OUTAGE,
}
_BY_HTTP_CODE = {
    400: ProblemKind.REQUEST,
    401: ProblemKind.CREDENTIALS,
    403: ProblemKind.PERMISSION,
    404: ProblemKind.NOT_FOUND,
    429: ProblemKind.QUOTA,
    501: ProblemKind.PROTOCOL,
    503: ProblemKind.OUTAGE,
    504: ProblemKind.TIMEOUT,
}
# What the words say counts more than the code: gRPC reports credentials that cannot be refreshed as UNAVAILABLE, a key
# that is not valid comes as INVALID_ARGUMENT, and a project without billing as PERMISSION_DENIED.
_BY_WORDS = (
    (re.compile(r"billing", re.IGNORECASE), ProblemKind.BILLING),
    (
        re.compile(
            r"metadata from plugin failed|invalid_grant|reauthenticat|api[ _-]?key (not valid|expired|invalid)|"
            r"pass a valid api[ _-]?key",
            re.IGNORECASE,
        ),
        ProblemKind.CREDENTIALS,
    ),
    (re.compile(r"quota|resource.?exhausted", re.IGNORECASE), ProblemKind.QUOTA),
)
_LONGEST_QUOTE = 200
_WAIT = re.compile(r"retry (?:in|after) (?P<amount>\d+(?:\.\d+)?) ?(?P<unit>m)?s", re.IGNORECASE)

# Where it does not say for how long.
_QUOTA_SECS = 1.0

LONGEST_WAIT_SECS = 30.0
"""A server that asks for more is asked again all the same: somebody waits."""


def problem(kind: ProblemKind, service: GoogleService, said: str = "") -> GoogleProblem:
    """Word a problem whose kind is known.

    Args:
        kind: Why the service does not serve.
        service: Which.
        said: The server's words.

    Returns:
        The problem.
    """
    cause, remedy = (text.format_map(vars(service)) for text in _TABLE[kind])
    quote = " ".join(said.split())[:_LONGEST_QUOTE].rstrip(". ")
    return GoogleProblem(kind, f"{cause} ({quote}): {remedy}." if quote else f"{cause}: {remedy}.")


def kind_of(said: str, *, status: str = "", code: int = 0) -> ProblemKind:
    """Tell why a call failed.

    Args:
        said: The server's words.
        status: Name of the gRPC status, if there was one.
        code: HTTP status, if there was one.

    Returns:
        The kind; a failure where nothing tells otherwise.
    """
    for pattern, kind in _BY_WORDS:
        if pattern.search(said):
            return kind
    return _BY_STATUS.get(status) or _BY_HTTP_CODE.get(code, ProblemKind.FAILURE)


def google_problem(error: BaseException, service: GoogleService) -> GoogleProblem:
    """Understand what a client library raised.

    Args:
        error: An error of ``google.api_core``, ``google.auth``, gRPC, or of the network.
        service: Which service was called.

    Returns:
        The problem.
    """
    said = words_of(error)
    if isinstance(error, TimeoutError):
        return problem(ProblemKind.TIMEOUT, service)
    if type(error).__module__.startswith("google.auth"):
        out_of_reach = type(error).__name__ == "TransportError" or getattr(error, "retryable", False)
        return problem(ProblemKind.OUTAGE if out_of_reach else ProblemKind.CREDENTIALS, service, said)
    if isinstance(error, OSError):
        return problem(ProblemKind.OUTAGE, service, said or type(error).__name__)
    status: Any = getattr(error, "grpc_status_code", None)
    code: Any = getattr(error, "code", None)
    kind = kind_of(said, status=getattr(status, "name", ""), code=code if isinstance(code, int) else 0)
    wait_secs = max(asked_to_wait(error), _QUOTA_SECS if kind is ProblemKind.QUOTA else 0.0)
    return replace(problem(kind, service, said or type(error).__name__), wait_secs=wait_secs)


def words_of(error: BaseException) -> str:
    """The words of an error, in one line.

    Args:
        error: Any error.

    Returns:
        What its sender wrote; a client library's own decoration is left out.
    """
    message: Any = getattr(error, "message", None)
    return " ".join(str(message or error).split())


def asked_to_wait(error: BaseException | str) -> float:
    """How long a server asks to be left alone, as it does where a quota is used up.

    Args:
        error: What a client library raised, or a server's words.

    Returns:
        Seconds, at most ``LONGEST_WAIT_SECS``; 0.0 if it does not ask.
    """
    secs = 0.0
    details: Any = getattr(error, "details", None)
    for detail in details if isinstance(details, list | tuple) else ():
        if (delay := getattr(detail, "retry_delay", None)) is not None:
            secs = max(secs, delay.seconds + delay.nanos / 1e9)
    if not secs and (found := _WAIT.search(error if isinstance(error, str) else words_of(error))):
        secs = float(found["amount"]) / (1_000 if found["unit"] else 1)
    return min(secs, LONGEST_WAIT_SECS)
