"""A Live session that gives again what was answered in a saved talk: to the same words, after the same time."""

import asyncio
import difflib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from pydantic import ValidationError

from halfcascade.bot.replay.memory import MemoryLive
from halfcascade.bot.replay.tape import Line
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused

Guess = Callable[[str, str], None]

# Words that are less like any of the recording's than this are answered by the next answer that was not given yet.
_LIKE = 0.5


@dataclass
class Script:
    """Something that was sent, and what came before the next.

    Parameters:
        text: Words that were sent.
        results: Functions' results that were sent.
        complete: Whether an answer was wanted.
        messages: Seconds after it, and message.
        used: Whether it has been given again.
    """

    text: str = ""
    results: tuple[str, ...] = ()
    complete: bool = True
    messages: list[tuple[float, types.LiveServerMessage]] = field(default_factory=list)
    used: bool = False


@dataclass
class Connection:
    """A connection of the recording.

    Parameters:
        greeting: What came before anything was sent.
        by_age: What came at an age of the connection, whatever had been sent: goAway, the end.
        open_secs: How long it took to open, or to be refused.
        refused: Why it was not opened.
    """

    greeting: Script = field(default_factory=Script)
    by_age: list[tuple[float, types.LiveServerMessage | ConnectionLost]] = field(default_factory=list)
    open_secs: float = 0.0
    refused: ConnectionRefused | None = None


class BrainPlayer:
    """Answers turns as those of the recording were answered.

    Args:
        lines: What passed (see ``tape``).
        guess: Told what was asked and how it was answered where the recording has no answer.
    """

    def __init__(self, lines: Sequence[Line], guess: Guess):
        self._guess = guess
        self._connections = _connections(lines)
        self.scripts = list(_scripts(lines, self._connections))
        self._opened = 0
        self._last = -1

    async def open_live(self) -> MemoryLive:
        """Open the next connection.

        Raises:
            ConnectionRefused: Where the recording has one.
        """
        recorded = self._connections[self._opened] if self._opened < len(self._connections) else Connection()
        self._opened += 1
        await asyncio.sleep(recorded.open_secs)
        if recorded.refused:
            raise recorded.refused
        live = MemoryLive(self._answer)
        for secs, message in recorded.greeting.messages:
            live.later(secs, message)
        for age, what in recorded.by_age:
            live.later(max(0.0, age - recorded.open_secs), what)
        return live

    def _answer(self, live: MemoryLive, sent: Line) -> None:
        live.hurry(_is_answer)
        if not sent["complete"]:
            script = next((one for one in self.scripts if not one.complete and one.text == sent.get("text", "")), None)
        elif "results" in sent:
            script = self._after_results(tuple(str(each["name"]) for each in sent["results"]))
        else:
            script = self._after_words(str(sent["text"]))
        if script is None:
            return
        script.used = True
        self._last = self.scripts.index(script)
        for secs, message in script.messages:
            live.later(secs, message)

    def _after_results(self, names: tuple[str, ...]) -> Script | None:
        found = self._nearest([script for script in self.scripts if script.results == names])
        if found is None:
            self._guess("brain", f"results of {', '.join(names)}: no answer")
        return found

    def _after_words(self, text: str) -> Script | None:
        spoken = [script for script in self.scripts if script.complete and not script.results]
        if same := self._nearest([script for script in spoken if script.text == text]):
            return same
        fresh = [script for script in spoken if not script.used] or spoken
        best = max(fresh, key=lambda script: _likeness(script.text, text), default=None)
        if best is None:
            self._guess("brain", f"{text!r}: no answer")
            return None
        if _likeness(best.text, text) < _LIKE:
            best = self._nearest(fresh) or best
        self._guess("brain", f"{text!r}: answered as {best.text!r}")
        return best

    def _nearest(self, scripts: Sequence[Script]) -> Script | None:
        """The first that is due; one that was given already where there is no other."""
        places = [self.scripts.index(script) for script in scripts]
        fresh = [place for place in places if not self.scripts[place].used]
        behind = [place for place in fresh if place > self._last]
        chosen = behind or fresh or places
        return self.scripts[chosen[0]] if chosen else None


def function_results(lines: Sequence[Line]) -> dict[str, list[tuple[float, Any]]]:
    """What functions of a saved talk returned.

    Args:
        lines: What passed (see ``tape``).

    Returns:
        By name, in order: how long it took, in seconds, and the result.
    """
    found: dict[str, list[tuple[float, Any]]] = {}
    called_at = 0.0
    for line in lines:
        if line.get("event") == "message" and line.get("message", {}).get("tool_call"):
            called_at = float(line["t"])
        for result in line.get("results", ()):
            found.setdefault(str(result["name"]), []).append((max(0.0, line["t"] - called_at), result["response"]))
    return found


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one.casefold(), other.casefold(), autojunk=False).ratio()


def _is_answer(message: types.LiveServerMessage) -> bool:
    content = message.server_content
    return bool(message.tool_call or (content and (content.model_turn or content.output_transcription)))


def _connections(lines: Sequence[Line]) -> list[Connection]:
    found: dict[int, Connection] = {}
    for line in lines:
        connection = found.setdefault(int(line.get("connection", 0)), Connection())
        error = line.get("error", {})
        if line["event"] in ("opened", "refused"):
            connection.open_secs = float(line.get("age", 0.0))
        if line["event"] == "refused":
            connection.refused = ConnectionRefused(int(error.get("code", 0)), str(error.get("reason", "")))
        elif line["event"] == "lost":
            lost = ConnectionLost(int(error.get("code", 0)), str(error.get("reason", "")))
            connection.by_age.append((float(line["age"]), lost))
        elif line["event"] == "message" and (message := _message(line)) and message.go_away:
            connection.by_age.append((float(line["age"]), message))
    return list(found.values())


def _scripts(lines: Sequence[Line], connections: Sequence[Connection]) -> Iterator[Script]:
    numbers = list(dict.fromkeys(int(line.get("connection", 0)) for line in lines))
    current = {number: connection.greeting for number, connection in zip(numbers, connections, strict=True)}
    for line in lines:
        number = int(line.get("connection", 0))
        if line["event"] == "sent":
            results = tuple(str(result["name"]) for result in line.get("results", ()))
            current[number] = Script(str(line.get("text", "")), results, bool(line.get("complete", True)))
            yield current[number]
        elif line["event"] == "message" and (message := _message(line)) and not message.go_away:
            current[number].messages.append((float(line["secs"]), message))


def _message(line: Line) -> types.LiveServerMessage | None:
    with suppress(ValidationError):  # of another version of google-genai
        return types.LiveServerMessage.model_validate(line.get("message", {}))
    return None
