"""What the emulated services received and sent, for tests and benches to look at."""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from halfcascade.emulator.faults import Api


@dataclass(frozen=True)
class LogEntry:
    """One thing that happened.

    Parameters:
        at: ``time.monotonic()`` seconds, on the server's side of the emulated network.
        api: Where.
        stream: Number of the stream or call within the emulator, from 1.
        event: What: ``open``, ``config``, ``audio``, ``text``, ``result``, ``half_close``, ``error``, ``close``, ...
        data: The event's own fields.
    """

    at: float
    api: Api
    stream: int
    event: str
    data: dict[str, Any] = field(default_factory=dict)


class UsageLog:
    """An append-only list of what happened, in order.

    Parameters:
        keep: Forget the oldest beyond so many entries; None = keep all. A stream adds about 50 a second.
    """

    def __init__(self, keep: int | None = None) -> None:
        self._entries: deque[LogEntry] = deque(maxlen=keep)
        self._streams = 0
        self._waiting: list[asyncio.Future[None]] = []

    def __iter__(self) -> Iterator[LogEntry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def open_stream(self) -> int:
        """Number a new stream."""
        self._streams += 1
        return self._streams

    def add(self, api: Api, stream: int, event: str, **data: Any) -> None:
        """Write down one thing.

        Args:
            api: Where.
            stream: Number from ``open_stream``.
            event: What.
            data: Its fields.
        """
        self._entries.append(LogEntry(time.monotonic(), api, stream, event, data))
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def wait(self, api: Api, event: str, count: int = 1) -> LogEntry:
        """Wait until something has happened. Surround it with a time limit of your own.

        Args:
            api: Where.
            event: What.
            count: How often, those before included.

        Returns:
            The entry of the last of them.
        """
        while len(found := self.find(api, event)) < count:
            future = asyncio.get_running_loop().create_future()
            self._waiting.append(future)
            await future
        return found[count - 1]

    def find(self, api: Api | None = None, event: str | None = None, stream: int | None = None) -> list[LogEntry]:
        """Select entries.

        Args:
            api: Only of this API.
            event: Only this event.
            stream: Only of this stream.

        Returns:
            What matches, in order.
        """
        return [
            entry
            for entry in self._entries
            if (api is None or entry.api == api)
            and (event is None or entry.event == event)
            and (stream is None or entry.stream == stream)
        ]

    def streams(self, api: Api) -> list[int]:
        """List the numbers of an API's streams and calls, in the order in which they began."""
        return list(dict.fromkeys(entry.stream for entry in self._entries if entry.api == api))

    def clear(self) -> None:
        """Forget everything so far; stream numbers go on."""
        self._entries.clear()
