"""What a failed synthesis means: worth another try, worth a wait, or never going to work."""

from dataclasses import dataclass

from google.api_core import exceptions as google
from pipecat.utils.errors import ErrorCategory

# Refusals that name these are about the settings, not about the segment of text.
_SETTINGS_WORDS = ("voice", "language", "locale", "chirp", "speaking_rate", "sample rate", "pronunciation", "encoding")


@dataclass
class SynthesisError(Exception):
    """A segment could not be synthesized.

    Parameters:
        reason: One line for a person.
        category: Pipecat's kind of error; decides whether the service can go on.
        retry: Whether another try may succeed.
        throttled: Whether the server asked to slow down.
    """

    reason: str
    category: ErrorCategory
    retry: bool = False
    throttled: bool = False

    def __str__(self) -> str:
        return self.reason


def synthesis_error(error: BaseException, voice: str) -> SynthesisError:  # noqa: PLR0911 - one return a kind
    """Judge an error of a synthesis call.

    Args:
        error: What was raised.
        voice: Name of the voice that was asked for.

    Returns:
        The same as a :class:`SynthesisError`; its reason holds the server's words, but no secret.
    """
    if isinstance(error, SynthesisError):
        return error
    if isinstance(error, TimeoutError):
        return SynthesisError("Text-to-Speech stopped answering.", ErrorCategory.CONNECTIVITY, retry=True)
    words = " ".join(str(getattr(error, "message", "") or error).split())
    if isinstance(error, google.ResourceExhausted | google.TooManyRequests):
        return SynthesisError(
            f"Text-to-Speech is over its quota ({words}): wait, or raise the Chirp 3 quota of the project.",
            ErrorCategory.RATE_LIMIT,
            retry=True,
            throttled=True,
        )
    if isinstance(error, google.Unauthenticated):
        return SynthesisError(
            f"Text-to-Speech refused the credentials ({words}): run `gcloud auth application-default login`.",
            ErrorCategory.AUTHENTICATION,
        )
    if isinstance(error, google.PermissionDenied):
        return SynthesisError(
            f"Text-to-Speech is not allowed for this project ({words}): enable texttospeech.googleapis.com for it.",
            ErrorCategory.AUTHORIZATION,
        )
    if isinstance(error, google.InvalidArgument | google.NotFound | google.OutOfRange | google.FailedPrecondition):
        if any(word in words.lower() for word in _SETTINGS_WORDS):
            return SynthesisError(
                f"Text-to-Speech does not speak with {voice} ({words}): choose another voice or location.",
                ErrorCategory.INVALID_REQUEST,
            )
        # The service itself is well: only this segment is refused.
        return SynthesisError(f"Text-to-Speech refused a segment of text ({words}).", ErrorCategory.APPLICATION)
    if isinstance(error, google.ServiceUnavailable):
        category = ErrorCategory.CONNECTIVITY
    elif isinstance(error, google.GoogleAPICallError):
        category = ErrorCategory.SERVER
    else:
        category = ErrorCategory.UNKNOWN
    return SynthesisError(f"Text-to-Speech failed ({words or type(error).__name__}).", category, retry=True)
