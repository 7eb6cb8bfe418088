"""What waits for a thread that writes to disk, up to a size: a disk that hangs must not fill the memory."""

import queue
import threading
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_BYTES = 32 * 1024 * 1024
"""So much may wait: some three minutes of a talk's sound."""


class Backlog(Generic[T]):
    """A queue that never lets who puts something into it wait, and refuses what is too much.

    Args:
        most: Bytes that may wait.
    """

    def __init__(self, most: int = MOST_BYTES):
        self._most = most
        self._size = 0
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[tuple[T, int]] = queue.SimpleQueue()

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._size

    def put(self, item: T, size: int) -> bool:
        """Add an item, from any thread.

        Args:
            item: What is to be written.
            size: Bytes that it takes in memory, about; 0 always finds room.

        Returns:
            Whether there was room.
        """
        with self._lock:
            if size and self._size + size > self._most:
                return False
            self._size += size
        self._queue.put((item, size))
        return True

    def get(self, *, block: bool = True) -> T:
        """Take the oldest item.

        Args:
            block: Whether to wait for one.

        Raises:
            queue.Empty: If there is none, and that is not waited for.
        """
        item, size = self._queue.get(block)
        with self._lock:
            self._size -= size
        return item
