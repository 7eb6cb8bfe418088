"""What the server's session holds, what the user really heard, and how the two are brought together.

The server keeps everything it sent us as said (facts/live#interruption), while the user hears it seconds later through
another voice, or never. The assistant aggregator's context is the truth: it holds spoken text only. This module
compares both and finds what has to be told with the next turn: a short note after an interruption, messages the session
missed, and the seed of a fresh session. No I/O.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.context_messages import (
    as_history,
    as_input,
    is_input,
    is_late_result,
    is_told,
    newest,
    role_of,
    tell_all,
    text_of,
    to_contents,
)
from halfcascade.processors.gemini_live.protocol.text import letters

_TELLING_LETTERS = 12  # fewer are found in any text by chance


@dataclass(slots=True)
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
    calls: Sequence[str] = ()
    turn: int = 0
    cut: bool = False
    unfinished: bool = False
    corrects: Sequence["Entry"] = ()
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
    def said(self) -> str:
        """What the user said in it, and nothing else."""
        return "\n".join(text for message in self.messages if role_of(message) == "user" and (text := text_of(message)))

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
        told = [wording.earlier(role, text) for role, text in self.earlier]
        return "\n".join(part for part in (*told, self.note, self.text) if part)


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
        settled = messages[:-1] if provisional else messages
        for entry in [entry for entry in self._entries if entry.provisional]:
            self.confirm(entry.turn, settled)
        known = self._known()
        new: list[Any] = []
        for message in reversed(messages):
            if not is_told(message, messages) or is_late_result(message):
                continue  # the result itself goes to the model as a function response
            if id(message) in known or not is_input(message):
                break
            new.insert(0, message)
        if not any(text_of(message) for message in new):
            return None
        text = "\n".join(as_input(message) for message in new if text_of(message))
        return Turn(number, text, tuple(new), messages, provisional)

    def is_only_told(self, messages: Sequence[Any]) -> bool:
        """Tell whether the user's newest message is in the session's memory without ever having been asked.

        That is so where a fresh session was told the conversation just before the turn came to be asked.

        Args:
            messages: All messages of the context.
        """
        newest_one = next((message for message in reversed(messages) if is_told(message, messages)), None)
        if newest_one is None or role_of(newest_one) != "user":
            return False
        holders = [entry for entry in self._entries if any(message is newest_one for message in entry.messages)]
        return bool(holders) and not any(entry.turn for entry in holders)

    def confirm(self, number: int, messages: Sequence[Any], before: Sequence[Any] = ()) -> Any | None:
        """A turn that was taken provisionally has ended with the same words; find what stands for it in the context.

        Args:
            number: Number of the turn.
            messages: All messages of the context.
            before: Those that were there when it was taken.

        Returns:
            The message, or None if it is not there yet: the next turn that is taken finds it then.
        """
        known = self._known() | {id(message) for message in before}
        message = next((one for one in messages if id(one) not in known and role_of(one) == "user"), None)
        entry = next((entry for entry in self._entries if entry.provisional and entry.turn == number), None)
        if entry is not None and message is not None:
            entry.messages[-1] = message
            entry.provisional = False
        return message

    # What was sent and said.

    def compose(self, turn: Turn) -> Composed:
        """Word a turn for the session as it is now, and take it as told.

        Args:
            turn: What to send. The same turn may be composed again after a rollback.

        Returns:
            What to write.
        """
        self._match_heard(turn)
        earlier, calls, covered = self._missed(turn)
        corrected = {id(entry) for later in self._entries for entry in later.corrects}
        cut = [entry for entry in self._entries if entry.cut and id(entry) not in corrected]
        notes = [wording.heard_note(" ".join(map(text_of, entry.messages))) for entry in cut[-1:]] + calls
        if covered:
            self._entries.append(Entry("user", messages=covered))
        self._entries.append(
            Entry(
                "user",
                turn.text,
                messages=list(turn.messages),
                turn=turn.number,
                corrects=tuple(cut),
                provisional=turn.provisional,
            )
        )
        return Composed(tuple(earlier), "\n".join(notes), turn.text)

    def _missed(self, turn: Turn) -> tuple[list[tuple[str, str]], list[str], list[Any]]:
        """What of a turn's context the session has not seen: words by role, results of calls, and their messages."""
        known = self._known() | {id(message) for message in turn.messages}
        told_calls = {call_id for entry in self._entries for call_id in entry.calls}
        names: dict[str, str] = {}
        covered = [m for m in turn.context if id(m) not in known and is_told(m, turn.context)]
        worded = [as_history(message, names, told_calls) for message in covered]
        earlier = [(role, text) for role, text in worded if text and role != "call"]
        calls = [text for role, text in worded if text and role == "call"]
        return earlier, calls, covered

    def said(self, turn: int, text: str) -> None:
        """The model said something that was passed on to be spoken.

        Args:
            turn: Number of the turn.
            text: A stretch of text.
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
        self._entries.append(Entry("user", calls=(call_id,)))

    def withdraw(self, turn: int) -> None:
        """A turn was sent too early: no message of the context stands for it.

        Args:
            turn: Its number.
        """
        for entry in self._entries:
            if entry.turn == turn and entry.role == "user":
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
        present = {id(message) for message in messages}
        for entry in self._entries:
            # The newest message of a turn that is not confirmed stands in a copy of the context.
            settled = entry.messages[:-1] if entry.provisional else entry.messages
            if not all(id(message) in present for message in settled):
                return True
        return False

    def forget(self) -> None:
        """The session is a new one and holds nothing."""
        self._entries.clear()

    def can_seed(self, messages: Sequence[Any], exclude: Sequence[Any] = ()) -> bool:
        """Tell whether there is a history for a fresh session.

        Args:
            messages: All messages of the context.
            exclude: Messages that will be sent as a turn.
        """
        return bool(tell_all(messages, exclude)[0])

    def seed(self, messages: Sequence[Any], exclude: Sequence[Any] = ()) -> list[types.Content]:
        """Make the history of a fresh session from the context, which knows only what was heard.

        Args:
            messages: All messages of the context.
            exclude: Messages that will be sent as a turn.

        Returns:
            Contents, oldest first; empty if there is no history.
        """
        self.forget()
        told, covered = tell_all(messages, exclude)
        if covered:
            self._entries.append(Entry("user", messages=covered))
        return to_contents(newest(told))

    # Matching what was said with what was heard.

    def _known(self) -> set[int]:
        return {id(message) for entry in self._entries for message in entry.messages}

    def _match_heard(self, turn: Turn) -> None:
        """Find for each thing the model said the context's message of what was heard of it."""
        unmatched = [entry for entry in self._entries if entry.role == "model" and entry.turn and not entry.messages]
        for message in self._newly_heard(turn):
            words = letters(text_of(message))
            owner = next((entry for entry in unmatched if _tells_of(letters(entry.text), words)), None)
            if owner is not None:
                owner.messages.append(message)
                if letters(owner.text) == words:
                    owner.text = text_of(message)  # the same words are kept once
        for entry in unmatched:
            if entry.cut and not entry.unfinished and entry.messages:
                # All of it may have been heard before the user spoke.
                entry.cut = letters("".join(map(text_of, entry.messages))) != letters(entry.text)

    def _newly_heard(self, turn: Turn) -> list[Any]:
        """The context's messages of what was heard that belong to nothing the model is known to have said."""
        known = self._known() | {id(message) for message in turn.messages}
        heard = [message for message in turn.context if role_of(message) == "assistant" and text_of(message)]
        return [message for message in heard if id(message) not in known]


def _tells_of(said: str, heard: str) -> bool:
    """Whether a heard text is (part of) what the model said; fillers may stand around it."""
    if not said or not heard:
        return False
    whole = min(len(said), len(heard)) >= _TELLING_LETTERS
    at_an_end = said.startswith(heard) or heard.startswith(said) or heard.endswith(said)
    inside = heard in said or said in heard or said[:_TELLING_LETTERS] == heard[:_TELLING_LETTERS]
    return at_an_end or (whole and inside)
