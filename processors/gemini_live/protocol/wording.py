"""What the model is told besides the user's words: always in brackets, always short."""

from typing import Any

HEARD_WORDS_IN_NOTE = 30
"""Words of the heard text that a note quotes; the end of it is what tells the model where it was cut."""

HEARD_CHARS_IN_NOTE = 300
"""Its length in characters, for languages that do not part words by spaces."""

NO_ANSWER_NUDGE = "[Please answer the user's last message.]"
WITHDRAWAL_NOTE = "[Ignore the user's previous message and your reply to it: the user had not finished speaking.]"
EMPTY_ANSWER_NUDGE = "[Your answer did not arrive. Please give it again.]"


def already_called(name: str, result: Any) -> str:
    """Tell of a function whose result could not be given as such, because its connection is gone.

    Args:
        name: Function.
        result: What it returned.

    Returns:
        The note.
    """
    return f"[You already called {name}; it returned {result}. Do not call it again.]"


def go_on_from(delivered: str) -> str:
    """Tell how far an answer came before its connection broke.

    Args:
        delivered: Its text so far.

    Returns:
        The note.
    """
    return f'[The connection broke. The user already has of your answer: "{delivered}". Go on from there.]'


def heard_note(heard: str) -> str:
    """Set the model's memory right after an interruption (facts/live#interruption).

    Args:
        heard: What the user heard of the answer.

    Returns:
        The note.
    """
    words = heard.split()
    if not words:
        return "[The user interrupted you before hearing anything of your last reply.]"
    quoted = " ".join(words[-HEARD_WORDS_IN_NOTE:])[-HEARD_CHARS_IN_NOTE:]
    lead = "... " if quoted != " ".join(words) else ""
    return f'[The user interrupted you. Of your last reply they heard only: "{lead}{quoted}"]'
