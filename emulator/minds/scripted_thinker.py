"""A thinker that follows a script: deterministic, for tests and benches."""

import asyncio
import json
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult
from halfcascade.emulator.profiles import ThinkerProfile, drawn

# A program that serves for weeks must not fill memory.
_MOST_CONVERSATIONS = 1_000

Text = str | Sequence[str]
Answer = Text | Callable[[Conversation], Text]


@dataclass(frozen=True)
class ScriptedReply:
    """One reply of the script.

    Parameters:
        text: What is said: one text, which is cut into pieces as the profile says; or the pieces themselves, sent
            exactly so, whatever their spacing; or a function of the conversation that gives either. In texts ``{user}``
            is what the user said last, ``{results}`` the function results, and ``{1}``, ``{2}`` ... the groups of
            ``match``.
        match: Regular expression searched in what the user said last, in any case; None = used in order, once.
        result_of: Instead of a user's words, answers the results of this function.
        calls: Functions called after the text.
        first_token: Seconds until the first piece; None = the profile's.
        chars_per_second: Pace after that; None = the profile's.
        error: Breaks the generation after the text, as a fault on the server's side.
    """

    text: Answer = ""
    match: str | None = None
    result_of: str | None = None
    calls: Sequence[FunctionCall] = ()
    first_token: float | None = None
    chars_per_second: float | None = None
    error: bool = False


@dataclass
class ScriptedThinker:
    """Answers from a script.

    The results of a function are answered by the reply whose ``result_of`` names it, or else by the results themselves.
    A user's words are answered by the first reply whose ``match`` is found in them, or else by the next unused reply
    without one, or else by ``default``.

    Parameters:
        replies: The script.
        profile: Latency and pace.
        default: What is said when the script has nothing.
        conversations: The conversations that were asked last, for tests to look at.
    """

    replies: Sequence[ScriptedReply] = ()
    profile: ThinkerProfile = field(default_factory=ThinkerProfile)
    default: Answer = "You said: {user}"
    conversations: deque[Conversation] = field(default_factory=lambda: deque(maxlen=_MOST_CONVERSATIONS))
    _used: set[int] = field(default_factory=set)

    async def think(self, conversation: Conversation) -> AsyncIterator[str | FunctionCall]:
        """Yield the scripted reply to a conversation, at the profile's pace."""
        self.conversations.append(conversation)
        reply, groups = self._choose(conversation)
        pieces = self._pieces(reply, conversation, groups)
        first = drawn(self.profile.first_token) if reply.first_token is None else reply.first_token
        pace = self.profile.chars_per_second if reply.chars_per_second is None else reply.chars_per_second
        # Against a clock, so that the pace does not depend on how exact sleeps are.
        due = time.monotonic() + first
        for piece in pieces or [""]:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield piece
            due += len(piece) / pace if pace else 0.0
        if reply.error:
            raise RuntimeError("the script says that this generation breaks")
        for call in reply.calls:
            yield call

    def _choose(self, conversation: Conversation) -> tuple[ScriptedReply, Sequence[str]]:
        if results := last_results(conversation):
            names = {result.name for result in results}
            found = next((reply for reply in self.replies if reply.result_of in names), None)
            return found or ScriptedReply("{results}"), ()
        said = last_user_text(conversation)
        for reply in self.replies:
            if reply.match is not None and (match := re.search(reply.match, said, re.IGNORECASE)):
                return reply, [group or "" for group in match.groups()]
        for index, reply in enumerate(self.replies):
            if reply.match is None and reply.result_of is None and index not in self._used:
                self._used.add(index)
                return reply, ()
        return ScriptedReply(self.default), ()

    def _pieces(self, reply: ScriptedReply, conversation: Conversation, groups: Sequence[str]) -> list[str]:
        text = reply.text(conversation) if callable(reply.text) else reply.text
        known = {
            "user": last_user_text(conversation),
            "results": "; ".join(_shown(result) for result in last_results(conversation)),
            **{str(number): group for number, group in enumerate(groups, start=1)},
        }
        if isinstance(text, str):
            return cut(_fill(text, known), self.profile.piece_chars)
        return [_fill(piece, known) for piece in text]


