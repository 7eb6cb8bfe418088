"""Text that comes piece by piece for one call."""

import asyncio
from collections.abc import AsyncIterator


class TextFeed:
    """Holds what a call was given to say, from the beginning, so that the call can be made once more."""

    def __init__(self, text: str):
        """Begin.

        Args:
            text: The first piece.
        """
        self._texts = [text]
        self._closed = False
        self._changed = asyncio.Event()

    def add(self, text: str) -> None:
        """Take another piece.

        Args:
            text: The piece.
        """
        self._texts.append(text)
        self._changed.set()

    def close(self) -> None:
        """No more pieces will come."""
        self._closed = True
        self._changed.set()

    async def texts(self, start: int) -> AsyncIterator[str]:
        """Yield the pieces as they come, until the feed is closed.

        Args:
            start: Number of the first one, from 0.

        Yields:
            Text.
        """
        while True:
            while start < len(self._texts):
                start += 1
                yield self._texts[start - 1]
            if self._closed:
                return
            self._changed.clear()
            await self._changed.wait()
