"""Writes calls into cassettes while they happen, without holding up the event loop."""

import asyncio
import base64
import datetime
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TextIO

from loguru import logger

from halfcascade.emulator.cassettes.cassette import SUFFIX, Cassette, Event, Side, Wire, event_line, head_line, query_of
from halfcascade.emulator.cassettes.redaction import Redactor
from halfcascade.emulator.errors import EmulatorError

_MOST_BYTES = 256 * 2**20


class Shelf:
    """A folder of cassettes that grows.

    Parameters:
        folder: Made if it is not there, for its owner alone.
        most_bytes: A call is written up to here; what comes later goes through unrecorded, with a warning.

    Raises:
        EmulatorError: If it cannot be written.
    """

    def __init__(self, folder: Path, most_bytes: int = _MOST_BYTES) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            number = max((int(path.name.partition("-")[0]) for path in folder.glob(f"[0-9]*-*{SUFFIX}")), default=0)
        except (OSError, ValueError) as error:
            raise EmulatorError(f"Cassettes cannot be written to {folder}: {error}.") from error
        if not os.access(folder, os.W_OK):
            raise EmulatorError(f"Cassettes cannot be written to {folder}: it is not yours to write to.")
        self._folder = folder
        self._number = number
        self._most_bytes = most_bytes
        # One thread keeps the lines of every file in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="cassettes")

    def begin(
        self,
        wire: Wire,
        label: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str],
        method: str = "",
    ) -> "Writer":
        """Begin a cassette.

        Args:
            wire: How the call goes.
            label: What its file is called, behind its number.
            path: Of the call.
            query: Of its URL.
            headers: Of its request, by name in lower case.
            method: HTTP method.
        """
        redactor = Redactor()
        redactor.learn_from(headers, query)
        self._number += 1
        target = redactor.text(path) + query_of(redactor.query(query))
        cassette = Cassette(wire, target, method, redactor.headers(headers))
        file = self._folder / f"{self._number:04}-{label}{SUFFIX}"
        return Writer(file, cassette, redactor, self._thread, self._most_bytes)

    async def close(self) -> None:
        """Wait until everything is written."""
        await asyncio.to_thread(self._thread.shutdown)


class Writer:
    """Writes one call.

    Parameters:
        path: The file.
        cassette: The call's head.
        redactor: Removes secrets.
        thread: Does the writing.
        most_bytes: Where it stops.
    """

    def __init__(
        self, path: Path, cassette: Cassette, redactor: Redactor, thread: ThreadPoolExecutor, most_bytes: int
    ) -> None:
        self.redactor = redactor
        self._path = path
        self._thread = thread
        self._left = most_bytes
        self._file: TextIO | None = None
        self._began = asyncio.get_running_loop().time()
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
        self._submit(head_line(cassette, now))

    def message(self, side: Side, data: str | bytes, parsed: Any = None) -> None:
        """Write down a message.

        Args:
            side: Who sent it.
            data: Its bytes or text.
            parsed: What it holds, where that is known already.
        """
        if parsed is None:
            parsed = _parsed(data)
        if parsed is not None:
            what = {"json": self.redactor.value(parsed)}
        elif isinstance(data, str) or _is_text(data):
            what = {"text": self.redactor.text(data if isinstance(data, str) else data.decode())}
        else:
            what = {"base64": base64.b64encode(self.redactor.data(data)).decode()}
        self._event(side, what)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Write down how an HTTP answer begins."""
        self._event("server", {"head": {"status": status, "headers": self.redactor.headers(headers)}})

    def end(self, side: Side, **how: Any) -> None:
        """Write down that no more comes from a side."""
        self._event(side, {"end": self.redactor.value(how)})

    def close(self) -> None:
        """Close the file once all is written."""
        self._thread.submit(self._close)

    def _event(self, side: Side, what: dict[str, Any]) -> None:
        at = asyncio.get_running_loop().time() - self._began
        self._submit(event_line(Event(at, side, what)))

    def _submit(self, line: str) -> None:
        if self._left <= 0:
            return
        self._left -= len(line) + 1
        if self._left <= 0:
            logger.warning(f"The cassette {self._path.name} is full: the rest of this call is not recorded.")
            return
        self._thread.submit(self._write, line)

    def _write(self, line: str) -> None:
        try:
            if self._file is None:
                number = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                self._file = os.fdopen(number, "w", encoding="utf-8")
            self._file.write(line + "\n")
            self._file.flush()
        except OSError as error:
            self._left = 0
            logger.warning(f"The cassette {self._path.name} cannot be written: {error.strerror or error}.")

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()


def _parsed(data: str | bytes) -> Any:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _is_text(data: bytes) -> bool:
    try:
        return data.decode().isprintable() or data.decode().replace("\r", "").replace("\n", "").isprintable()
    except UnicodeDecodeError:
        return False