def last_user_text(conversation: Conversation) -> str:
    """Give what the user said last: all user messages with words since the model's last one, a line each."""
    said: list[str] = []
    for message in reversed(conversation.messages):
        if message.role == "model" and message.text:
            break
        if message.role == "user" and message.text:
            said.append(message.text)
    return "\n".join(reversed(said))


def last_results(conversation: Conversation) -> list[FunctionResult]:
    """Give the function results that wait for an answer, if the conversation ends in some."""
    results: list[FunctionResult] = []
    for message in reversed(conversation.messages):
        found = [part for part in message.parts if isinstance(part, FunctionResult)]
        if not found:
            break
        results[:0] = found
    return results


def cut(text: str, size: int) -> list[str]:
    """Cut a text into pieces at word boundaries.

    Args:
        text: Any text; joined, the pieces are exactly it.
        size: Characters in a piece, at least; words without spaces between them (Chinese, Japanese) are cut there.

    Returns:
        The pieces. Spaces stand at the beginning of pieces, as the service sends them.
    """
    pieces, piece = [], ""
    for word in re.findall(r"\s*\S+|\s+$", text):
        if len(piece) >= size:
            pieces.append(piece)
            piece = ""
        piece += word
        while len(piece) > 4 * size:
            pieces.append(piece[:size])
            piece = piece[size:]
    return [*pieces, piece] if piece else pieces


def parse_script(
    replies: Iterable[Mapping[str, Any]], profile: ThinkerProfile, default: str | None = None
) -> ScriptedThinker:
    """Make a thinker of a scenario's data.

    Args:
        replies: Tables with the keys of ``ScriptedReply``; ``calls`` holds tables with ``name``, ``args`` and ``id``,
            ``text`` a string or a list of pieces.
        profile: Latency and pace.
        default: What is said when the script has nothing; None = the thinker's own.

    Returns:
        The thinker.

    Raises:
        EmulatorError: If a table holds what no reply has.
    """
    parsed = [_parse_reply(number, table) for number, table in enumerate(replies, start=1)]
    thinker = ScriptedThinker(parsed, profile)
    if default is not None:
        thinker.default = default
    return thinker


def _parse_reply(number: int, table: Mapping[str, Any]) -> ScriptedReply:
    known = {item.name for item in fields(ScriptedReply)}
    if unknown := sorted(set(table) - known):
        raise EmulatorError(
            f"Reply {number} of the scenario has the unknown key {unknown[0]!r}: use {', '.join(sorted(known))}."
        )
    try:
        calls = tuple(
            FunctionCall(call["name"], dict(call.get("args", {})), call.get("id", ""))
            for call in table.get("calls", ())
        )
        re.compile(table.get("match") or "")
        text = table.get("text", "")
        if not isinstance(text, str) and not all(isinstance(piece, str) for piece in text):
            raise TypeError("text must be a string or a list of strings")
        seconds = {key: float(table[key]) for key in ("first_token", "chars_per_second") if table.get(key) is not None}
    except (KeyError, TypeError, ValueError, re.error) as error:
        raise EmulatorError(
            f"Reply {number} of the scenario is not valid ({error!r}): a call needs a name, match must be a regular "
            "expression, text a string or a list of strings, times numbers."
        ) from error
    return ScriptedReply(**{**table, "calls": calls, **seconds})


def _fill(text: str, known: Mapping[str, str]) -> str:
    return re.sub(r"\{(user|results|\d+)\}", lambda match: known.get(match[1], match[0]), text)


def _shown(result: FunctionResult) -> str:
    return str(next(iter(result.response.values()))) if len(result.response) == 1 else json.dumps(result.response)
