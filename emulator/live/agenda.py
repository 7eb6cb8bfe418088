"""Things to be done at a time, without a clock: the caller tells what time it is."""

import heapq
import itertools
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field


@dataclass(order=True)
class _Entry:
    at: float
    number: int
    action: Callable[[float], None] = field(compare=False)
    group: Hashable = field(compare=False, default=None)


class Agenda:
    """Actions ordered by time; those of one time keep the order in which they were added."""

    def __init__(self) -> None:
        self._entries: list[_Entry] = []
        self._numbers = itertools.count()

    @property
    def next_at(self) -> float | None:
        """When the next action is due, or None if there is none."""
        return self._entries[0].at if self._entries else None

    def add(self, at: float, action: Callable[[float], None], group: Hashable = None) -> None:
        """Add an action.

        Args:
            at: When it is due.
            action: Called with that time.
            group: For ``cancel``.
        """
        heapq.heappush(self._entries, _Entry(at, next(self._numbers), action, group))

    def cancel(self, group: Hashable) -> None:
        """Take out every action of a group."""
        self._entries = [entry for entry in self._entries if entry.group != group]
        heapq.heapify(self._entries)

    def clear(self) -> None:
        """Take out everything."""
        self._entries.clear()

    def run(self, now: float) -> None:
        """Do what is due, also what becomes due meanwhile."""
        while self._entries and self._entries[0].at <= now:
            entry = heapq.heappop(self._entries)
            entry.action(entry.at)
