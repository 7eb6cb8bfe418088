"""Keeps what audio libraries print off the terminal."""

import contextlib
import ctypes
import ctypes.util
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

from loguru import logger


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what audio libraries print on stderr off the terminal; it goes to the debug log.

    ALSA and JACK get silent error handlers once, for good: they complain from device threads at any time. What else
    prints does so while devices are listed or opened, so the file descriptor is turned away meanwhile. Threads may
    overlap: the last one out turns it back.
    """
    _silence_libraries()
    _stderr.enter()
    try:
        yield
    finally:
        _stderr.leave()


class _StderrAside:
    """File descriptor 2, led to a temporary file while anybody is inside."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = -1
        self._file: Any = None

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside > 1:
                return
            try:
                self._saved = os.dup(2)
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the last thread to leave
                os.dup2(self._file.fileno(), 2)
            except OSError:
                self._saved = -1  # no stderr, or no room for a file: let them print

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside or self._saved < 0:
                return
            os.dup2(self._saved, 2)
            os.close(self._saved)
            self._saved = -1
            self._file.seek(0)
            said = self._file.read().decode(errors="replace")
            self._file.close()
        for line in said.splitlines():
            logger.debug(f"audio library: {line}")


_stderr = _StderrAside()
_silenced = threading.Event()


def _silence_libraries() -> None:
    if _silenced.is_set() or sys.platform != "linux":
        return
    _silenced.set()
    # The handler must be C code, for it is called on device threads without Python's lock: any function that
    # ignores its arguments will do.
    with contextlib.suppress(OSError, AttributeError):
        handler = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
        for library, names in (
            ("asound", ("snd_lib_error_set_handler",)),
            ("jack", ("jack_set_error_function", "jack_set_info_function")),
        ):
            with contextlib.suppress(OSError, AttributeError):
                loaded = ctypes.CDLL(ctypes.util.find_library(library) or f"lib{library}.so")
                for name in names:
                    getattr(loaded, name)(handler)
