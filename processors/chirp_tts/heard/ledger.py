"""The one account of what was to be said: what was sent, heard, cut off, skipped."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EntryKind = Literal["sent", "heard", "cut", "skipped"]
NEWEST = 2000
"""How many entries are kept: some two hours of short answers. Whoever needs more listens."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One thing that happened to text that was to be spoken.

    Parameters:
        at: Pipeline clock, in seconds.
        kind: ``sent`` to synthesis (a segment; from the cache if ``reason`` is ``cache``), ``heard`` (a word), ``cut``
            (the rest of a segment, by an interruption), ``skipped`` (never spoken, ``reason`` says why).
        speech: Which utterance: the id of its audio context.
        text: The text as spoken.
        reason: Why, where that is not obvious.
    """

    at: float
    kind: EntryKind
    speech: str
    text: str
    reason: str = ""


class HeardLedger:
    """Entries in the order in which things happened; of a long conversation only the newest are kept."""

    def __init__(self) -> None:
        """Initialize empty."""
        self._entries: deque[LedgerEntry] = deque(maxlen=NEWEST)
        self._listeners: list[Callable[[LedgerEntry], None]] = []

    @property
    def entries(self) -> tuple[LedgerEntry, ...]:
        """The newest entries, oldest first."""
        return tuple(self._entries)

    def add(self, entry: LedgerEntry) -> None:
        """Append an entry.

        Args:
            entry: What happened.
        """
        self._entries.append(entry)
        for listener in self._listeners:
            listener(entry)

    def listen(self, listener: Callable[[LedgerEntry], None]) -> None:
        """Have every later entry told.

        Args:
            listener: Called at once with each entry; must not block.
        """
        self._listeners.append(listener)

    def texts(self, kind: EntryKind, speech: str | None = None) -> list[str]:
        """Texts of one kind.

        Args:
            kind: Which kind.
            speech: Only of this utterance, or None for all.

        Returns:
            The texts, oldest first.
        """
        return [e.text for e in self._entries if e.kind == kind and speech in (None, e.speech)]
