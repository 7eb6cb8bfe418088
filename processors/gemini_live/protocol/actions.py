"""What the session machine asks its shell to do."""

from dataclasses import dataclass
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol.turn_events import (
    Ended,
    Started,
    TextDelta,
    ToolCalls,
    ToolCancellation,
)


@dataclass(frozen=True)
class Open:
    """Open a connection.

    Parameters:
        serial: Number of the connection, for the answer.
        handle: Resumption handle, or None for a fresh session.
        history: Whether history will be sent right after setup, which some models must be told
            (facts/live#client-messages).
    """

    serial: int
    handle: str | None
    history: bool


@dataclass(frozen=True)
class Close:
    """Close the connection, then report it closed: a resume while it is open is refused (facts/live#lifetime).

    Parameters:
        serial: Number of the connection.
        mute: Whether it seems dead, so that no farewell of the server is worth waiting for.
    """

    serial: int
    mute: bool = False


@dataclass(frozen=True)
class Ping:
    """Ask the connection for a sign of life, then report its pong.

    Parameters:
        serial: Number of the connection.
    """

    serial: int


@dataclass(frozen=True)
class SendContent:
    """Write ``clientContent``.

    Parameters:
        contents: Turns with roles.
        complete: Whether the model is to answer.
    """

    contents: tuple[types.Content, ...]
    complete: bool = True


@dataclass(frozen=True)
class SendText:
    """Write ``realtimeInput.text``.

    Parameters:
        text: Of the user.
    """

    text: str


@dataclass(frozen=True)
class SendResults:
    """Write ``toolResponse``. Scheduling is never sent: sources disagree on who takes it (facts/live#models).

    Parameters:
        responses: One for each call.
    """

    responses: tuple[types.FunctionResponse, ...]


@dataclass(frozen=True)
class TurnSent:
    """A turn was written.

    Parameters:
        turn: Its number.
        text: What the user said; empty for an instruction of our own.
        attempt: 1 for the first time.
        prompt: That instruction.
    """

    turn: int
    text: str
    attempt: int
    prompt: str = ""


@dataclass(frozen=True)
class Waiting:
    """The user has waited for a while without a word: say something.

    Parameters:
        turn: What they wait for.
        offline: Whether there is no connection to answer on.
    """

    turn: int
    offline: bool


@dataclass(frozen=True)
class Recovered:
    """There is a connection again, after a wait for it that the user was told of."""


@dataclass(frozen=True)
class Apologize:
    """No answer came by any means: say so aloud.

    Parameters:
        turn: The turn that is given up.
    """

    turn: int


@dataclass(frozen=True)
class Report:
    """Tell a person.

    Parameters:
        line: Cause and remedy, no secrets.
        error: Whether it is an error (else a log line).
        permanent: Whether asking again gives the same answer.
    """

    line: str
    error: bool = True
    permanent: bool = False


@dataclass(frozen=True)
class Usage:
    """The server counted tokens.

    Parameters:
        metadata: As sent.
    """

    metadata: Any


Action = (
    Open
    | Close
    | Ping
    | SendContent
    | SendText
    | SendResults
    | TurnSent
    | Waiting
    | Recovered
    | Apologize
    | Report
    | Usage
    | Started
    | TextDelta
    | Ended
    | ToolCalls
    | ToolCancellation
)
