"""What a page shows of a talk: the entries of its transcript, as messages, each time one has changed. No I/O."""

from typing import Any

from halfcascade.bot.session.events import Event
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.reply_text import parts_of
from halfcascade.bot.session.transcript import BotSaid, Entry, Fate, Problem, ToolUsed, UserSaid

Message = dict[str, Any]

# Older entries are settled: only the last few of a transcript change.
_RECENT = 8
_STAGES = ("final", "turn_sent", "first_text", "first_audio", "heard")


class Captions:
    """Turns what happens into messages for a page.

    Messages are ``{"kind": "user", "id", "text", "open", "aside"}``, ``{"kind": "bot", "id", "heard", "parts", "rest",
    "interrupted", "closed"}`` (``parts`` is what was heard and shown so far, each with ``text``, whether it is
    ``shown`` only and whether the voice has ``skipped`` it), ``{"kind": "tool", "id", "name", "done"}``, ``{"kind":
    "interim", "text"}``, ``{"kind": "problem", "text"}``, ``{"kind": "latency", "ms"}`` (by stage, since the user's
    last sound), and ``{"kind": "gone", "id"}`` for an entry that was taken back. A message replaces the earlier one of
    its ``id``.

    Args:
        hub: Where all that happens in the talk comes together.
    """

    def __init__(self, hub: EventHub):
        self._hub = hub
        # Entries are known by identity, and held so that it stays theirs: one may be taken back from among the others.
        self._known: dict[int, tuple[Entry, int]] = {}
        self._told: dict[int, Message] = {}
        self._timed = 0

    def apply(self, event: Event) -> list[Message]:
        """Take an event that the hub has taken already.

        Args:
            event: Any event.

        Returns:
            What a page has to be told.
        """
        messages: list[Message] = []
        if event.type == "interim":
            messages.append({"kind": "interim", "text": event.fields["text"]})
        elif event.type in ("final", "turn_sent", "backchannel"):
            messages.append({"kind": "interim", "text": ""})
        return [*messages, *self._changes(), *self._latency()]

    def so_far(self) -> list[Message]:
        """Everything that is shown now, for a page that has just come."""
        return [self._told[number] for number in sorted(self._told)]

    def _changes(self) -> list[Message]:
        entries = self._hub.transcript.entries[-_RECENT:]
        numbers = [self._known.setdefault(id(entry), (entry, len(self._known)))[1] for entry in entries]
        gone = [number for number in self._told if number > min(numbers, default=0) and number not in numbers]
        for number in gone:
            del self._told[number]
        messages: list[Message] = [{"kind": "gone", "id": number} for number in gone]
        for entry, number in zip(entries, numbers, strict=True):
            message = _described(entry, number)
            if message and self._told.get(number) != message:
                self._told[number] = message
                messages.append(message)
        return messages

    def _latency(self) -> list[Message]:
        turns = self._hub.metrics.turns
        if not turns or turns[-1].number <= self._timed or turns[-1].latency_ms is None:
            return []
        self._timed = turns[-1].number
        stages = turns[-1].stages_ms()
        return [{"kind": "latency", "ms": {name: stages[name] for name in _STAGES if name in stages}}]


def _described(entry: Entry, number: int) -> Message | None:
    match entry:
        case UserSaid():
            return {"kind": "user", "id": number, "text": entry.text, "open": entry.open, "aside": entry.backchannel}
        case BotSaid() if entry.text.strip():
            reply = _reply(entry)
            ended = {"interrupted": entry.interrupted, "closed": entry.closed}
            return {"kind": "bot", "id": number, **reply, **ended}
        case ToolUsed():
            return {"kind": "tool", "id": number, "name": entry.name, "done": entry.result is not None}
        case Problem():
            return {"kind": "problem", "id": number, "text": entry.message}
    return None


def _reply(entry: BotSaid) -> Message:
    pieces = entry.pieces()
    parts = [
        (part, piece.fate is Fate.SKIPPED)
        for piece in pieces
        if piece.fate is not Fate.REST
        for part in parts_of(piece.text)
    ]
    return {
        "heard": " ".join(part.text for part, skipped in parts if not part.shown and not skipped),
        "parts": [{"text": part.text, "shown": part.shown, "skipped": skipped} for part, skipped in parts],
        "rest": "".join(piece.text for piece in pieces if piece.fate is Fate.REST),
    }
