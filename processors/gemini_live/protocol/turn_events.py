"""What the turn machine says: text and function calls, each with the turn it belongs to."""

from dataclasses import dataclass

from google.genai import types


@dataclass(frozen=True)
class Started:
    """The text of an answer begins.

    Parameters:
        turn: Number of the turn it answers.
    """

    turn: int


@dataclass(frozen=True)
class TextDelta:
    """A delta of text, ready to be spoken.

    Parameters:
        turn: Number of the turn it answers.
        text: To be appended as it is.
    """

    turn: int
    text: str


@dataclass(frozen=True)
class Ended:
    """The text of an answer is complete for now.

    Parameters:
        turn: Number of the turn it answers.
        spoken: Whether there was any text.
    """

    turn: int
    spoken: bool


@dataclass(frozen=True)
class ToolCalls:
    """The model wants functions called.

    Parameters:
        turn: Number of the turn in which it asked.
        calls: Names, arguments and ids.
    """

    turn: int
    calls: tuple[types.FunctionCall, ...]


@dataclass(frozen=True)
class ToolCancellation:
    """The server no longer wants the results of these calls.

    Parameters:
        ids: Call ids.
    """

    ids: tuple[str, ...]


TurnEvent = Started | TextDelta | Ended | ToolCalls | ToolCancellation
