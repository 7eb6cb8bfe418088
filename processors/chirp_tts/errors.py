"""What a failed synthesis means: worth another try, worth a wait, or never going to work."""

from dataclasses import dataclass

from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.google_calls import CATEGORIES
from halfcascade.processors.google_errors import TEXT_TO_SPEECH, ProblemKind, google_problem, words_of

# Refusals that name these are about the settings, not about the segment of text.
_SETTINGS_WORDS = ("voice", "language", "locale", "chirp", "speaking_rate", "sample rate", "pronunciation", "encoding")


@dataclass
class SynthesisError(Exception):
    """A segment could not be synthesized.

    Parameters:
        reason: One line for a person.
        category: Pipecat's kind of error; decides whether the service can go on.
        retry: Whether another try may succeed.
        wait_secs: How long the server is to be left alone.
    """

    reason: str
    category: ErrorCategory
    retry: bool = False
    wait_secs: float = 0.0

    def __str__(self) -> str:
        return self.reason


def synthesis_error(error: BaseException, voice: str) -> SynthesisError:
    """Judge an error of a synthesis call.

    Args:
        error: What was raised.
        voice: Name of the voice that was asked for.

    Returns:
        The same as a :class:`SynthesisError`; its reason holds the server's words, but no secret.
    """
    if isinstance(error, SynthesisError):
        return error
    found, words = google_problem(error, TEXT_TO_SPEECH), words_of(error)
    if found.kind in (ProblemKind.REQUEST, ProblemKind.NOT_FOUND):
        if any(word in words.lower() for word in _SETTINGS_WORDS):
            line = f"Text-to-Speech does not speak with {voice} ({words}): choose another voice or location."
            return SynthesisError(line, ErrorCategory.INVALID_REQUEST)
        # The service itself is well: only this segment is refused.
        return SynthesisError(f"Text-to-Speech refused a segment of text ({words}).", ErrorCategory.APPLICATION)
    return SynthesisError(found.line, CATEGORIES[found.kind], retry=found.passes, wait_secs=found.wait_secs)
