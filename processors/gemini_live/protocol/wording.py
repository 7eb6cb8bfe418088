"""What the model is told besides the user's words: always in brackets, always short.

Whoever reads these notes (the emulator's local mind does) is tested against this file. What functions returned and
people said is quoted as data: no bracket or line break of it can end a note or begin another one.
"""

import json
from typing import Any

HEARD_WORDS_IN_NOTE = 30
"""Words of the heard text that a note quotes; the end of it is what tells the model where it was cut."""

HEARD_CHARS_IN_NOTE = 300
"""Its length in characters, for languages that do not part words by spaces."""

NO_ANSWER_NUDGE = "[Please answer the user's last message.]"
CONTINUE_PROMPT = "[It is your turn to speak: begin or continue the conversation.]"
WITHDRAWAL_NOTE = "[Ignore the user's previous message and your reply to it: the user had not finished speaking.]"
LATE_NOTE = "[An outage held up what the user said: answer the last of it, and offer to come back to the rest.]"
LEFT_OUT_NOTE = "[The conversation before this is left out here.]"
EMPTY_ANSWER_NUDGE = "[Your answer did not arrive. Please give it again.]"


LONGEST_QUOTE = 4_000
"""Characters of foreign data that a note quotes at most."""

_BRACKETS = str.maketrans("[]", "()")


def quoted(data: Any) -> str:
    """Quote what is data, so that it can be told from the words around it.

    Args:
        data: Text, or anything JSON can hold.

    Returns:
        One line of JSON without square brackets, at most ``LONGEST_QUOTE`` characters of it.
    """
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except ValueError:
            data = " ".join(data.split())
    return json.dumps(data, ensure_ascii=False, default=str)[:LONGEST_QUOTE].translate(_BRACKETS)


def instruction(text: str) -> str:
    """Word an instruction of the program, such as Pipecat's developer messages.

    Args:
        text: What to do.

    Returns:
        The note.
    """
    return f"[Instruction: {text.translate(_BRACKETS)}]"


def earlier(role: str, text: str) -> str:
    """Tell what was said while the session was not told of it.

    Args:
        role: ``user`` or ``model``.
        text: What was said, or heard of it.

    Returns:
        The note.
    """
    who = "user said" if role == "user" else "user heard you say"
    return f"[Earlier the {who}: {text.translate(_BRACKETS)}]"


def already_called(name: str, result: Any) -> str:
    """Tell of a function whose result could not be given as such, because its connection is gone.

    Args:
        name: Function, with its arguments where they are known.
        result: What it returned.

    Returns:
        The note.
    """
    return f"[You already called {name.translate(_BRACKETS)}; it returned: {quoted(result)}. Do not call it again.]"


def go_on_from(delivered: str) -> str:
    """Tell how far an answer came before its connection broke.

    Args:
        delivered: Its text so far.

    Returns:
        The note.
    """
    return f"[The connection broke. The user already has of your answer: {quoted(delivered)}. Go on from there.]"


def unspoken(text: str) -> str:
    """Tell of a part of a reply that the voice could not speak.

    Args:
        text: The part.

    Returns:
        The note.
    """
    return f"[The voice failed: this part of your last reply was not spoken: {quoted(text)}]"


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
    tail = " ".join(words[-HEARD_WORDS_IN_NOTE:])[-HEARD_CHARS_IN_NOTE:]
    lead = "... " if tail != " ".join(words) else ""
    return f'[The user interrupted you. Of your last reply they heard only: "{lead}{tail.translate(_BRACKETS)}"]'
