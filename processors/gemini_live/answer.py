"""One answer the server owes, as far as it has come."""

from dataclasses import dataclass, field
from enum import Enum


class Border(Enum):
    """How an answer's text ended on the wire."""

    COMPLETE = "generationComplete"
    INTERRUPTED = "interrupted"
    CLOSED = "turnComplete"
    LOST = "lost"


@dataclass
class Answer:
    """One answer the server owes for one thing that was sent.

    Parameters:
        turn: Number of the turn it answers.
        sent_index: How many sends had happened when it was asked for, itself included.
        sent_at: Clock reading of the send, in seconds.
        muted: Whether nothing of it is spoken any more.
        started: Whether any sign of it came.
        text: What was delivered of it.
        audio: Whether audio came with it.
        border: How its text ended on the wire, or None while it runs.
        border_at: Clock reading of the border.
        calls: Ids of unanswered function calls that hold it up.
        call_words: Letters of those calls' arguments, to recognize their phantom transcript (facts C6).
        answered_call: Whether a function result was sent and nothing came after it yet.
    """

    turn: int
    sent_index: int
    sent_at: float
    muted: bool = False
    started: bool = False
    text: str = ""
    audio: bool = False
    border: Border | None = None
    border_at: float = 0.0
    calls: set[str] = field(default_factory=set)
    call_words: str = ""
    answered_call: bool = False
