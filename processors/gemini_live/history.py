"""What the server's session holds, what the user really heard, and how the two are brought together.

The server keeps everything it sent us as said (facts C5), while the user hears it seconds later through another voice,
or never. The assistant aggregator's context is the truth: it holds spoken text only. This module compares both and
words what has to be told with the next turn: a short note after an interruption, messages the session missed, and the
seed of a fresh session. No I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from pipecat.processors.aggregators import async_tool_messages
from pipecat.processors.aggregators.llm_context import LLMContextMessage, LLMSpecificMessage, standard_message_text

from processors.gemini_live.text import letters

HEARD_WORDS_IN_NOTE = 30
"""Words of the heard text that a note quotes; the end of it is what tells the model where it was cut."""

HEARD_CHARS_IN_NOTE = 300
"""Its length in characters, for languages that do not part words by spaces."""

_INSTRUCTION_ROLES = ("system", "developer")
_TELLING_LETTERS = 12  # fewer are found in any text by chance
_INPUT_ROLES = ("user", *_INSTRUCTION_ROLES)
_NO_RESULT = (None, "IN_PROGRESS", "CANCELLED")


@dataclass
class Entry:
    """One thing that the server's session holds.

    Parameters:
        role: Who said it, as the server sees it.
        text: What, as far as we know.
        messages: Messages of the context that it stands for.
        calls: Ids of function calls whose results it brought.
        turn: Number of the turn, 0 for seeded history.
        cut: Whether the user interrupted it before all was heard.
        unfinished: Whether the model was still answering then.
        corrects: Earlier entries that a note in this one put right.
        provisional: Whether it speaks for a turn that was not confirmed yet.
    """

    role: str
    text: str = ""
    messages: list[Any] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    turn: int = 0
    cut: bool = False
    unfinished: bool = False
    corrects: list["Entry"] = field(default_factory=list)
    provisional: bool = False


@dataclass(frozen=True)
class Turn:
    """Something to be answered.

    Parameters:
        number: From 1, counted over the life of the processor.
        text: What the user said, or an instruction in brackets.
        messages: Messages of the context it stands for; empty for an instruction of our own.
        context: All messages, live: what is told besides is found here at every send.
        provisional: Whether the user's turn was not confirmed yet.
    """

    number: int
    text: str
    messages: tuple[Any, ...]
    context: Sequence[Any]
    provisional: bool = False

    @property
    def by_user(self) -> bool:
        """Whether the user said it; an instruction waits until nobody is disturbed."""
        return any(message.get("role") == "user" for message in self.messages)


@dataclass(frozen=True)
class Composed:
    """A turn as it is written.

    Parameters:
        earlier: Messages the session missed, as (role, text) with roles ``user`` and ``model``.
        note: Corrections in brackets, or "".
        text: The turn itself.
    """

    earlier: tuple[tuple[str, str], ...]
    note: str
    text: str

    def contents(self) -> list[types.Content]:
        """The turn as ``clientContent`` turns with roles."""
        parts = [types.Part(text=text) for text in (self.note, self.text) if text]
        return [*to_contents(self.earlier), types.Content(role="user", parts=parts)]

    def plain(self) -> str:
        """The turn as one text of the user, for models that take no roles in mid-session."""
        told = [
            f"[Earlier the {'user said' if role == 'user' else 'user heard you say'}: {t}]" for role, t in self.earlier
        ]
        return "\n".join(part for part in (*told, self.note, self.text) if part)


def to_contents(messages: Sequence[tuple[str, str]]) -> list[types.Content]:
    """Make Live contents of (role, text) pairs, neighbours of one role merged.

    Args:
        messages: Roles ``user`` and ``model``.

    Returns:
        Contents with text parts only: function parts are refused in history (facts C2).
    """
    contents: list[types.Content] = []
    for role, text in messages:
        if contents and contents[-1].role == role:
            (contents[-1].parts or []).append(types.Part(text=text))
        else:
            contents.append(types.Content(role=role, parts=[types.Part(text=text)]))
    return contents


class History:
    """The session's memory as the server has it, next to the truth in the context."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    # Taking turns out of the context.

    def take(self, messages: Sequence[Any], number: int, *, provisional: bool = False) -> Turn | None:
        """Find what is new at the end of the context and wants an answer.

        Args:
            messages: All messages of the context.
            number: Number the turn will have.
            provisional: Whether the newest message is not confirmed yet.

        Returns:
            The turn, or None if everything is known to the session already.
        """
        self._adopt_confirmed(messages)
        known = self._known()
        new: list[Any] = []
        for message in reversed(_standard(messages)):
            if async_tool_messages.parse_message(message) is not None:
                continue  # the result itself goes to the model as a function response
            if id(message) in known or message.get("role") not in _INPUT_ROLES:
                break
            new.insert(0, message)
        if not any(_text(message) for message in new):
            return None
        text = "\n".join(_as_input(message) for message in new if _text(message))
        return Turn(number, text, tuple(new), messages, provisional)

    def _adopt_confirmed(self, messages: Sequence[Any]) -> None:
        """A confirmed turn enters the context as a new message; it is the one that was sent provisionally."""
        entry = next((entry for entry in self._entries if entry.provisional), None)
        if entry is None:
            return
        known = self._known()
        for message in messages:
            if isinstance(message, LLMSpecificMessage) or id(message) in known or message.get("role") != "user":
                continue
            entry.messages = [message]
            entry.provisional = False
            return

    # What was sent and said.

    def compose(self, turn: Turn) -> Composed:
        """Word a turn for the session as it is now, and take it as told.

        Args:
            turn: What to send. The same turn may be composed again after a rollback.

        Returns:
            What to write.
        """
        self._match_heard(turn)
        known = self._known() | {id(message) for message in turn.messages}
        missed = [m for m in _standard(turn.context) if id(m) not in known]
        earlier: list[tuple[str, str]] = []
        calls: list[str] = []
        covered: list[Any] = []
        names: dict[str, str] = {}
        told_calls = {call_id for entry in self._entries for call_id in entry.calls}
        for message in missed:
            covered.append(message)
            role, text = _as_history(message, names, told_calls)
            if text and role == "call":
                calls.append(text)
            elif text:
                earlier.append((role, text))
        cut = [entry for entry in self._entries if entry.cut and not self._is_corrected(entry)]
        notes = [_heard_note(entry.messages) for entry in cut[-1:]] + calls
        if covered:
            self._entries.append(Entry("user", messages=covered))
        self._entries.append(
            Entry(
                "user",
                turn.text,
                messages=list(turn.messages),
                turn=turn.number,
                corrects=cut,
                provisional=turn.provisional,
            )
        )
        return Composed(tuple(earlier), "\n".join(notes), turn.text)

    def said(self, turn: int, text: str) -> None:
        """The model said something that was passed on to be spoken.

        Args:
            turn: Number of the turn.
            text: Piece of text.
        """
        last = self._entries[-1] if self._entries else None
        if last is None or last.role != "model" or last.turn != turn:
            last = Entry("model", turn=turn)
            self._entries.append(last)
        last.text += text

    def has_words(self, turn: int) -> bool:
        """Tell whether the session holds anything that the model said in a turn.

        Args:
            turn: Number of the turn.
        """
        return any(entry.role == "model" and entry.turn == turn and entry.text for entry in self._entries)

    def interrupted(self, turn: int, *, unfinished: bool) -> None:
        """The user spoke while the answer to this turn was awaited, spoken, or waiting to be spoken.

        Args:
            turn: Number of the turn.
            unfinished: Whether the model was still answering: it may remember more than was passed on.
        """
        entry = next((entry for entry in reversed(self._entries) if entry.turn == turn), None)
        if entry is None:
            return
        if entry.role != "model":
            entry = Entry("model", turn=turn)
            self._entries.append(entry)
        entry.cut = True
        entry.unfinished = unfinished

    def call_told(self, call_id: str) -> None:
        """A function call's result reached the session.

        Args:
            call_id: Id of the call.
        """
        self._entries.append(Entry("user", calls=[call_id]))

    def withdraw(self) -> None:
        """The provisional turn was a mistake: no message of the context stands for it."""
        for entry in self._entries:
            if entry.provisional:
                entry.provisional = False
                entry.messages = []

    # Going back and starting over.

    @property
    def mark(self) -> int:
        """How much the session holds now; goes with a resumption handle."""
        return len(self._entries)

    def rollback(self, mark: int) -> None:
        """The session was resumed at an earlier point: forget what it does not hold any more.

        Args:
            mark: As it was when the handle came.
        """
        del self._entries[mark:]

    def is_rewritten(self, messages: Sequence[Any]) -> bool:
        """Tell whether the context lost messages that the session holds: it was summarized or replaced.

        Args:
            messages: All messages of the context.
        """
        self._adopt_confirmed(messages)
        return not self._known() <= {id(message) for message in messages}

    def forget(self) -> None:
        """The session is a new one and holds nothing."""
        self._entries.clear()

    def can_seed(self, messages: Sequence[Any], exclude: Sequence[Any] = ()) -> bool:
        """Tell whether there is a history for a fresh session.

        Args:
            messages: All messages of the context.
            exclude: Messages that will be sent as a turn.
        """
        return bool(_told(messages, exclude)[0])

    def seed(self, messages: Sequence[Any], exclude: Sequence[Any] = ()) -> list[types.Content]:
        """Make the history of a fresh session from the context, which knows only what was heard.

        Args:
            messages: All messages of the context.
            exclude: Messages that will be sent as a turn.

        Returns:
            Contents, oldest first; empty if there is no history.
        """
        self.forget()
        told, covered = _told(messages, exclude)
        if covered:
            self._entries.append(Entry("user", messages=covered))
        return to_contents(told)

    # Matching what was said with what was heard.

    def _known(self) -> set[int]:
        return {id(message) for entry in self._entries for message in entry.messages}

    def _is_corrected(self, entry: Entry) -> bool:
        return any(entry is corrected for later in self._entries for corrected in later.corrects)

    def _match_heard(self, turn: Turn) -> None:
        """Find for each thing the model said the context's message of what was heard of it."""
        known = self._known()
        excluded = {id(message) for message in turn.messages}
        heard = [
            message
            for message in turn.context
            if not isinstance(message, LLMSpecificMessage)
            and message.get("role") == "assistant"
            and _text(message)
            and id(message) not in known | excluded
        ]
        unmatched = [entry for entry in self._entries if entry.role == "model" and entry.turn and not entry.messages]
        for message in heard:
            words = letters(_text(message))
            owner = next((entry for entry in unmatched if _tells_of(letters(entry.text), words)), None)
            if owner is not None:
                owner.messages.append(message)
        for entry in unmatched:
            heard_of_it = letters("".join(_text(message) for message in entry.messages))
            if entry.cut and not entry.unfinished and heard_of_it and heard_of_it == letters(entry.text):
                entry.cut = False  # all of it was heard before the user spoke


