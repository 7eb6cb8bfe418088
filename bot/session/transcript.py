"""Who said what, as Markdown: a reducer of events and a renderer, both without I/O."""

import difflib
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from halfcascade.bot.harmless import harmless
from halfcascade.bot.session.events import Event, EventType
from halfcascade.processors.written import find_block

ALIVE = 32
"""Only so many of the last entries can still change: an event looks no further back, however long the talk is."""

# A document keeps what was said; only what nobody can have said is cut.
_LONGEST = 1_000_000


@dataclass
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


@dataclass
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
    unspoken: list[str] = field(default_factory=list)

    @property
    def closed(self) -> bool:
        """Whether nothing more of it can be heard."""
        return self.spoken or self.interrupted

    @property
    def heard_all(self) -> bool:
        """Whether as much was heard as there is text."""
        return self.ended and len(_letters(self.heard)[0]) >= len(_letters(self.text)[0])

    def split(self) -> tuple[str, str]:
        """Divide the text.

        Returns:
            What was heard, and what was not. A reply whose speech ended by itself was heard whole.
        """
        if self.spoken:
            return self.text, ""
        cut = reached_length(self.text, self.reached)
        if cut is None:
            cut = heard_length(self.text, self.heard)
        return self.text[:cut], self.text[cut:]

    def pieces(self) -> list[tuple[str, bool]]:
        """Divide the text, parts that the voice gave up included.

        Returns:
            Pieces that make up the text, each with whether it was heard.
        """
        heard, rest = self.split()
        found: list[tuple[str, bool]] = []
        for part in self.unspoken:
            if place := _find(part, heard):
                found += [(heard[: place[0]], True), (heard[place[0] : place[1]], False)]
                heard = heard[place[1] :]
        return [(text, was_heard) for text, was_heard in [*found, (heard, True), (rest, False)] if text.strip()]


@dataclass
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


@dataclass
class Prompt:
    """A turn that was sent to the brain in nobody's words: a timer that went off, or speech without words.

    Parameters:
        t: When, in seconds.
        text: What was sent.
    """

    t: float
    text: str


@dataclass
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
            (r for r in waiting if not r.ended or len(_letters(r.heard)[0]) < len(_letters(r.text)[0])), waiting[-1]
        )
        reply.heard += fields["text"]
        reply.reached += fields.get("written", fields["text"])

    def _on_unspoken(self, t: float, fields: Mapping[str, Any]) -> None:
        reply = next((r for r in self._replies() if not r.closed and _find(fields["text"], r.text)), None)
        if reply:
            reply.unspoken.append(fields["text"])

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


def reached_length(text: str, reached: str) -> int | None:
    """Find how far into a text a part of it reaches that was told piece by piece.

    Args:
        text: The reply.
        reached: Its beginning, spaces not counted.

    Returns:
        Number of the text's characters, or None if it does not begin like that.
    """
    place = 0
    for character in reached:
        if character.isspace():
            continue
        while place < len(text) and text[place].isspace():
            place += 1
        if text[place : place + 1] != character:
            return None
        place += 1
    return place if place else None


@functools.lru_cache(maxsize=512)
def heard_length(text: str, heard: str) -> int:
    """Find how far into a text its speech was heard.

    The voice reports words as it spoke them, which may differ from the text in case, punctuation and spacing, or
    where numbers and symbols were written out.

    Args:
        text: The reply.
        heard: The words reported.

    Returns:
        Number of the text's characters heard, punctuation that closes the last word included.
    """
    wanted, (key, places) = _letters(heard)[0], _letters(text)
    if key.startswith(wanted):
        count = len(wanted)
    else:
        blocks = difflib.SequenceMatcher(None, key, wanted, autojunk=False).get_matching_blocks()
        # A block of a letter or two at the far end is chance; the last real one says how far the speech came.
        count = max((block.a + block.size for block in blocks if block.size > 2), default=0)
    if not count:
        return 0
    end = places[count - 1] + 1
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return end


