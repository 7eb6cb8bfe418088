"""Cassettes: one call a file, as JSON lines. The format is described in ``docs/emulator.md``.

The first line is the head; every further line is one thing that the client or the server did, in order, with the
seconds since the call began. A file that ends early, as after a crash, is a call that was cut off there.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from halfcascade.emulator.errors import EmulatorError

FORMAT = 1
SUFFIX = ".jsonl"
Wire = Literal["websocket", "grpc", "http"]
Side = Literal["client", "server"]
_SIDES = ("client", "server")


@dataclass(frozen=True)
class Event:
    """One thing that one side did.

    Parameters:
        at: Seconds since the call began.
        side: Who.
        what: Exactly one of: ``json`` (a message), ``text``, ``base64`` (what is neither), ``head`` (status and headers
            of an HTTP answer), ``end`` (no more comes from there: how it ended).
    """

    at: float
    side: Side
    what: dict[str, Any]

    @property
    def is_message(self) -> bool:
        """Whether it carries content."""
        return bool(self.what.keys() & {"json", "text", "base64"})

    def content(self) -> bytes:
        """Give a message's bytes; JSON as UTF-8."""
        if "base64" in self.what:
            return base64.b64decode(self.what["base64"])
        text = self.what["text"] if "text" in self.what else json.dumps(self.what["json"], ensure_ascii=False)
        return str(text).encode(errors="replace")


@dataclass
class Cassette:
    """One call.

    Parameters:
        wire: How it went.
        target: Path, and query without secrets: ``/ws/...``, ``/google.cloud.speech.v2.Speech/Recognize``.
        method: HTTP method; "" elsewhere.
        headers: Of the request; without secrets.
        events: What happened.
        name: Of the file.
    """

    wire: Wire
    target: str
    method: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    name: str = ""

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def messages(self, side: Side) -> list[Any]:
        """List the parsed messages of a side."""
        return [event.what["json"] for event in self.events if event.side == side and "json" in event.what]


def head_line(cassette: Cassette, began: str) -> str:
    """Write the first line.

    Args:
        cassette: The call, without events.
        began: Date and time of its beginning.
    """
    head = {"cassette": FORMAT, "wire": cassette.wire, "target": cassette.target, "began": began}
    if cassette.method:
        head["method"] = cassette.method
    return json.dumps({**head, "headers": cassette.headers}, ensure_ascii=True)


def event_line(event: Event) -> str:
    """Write a further line."""
    return json.dumps({"t": round(event.at, 4), "from": event.side, **event.what}, ensure_ascii=True)


def read_cassette(path: Path) -> Cassette:
    """Read a file.

    Raises:
        EmulatorError: If it is none. A last line that was cut off is left out.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0])
        if head["cassette"] != FORMAT:
            raise EmulatorError(
                f"The cassette {path} is of format {head['cassette']}, and this version reads {FORMAT}."
            )
        cassette = Cassette(
            head["wire"], str(head["target"]), head.get("method", ""), dict(head.get("headers", {})), name=path.name
        )
    except OSError as error:
        raise EmulatorError(f"The cassette {path} cannot be read: {error.strerror or error}.") from error
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise EmulatorError(f"{path} is no cassette: its first line must be the head ({error!r}).") from error
    for number, line in enumerate(lines[1:], 2):
        try:
            cassette.events.append(_event(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines):
                break
            raise EmulatorError(f"The cassette {path} is damaged in line {number} ({error!r}).") from error
    return cassette


def read_folder(folder: Path) -> list[Cassette]:
    """Read all cassettes of a folder, in the order in which they were recorded.

    Raises:
        EmulatorError: If there are none, or one cannot be read.
    """
    paths = sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []
    if not paths:
        raise EmulatorError(f"There are no cassettes ({SUFFIX}) in {folder}: record some with --record {folder}.")
    return [read_cassette(path) for path in paths]


def query_of(pairs: Sequence[tuple[str, str]]) -> str:
    """Write a query, with its question mark if there is one."""
    return "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""


def _event(line: dict[str, Any]) -> Event:
    at, side = float(line.pop("t")), line.pop("from")
    if side not in _SIDES:
        raise ValueError(f"from {side!r}")
    return Event(at, side, line)
