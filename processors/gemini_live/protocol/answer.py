"""One pending answer, as far as it has come."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from google.genai import types

from halfcascade.processors.gemini_live.protocol.text import letters


class EndReason(Enum):
    """How an answer's text ended on the wire."""

    COMPLETE = "generationComplete"
    INTERRUPTED = "interrupted"
    CLOSED = "turnComplete"
    LOST = "lost"


@dataclass
class Answer:
    """One pending answer, to one thing that was sent.

    Parameters:
        turn: Number of the turn it answers.
        sent_index: How many sends had happened when it was asked for, itself included.
        sent_at: Clock reading of the send, in seconds.
        suppressed: Whether nothing of it is spoken any more.
        started: Whether any sign of it came.
        text: What was delivered of it.
        audio: Whether audio came with it.
        end_reason: How its text ended on the wire, or None while it runs.
        ended_at: Clock reading of that end.
        calls: Ids of unanswered function calls that hold it up.
        call_words: Letters of those calls' arguments, to recognize their phantom transcript (facts/live#transcripts).
        answered_call: Whether a function result was sent and nothing came after it yet.
    """

    turn: int
    sent_index: int
    sent_at: float
    suppressed: bool = False
    started: bool = False
    text: str = ""
    audio: bool = False
    end_reason: EndReason | None = None
    ended_at: float = 0.0
    calls: set[str] = field(default_factory=set)
    call_words: str = ""
    answered_call: bool = False

    def end(self, end_reason: EndReason, now: float) -> None:
        """Its text is over on the wire.

        Args:
            end_reason: How it ended.
            now: Clock reading.
        """
        self.end_reason = end_reason
        self.ended_at = now

    def call(self, calls: Iterable[types.FunctionCall]) -> None:
        """It wants functions called; audio from before them says nothing about the transcripts that follow.

        Args:
            calls: Names and arguments.
        """
        self.started = True
        self.audio = False
        self.call_words += "".join(letters(str(value)) for call in calls for value in (call.args or {}).values())
