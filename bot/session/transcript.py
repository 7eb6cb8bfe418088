"""Who said what: a reducer of events, without I/O."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.reply_text import find_part, heard_length, letters, reached_length

ALIVE = 32
"""Only so many of the last entries can still change: an event looks no further back, however long the talk is."""


@dataclass(slots=True)
class UserSaid:
    """What the user said in one turn.

    Parameters:
        t: When the speech began, in seconds.
        text: The words understood.
        open: Whether more words may come.
        backchannel: Whether it took no turn.
    """

    t: float
    text: str = ""
    open: bool = True
    backchannel: bool = False


class Fate(StrEnum):
    """What became of a piece of a reply."""

    HEARD = "heard"
    SKIPPED = "skipped"
    """The voice gave it up; what follows was heard."""
    REST = "rest"
    """Nobody heard it, or not yet."""


@dataclass(frozen=True)
class Piece:
    """A stretch of a reply.

    Parameters:
        text: As it is written.
        fate: What became of it.
    """

    text: str
    fate: Fate


@dataclass(slots=True)
class BotSaid:
    """One reply.

    Parameters:
        t: When its text began to come, in seconds.
        text: All of it, as given to the voice.
        heard: What of it was heard, as the voice reported it.
        opener: Whether it was only said because the answer was slow.
        reached: What of the text was heard or shown, as it is written.
        ended: Whether the text is complete.
        spoken: Whether its speech ended by itself.
        interrupted: Whether the user cut it short.
        unspoken: Parts that the voice gave up, in order.
    """

    t: float
    text: str = ""
    heard: str = ""
    opener: bool = False
    reached: str = ""
    ended: bool = False
    spoken: bool = False
    interrupted: bool = False
    unspoken: Sequence[str] = ()

    def settle(self) -> None:
        """Nothing of it changes any more: keep texts that are the same once."""
        self.heard, self.reached = (
            self.text if same.strip() == self.text.strip() else same for same in (self.heard, self.reached)
        )

    @property
    def closed(self) -> bool:
        """Whether nothing more of it can be heard."""
        return self.spoken or self.interrupted

    @property
    def heard_all(self) -> bool:
        """Whether as much was heard as there is text."""
        return self.ended and len(letters(self.heard)[0]) >= len(letters(self.text)[0])

    def pieces(self) -> list[Piece]:
        """Divide the text by what became of it.

        Returns:
            Pieces that make up the text, white space between them aside. A reply whose speech ended by itself was heard
            but for what the voice gave up.
        """
        end = len(self.text) if self.spoken else reached_length(self.text, self.reached)
        end = heard_length(self.text, self.heard) if end is None else end
        heard, rest = self.text[:end], self.text[end:]
        found: list[Piece] = []
        for part in self.unspoken:
            if place := find_part(part, heard):
                found += [Piece(heard[: place[0]], Fate.HEARD), Piece(heard[place[0] : place[1]], Fate.SKIPPED)]
                heard = heard[place[1] :]
        found += [Piece(heard, Fate.HEARD), Piece(rest, Fate.REST)]
        return [piece for piece in found if piece.text.strip()]

    @property
    def heard_text(self) -> str:
        """What of the text was heard, or shown, as it is written."""
        return " ".join(piece.text.strip() for piece in self.pieces() if piece.fate is Fate.HEARD)


@dataclass(slots=True)
class ToolUsed:
    """One tool call.

    Parameters:
        t: When it was made, in seconds.
        name: The tool.
        id: Of the call.
        arguments: What it was called with.
        result: What it returned, or None as long as it runs.
    """

    t: float
    name: str
    id: str
    arguments: Any = None
    result: Any = None


@dataclass(slots=True)
class Prompt:
    """A turn that was sent to the brain in nobody's words: a timer that went off, or speech without words.

    Parameters:
        t: When, in seconds.
        text: What was sent.
    """

    t: float
    text: str


@dataclass(slots=True)
class Problem:
    """One error.

    Parameters:
        t: When, in seconds.
        message: One line.
        permanent: Whether the conversation cannot go on.
    """

    t: float
    message: str
    permanent: bool = False


Entry = UserSaid | BotSaid | ToolUsed | Prompt | Problem


@dataclass
class Transcript:
    """A conversation as it grows, fed with events.

    Parameters:
        entries: Everything said and done, in the order in which it began.
    """

    entries: list[Entry] = field(default_factory=list)
    _speech_began: float | None = None
    _turn_open: bool = False
    _words_came: bool = False
    # What this turn has been sent as; its final words may come later, if it was sent before it ended.
    _sent: UserSaid | None = None

    def apply(self, event: Event) -> bool:
        """Take an event.

        Args:
            event: Any event.

        Returns:
            Whether the transcript changed.
        """
        handler = _HANDLERS.get(event.type)
        if handler is None:
            return False
        handler(self, event.t, event.fields)
        return True

    def _on_user_started(self, t: float, fields: Mapping[str, Any]) -> None:
        # A turn begins with its first speech, however many pauses it has.
        if not self._turn_open:
            self._sent = None
            self._speech_began = fields.get("speech_at", t)

    def _on_turn_started(self, t: float, fields: Mapping[str, Any]) -> None:
        self._turn_open = True
        self._sent = None

    def _on_turn_ended(self, t: float, fields: Mapping[str, Any]) -> None:
        self._turn_open = False
        self._sent = None

    def _on_interim(self, t: float, fields: Mapping[str, Any]) -> None:
        self._words_came = self._words_came or bool(fields["text"])

    def _on_final(self, t: float, fields: Mapping[str, Any]) -> None:
        if not fields["text"] or self._sent:
            return
        self._words_came = True
        user = self._open_user() or self._new_user(t)
        user.text = f"{user.text} {fields['text']}".strip()

    def _on_typed(self, t: float, fields: Mapping[str, Any]) -> None:
        self.entries.append(UserSaid(t, fields["text"]))

    def _on_turn_sent(self, t: float, fields: Mapping[str, Any]) -> None:
        user = self._open_user() or self._sent
        if fields.get("attempt", 1) > 1 and not user:
            return
        prompt = fields.get("prompt", "")
        if prompt or (not user and not self._words_came):
            self.entries.append(Prompt(t, prompt or fields["text"]))
            return
        user = user or self._new_user(t)
        user.text = fields["text"] or user.text
        user.open = False
        self._sent = user
        self._words_came = False

    def _on_turn_reopened(self, t: float, fields: Mapping[str, Any]) -> None:
        first = max(0, len(self.entries) - ALIVE)
        said = [(place, entry) for place, entry in enumerate(self._alive, first) if isinstance(entry, UserSaid)]
        if not said:
            return
        place, user = said[-1]
        user.open = self._words_came = True
        self._sent = None
        # An answer that nobody heard was never given.
        after = [entry for entry in self.entries[place + 1 :] if not isinstance(entry, BotSaid) or entry.heard]
        self.entries[place + 1 :] = after

    def _on_asked_too_early(self, t: float, fields: Mapping[str, Any]) -> None:
        if self._sent is not None:
            self._on_turn_reopened(t, fields)

    def _on_backchannel(self, t: float, fields: Mapping[str, Any]) -> None:
        user = self._open_user() or self._new_user(t)
        user.text = user.text or fields["text"]
        user.backchannel = True
        user.open = False

    def _on_reply_started(self, t: float, fields: Mapping[str, Any]) -> None:
        self._end_text()
        self.entries.append(BotSaid(t, opener=fields.get("opener", False)))
        self._settle()

    def _on_reply_text(self, t: float, fields: Mapping[str, Any]) -> None:
        reply = next((r for r in self._replies() if not r.ended and not r.interrupted), None)
        if not reply:
            reply = BotSaid(t)
            self.entries.append(reply)
        reply.text += fields["text"]

    def _on_reply_ended(self, t: float, fields: Mapping[str, Any]) -> None:
        self._end_text()

    def _on_heard(self, t: float, fields: Mapping[str, Any]) -> None:
        waiting = [r for r in self._replies() if not r.closed and r.text.strip()]
        if not waiting:
            return
        # Speech lags behind text, and a second reply (after a tool) may be waiting behind the first.
        reply = next(
            (r for r in waiting if not r.ended or len(letters(r.heard)[0]) < len(letters(r.text)[0])), waiting[-1]
        )
        reply.heard += fields["text"]
        reply.reached += fields.get("written", fields["text"])

    def _on_unspoken(self, t: float, fields: Mapping[str, Any]) -> None:
        reply = next((r for r in self._replies() if not r.closed and find_part(fields["text"], r.text)), None)
        if reply:
            reply.unspoken = (*reply.unspoken, fields["text"])

    def _on_shown(self, t: float, fields: Mapping[str, Any]) -> None:
        reply = next((r for r in self._replies() if not r.closed and r.text.strip()), None)
        if reply:
            reply.reached += fields["text"]

    def _on_speaking_stopped(self, t: float, fields: Mapping[str, Any]) -> None:
        for reply in self._replies():
            if reply.ended and reply.heard and not reply.closed:
                reply.spoken = True

    def _on_interrupted(self, t: float, fields: Mapping[str, Any]) -> None:
        for reply in self._replies():
            if not reply.closed:
                reply.interrupted = reply.ended = True

    def _on_tool_call(self, t: float, fields: Mapping[str, Any]) -> None:
        self.entries.append(ToolUsed(t, fields["name"], fields["id"], fields["arguments"]))

    def _on_tool_result(self, t: float, fields: Mapping[str, Any]) -> None:
        for entry in self._alive:
            if isinstance(entry, ToolUsed) and entry.id == fields["id"]:
                entry.result = fields["result"]

    def _on_error(self, t: float, fields: Mapping[str, Any]) -> None:
        self.entries.append(Problem(t, fields["message"], fields.get("permanent", False)))

    def _replies(self) -> Iterator[BotSaid]:
        return (entry for entry in self._alive if isinstance(entry, BotSaid))

    def _settle(self) -> None:
        # Whatever was added since the last reply, too: a turn may be said in several entries.
        for entry in self.entries[-2 * ALIVE : -ALIVE]:
            if isinstance(entry, BotSaid):
                entry.settle()

    def _end_text(self) -> None:
        for reply in self._replies():
            reply.ended = True

    def _open_user(self) -> UserSaid | None:
        return next((e for e in reversed(self._alive) if isinstance(e, UserSaid) and e.open), None)

    @property
    def _alive(self) -> list[Entry]:
        return self.entries[-ALIVE:]

    def _new_user(self, t: float) -> UserSaid:
        user = UserSaid(t if self._speech_began is None else self._speech_began)
        self._speech_began = None
        self.entries.append(user)
        return user


_HANDLERS: Mapping[EventType, Callable[[Transcript, float, Mapping[str, Any]], None]] = {
    EventType.USER_STARTED: Transcript._on_user_started,
    EventType.TURN_STARTED: Transcript._on_turn_started,
    EventType.TURN_ENDED: Transcript._on_turn_ended,
    EventType.INTERIM: Transcript._on_interim,
    EventType.FINAL: Transcript._on_final,
    EventType.TYPED: Transcript._on_typed,
    EventType.TURN_SENT: Transcript._on_turn_sent,
    EventType.TURN_REOPENED: Transcript._on_turn_reopened,
    EventType.ASKED_TOO_EARLY: Transcript._on_asked_too_early,
    EventType.BACKCHANNEL: Transcript._on_backchannel,
    EventType.REPLY_STARTED: Transcript._on_reply_started,
    EventType.REPLY_TEXT: Transcript._on_reply_text,
    EventType.REPLY_ENDED: Transcript._on_reply_ended,
    EventType.HEARD: Transcript._on_heard,
    EventType.UNSPOKEN: Transcript._on_unspoken,
    EventType.SHOWN: Transcript._on_shown,
    EventType.SPEAKING_STOPPED: Transcript._on_speaking_stopped,
    EventType.INTERRUPTED: Transcript._on_interrupted,
    EventType.TOOL_CALL: Transcript._on_tool_call,
    EventType.TOOL_RESULT: Transcript._on_tool_result,
    EventType.ERROR: Transcript._on_error,
}