def _told(messages: Sequence[Any], exclude: Sequence[Any]) -> tuple[list[tuple[str, str]], list[Any]]:
    """What a fresh session is told, as (role, text), and the messages this covers."""
    excluded = {id(message) for message in exclude}
    covered = [m for m in _standard(messages) if id(m) not in excluded]
    names: dict[str, str] = {}
    worded = [_as_history(message, names, set()) for message in covered]
    return [("user" if role == "call" else role, text) for role, text in worded if text], covered


def _tells_of(said: str, heard: str) -> bool:
    """Whether a heard text is (part of) what the model said; fillers may stand around it."""
    if not said or not heard:
        return False
    whole = min(len(said), len(heard)) >= _TELLING_LETTERS
    at_an_end = said.startswith(heard) or heard.startswith(said) or heard.endswith(said)
    inside = heard in said or said in heard or said[:_TELLING_LETTERS] == heard[:_TELLING_LETTERS]
    return at_an_end or (whole and inside)


def opening_instruction(messages: Sequence[Any]) -> str:
    """Find the system message that opens a context; it belongs into the setup, not into the history.

    Args:
        messages: All messages of the context.

    Returns:
        Its text, or "".
    """
    return _text(messages[0]) if messages and _opens(messages[0], messages) else ""


def _opens(message: Any, messages: Sequence[Any]) -> bool:
    is_system = not isinstance(message, LLMSpecificMessage) and message.get("role") == "system"
    return is_system and message is messages[0]