def _find(part: str, text: str) -> tuple[int, int] | None:
    """Find a part of a text by its letters, and give its place with the punctuation that closes it."""
    wanted, (key, places) = _letters(part)[0], _letters(text)
    at = key.find(wanted) if wanted else -1
    if at < 0:
        return None
    end = places[at + len(wanted) - 1] + 1
    while end < len(text) and not text[end].isalnum() and not text[end].isspace():
        end += 1
    return places[at], end


def _letters(text: str) -> tuple[str, list[int]]:
    """Letters and digits alone, in one case, and the place of each in the text."""
    found = [(letter, index) for index, character in enumerate(text) for letter in character.casefold()]
    kept = [(letter, index) for letter, index in found if letter.isalnum()]
    return "".join(letter for letter, _ in kept), [index for _, index in kept]


def render(transcript: Transcript, title: Mapping[str, Any]) -> str:
    """Write a transcript as Markdown.

    Args:
        transcript: The conversation.
        title: Facts for the head, such as backend, model and voice.

    Returns:
        The document.
    """
    lines = (line_of(entry) for entry in transcript.entries)
    return head(title) + "".join(f"{line}\n\n" for line in lines if line)


def head(title: Mapping[str, Any]) -> str:
    """Write the head of a transcript.

    Args:
        title: Facts such as backend, model and voice.
    """
    return f"# Conversation\n\n{', '.join(f'{key} {value}' for key, value in title.items() if value)}\n\n"


def line_of(entry: Entry) -> str:
    """Write one entry as Markdown.

    Args:
        entry: The entry.

    Returns:
        One line; empty if there is nothing to say.
    """
    if isinstance(entry, UserSaid):
        aside = " *(in passing)*" if entry.backchannel else ""
        return f"**User** ({_time(entry.t)}): {_flat(entry.text)}{aside}"
    if isinstance(entry, BotSaid):
        if not entry.text.strip():
            return ""
        pieces = [(part, heard) for piece, heard in entry.pieces() for part in _prose_and_blocks(piece)]
        parts = [part if heard else f"~~{_flat(part)}~~" for part, heard in pieces]
        if entry.opener:
            parts.append("*(while the answer was on its way)*")
        if entry.interrupted and pieces and not pieces[-1][1]:
            parts.append("*(interrupted)*")
        return f"**Bot** ({_time(entry.t)}): {' '.join(parts)}".rstrip()
    if isinstance(entry, ToolUsed):
        result = "…" if entry.result is None else json.dumps(entry.result, ensure_ascii=False, default=str)
        arguments = json.dumps(entry.arguments, ensure_ascii=False, default=str)
        return f"> ({_time(entry.t)}) tool `{_flat(entry.name)}` {_flat(arguments)} → {_flat(result)}"
    if isinstance(entry, Prompt):
        return f"> ({_time(entry.t)}) the bot was told: {_flat(entry.text)}"
    return f"> ({_time(entry.t)}) error: {_flat(entry.message)}"


@dataclass(frozen=True)
class Part:
    """A stretch of a reply.

    Parameters:
        text: As it is written, without white space around it.
        shown: Whether it is only looked at: code, a table, a picture, a formula.
    """

    text: str
    shown: bool


def parts_of(text: str) -> Iterator[Part]:
    """Tell apart what of a reply is said and what is only looked at.

    Args:
        text: A reply, or the beginning or the end of one.

    Yields:
        Its parts, in order; comments, which are neither, are left out.
    """
    while text.strip():
        block = find_block(text, line_start=True, complete=True)
        start, end = (block.start, block.end or len(text)) if block else (len(text), len(text))
        if prose := text[:start].strip():
            yield Part(prose, shown=False)
        if block and block.kind != "silent" and (shown := text[start:end].strip()):
            yield Part(shown, shown=True)
        text = text[end:]


def _prose_and_blocks(text: str) -> Iterator[str]:
    """What is said as one line, what is only looked at as it is written."""
    for part in parts_of(text):
        if part.shown:
            yield f"\n\n{part.text}\n\n"
        elif prose := _flat(part.text):
            yield prose


def _flat(text: str) -> str:
    return " ".join(harmless(text, longest=_LONGEST).split())


def _time(t: float) -> str:
    return f"{int(t // 60):02d}:{t % 60:04.1f}"


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