def _standard(messages: Sequence[Any]) -> list[Any]:
    """The messages that a session is told: neither other services' own ones nor the opening instruction."""
    return [m for m in messages if not isinstance(m, LLMSpecificMessage) and not _opens(m, messages)]


def _text(message: LLMContextMessage) -> str:
    return standard_message_text(message).strip()


def _as_input(message: Any) -> str:
    text = _text(message)
    return f"[Instruction: {text}]" if message.get("role") in _INSTRUCTION_ROLES else text


def _as_history(message: Any, names: dict[str, str], told_calls: set[str]) -> tuple[str, str]:
    """Word a context message for the session: (role, text); role ``call`` for a finished function call."""
    role = message.get("role")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        names[call["id"]] = f"{function['name']}({function['arguments']})"
    if message.get("tool_calls"):
        return "call", ""
    background = async_tool_messages.parse_message(message)
    call_id = background.tool_call_id if background else message.get("tool_call_id", "")
    if role == "tool" or background:
        result = background.result if background else message.get("content")
        over = background is None or background.kind == "final"
        if call_id in told_calls or not over or result in _NO_RESULT:
            return "call", ""
        return "call", f"[You already called {names.get(call_id, 'a function')}; it returned {result}]"
    if role in _INSTRUCTION_ROLES:
        return "user", _as_input(message)
    return ("model" if role == "assistant" else "user"), _text(message)


def _heard_note(heard: Sequence[Any]) -> str:
    """The short bracketed note that sets the model's memory right after an interruption (facts C5)."""
    words = " ".join(_text(message) for message in heard).split()
    if not words:
        return "[The user interrupted you before hearing anything of your last reply.]"
    quoted = " ".join(words[-HEARD_WORDS_IN_NOTE:])[-HEARD_CHARS_IN_NOTE:]
    lead = "... " if quoted != " ".join(words) else ""
    return f'[The user interrupted you. Of your last reply they heard only: "{lead}{quoted}"]'
