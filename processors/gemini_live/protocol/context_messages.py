"""How messages of the conversation's context are read, and worded for the Live session. No I/O.

Messages are those of Pipecat's ``LLMContext``: mappings in OpenAI's form, or objects that only another service
understands.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from google.genai import types

from halfcascade.processors.gemini_live.protocol import wording

_INSTRUCTION_ROLES = ("system", "developer")
_INPUT_ROLES = ("user", *_INSTRUCTION_ROLES)
_NO_RESULT = (None, "", "IN_PROGRESS")
_CANCELLED = "CANCELLED"


def role_of(message: Any) -> str | None:
    """Tell whose message it is.

    Args:
        message: Of the context.

    Returns:
        Its role; None for messages that only another service understands.
    """
    return message.get("role") if isinstance(message, Mapping) else None


def text_of(message: Any) -> str:
    """Read a message.

    Args:
        message: With a role.

    Returns:
        Its text without space around it, or "".
    """
    content = message.get("content") if isinstance(message, Mapping) else None
    if isinstance(content, str):
        return content.strip()
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping) and part.get("type") == "text"]
    return " ".join(text for text in texts if text).strip()


def is_told(message: Any, messages: Sequence[Any]) -> bool:
    """Tell whether a session is told of a message: not of other services' own ones, nor of the opening instruction.

    Args:
        message: One of them.
        messages: All messages of the context.
    """
    return isinstance(message, Mapping) and not _opens(message, messages)


def is_input(message: Any) -> bool:
    """Tell whether a message wants an answer.

    Args:
        message: With a role.
    """
    return message.get("role") in _INPUT_ROLES


def is_late_result(message: Any) -> bool:
    """Tell whether a message stands for the result of a function that the conversation did not wait for.

    Args:
        message: With a role.
    """
    return background_call(message) is not None


@dataclass(frozen=True)
class BackgroundCall:
    """What a message says of a function that goes on while the conversation does.

    Parameters:
        call_id: Id of its call.
        over: Whether this is the last word of it.
        result: What it returned, if this message says so.
    """

    call_id: str
    over: bool
    result: Any


def background_call(message: Any) -> BackgroundCall | None:
    """Read a message of Pipecat's asynchronous tools: JSON of the type ``async_tool``.

    Args:
        message: With a role.

    Returns:
        What it says; None if it is another message.
    """
    content = message.get("content")
    if not isinstance(content, str) or not content.lstrip().startswith("{"):
        return None
    try:
        payload = json.loads(content)
    except ValueError:
        return None
    if payload.get("type") != "async_tool" or not isinstance(call_id := payload.get("tool_call_id"), str):
        return None
    return BackgroundCall(call_id, payload.get("status") == "finished", payload.get("result"))


def opening_instruction(messages: Sequence[Any]) -> str:
    """Find the system message that opens a context; it belongs into the setup, not into the history.

    Args:
        messages: All messages of the context.

    Returns:
        Its text, or "".
    """
    return text_of(messages[0]) if messages and _opens(messages[0], messages) else ""


def _opens(message: Any, messages: Sequence[Any]) -> bool:
    return message is messages[0] and role_of(message) == "system"


def as_input(message: Any) -> str:
    """Word a message that wants an answer.

    Args:
        message: Of the user, or an instruction.

    Returns:
        Its text; instructions in brackets.
    """
    text = text_of(message)
    return wording.instruction(text) if message.get("role") in _INSTRUCTION_ROLES else text


def as_history(message: Any, names: dict[str, str], told_calls: set[str]) -> tuple[str, str]:
    """Word a message as something that has happened.

    Args:
        message: With a role.
        names: Wording of function calls by their ids; calls of this message are added.
        told_calls: Ids of function calls whose results the session knows.

    Returns:
        Role and text; the role is ``user``, ``model``, or ``call`` for a finished function call.
    """
    role = message.get("role")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        names[call["id"]] = f"{function['name']}({function['arguments']})"
    if message.get("tool_calls"):
        return "call", ""
    background = background_call(message)
    call_id = background.call_id if background else message.get("tool_call_id", "")
    if role == "tool" or background:
        result = background.result if background else message.get("content")
        over = background is None or background.over
        if call_id in told_calls or not over or result in _NO_RESULT or str(result).startswith(_CANCELLED):
            return "call", ""
        return "call", wording.already_called(names.get(call_id, "a function"), result)
    if role in _INSTRUCTION_ROLES:
        return "user", as_input(message)
    return ("model" if role == "assistant" else "user"), text_of(message)


def tell_all(messages: Sequence[Any], exclude: Sequence[Any]) -> tuple[list[tuple[str, str]], list[Any]]:
    """Word a whole context for a fresh session.

    Args:
        messages: All messages of the context.
        exclude: Messages that will be sent as a turn.

    Returns:
        Roles ``user`` and ``model`` with texts, and the messages this covers.
    """
    excluded = {id(message) for message in exclude}
    covered = [m for m in messages if id(m) not in excluded and is_told(m, messages)]
    names: dict[str, str] = {}
    worded = [as_history(message, names, set()) for message in covered]
    return [("user" if role == "call" else role, text) for role, text in worded if text], covered


LONGEST_SEED = 24_000
"""Characters of a conversation that a fresh session is given at most, some 6,000 tokens; the newest are kept whole."""


def newest(told: Sequence[tuple[str, str]], longest: int = LONGEST_SEED) -> list[tuple[str, str]]:
    """Keep the newest messages of a conversation, and tell the model if older ones are left out.

    Args:
        told: Roles and texts, oldest first.
        longest: Characters that may be kept; the newest message is, whatever its length.

    Returns:
        The rest, oldest first.
    """
    kept: list[tuple[str, str]] = []
    for role, text in reversed(told):
        longest -= len(text)
        if kept and longest < 0:
            return [("user", wording.LEFT_OUT_NOTE), *reversed(kept)]
        kept.append((role, text))
    return kept[::-1]


def to_contents(messages: Sequence[tuple[str, str]]) -> list[types.Content]:
    """Make Live contents of (role, text) pairs, neighbours of one role merged.

    Args:
        messages: Roles ``user`` and ``model``.

    Returns:
        Contents with text parts only: function parts are refused in history (facts/live#client-messages).
    """
    contents: list[types.Content] = []
    for role, text in messages:
        if contents and contents[-1].role == role:
            (contents[-1].parts or []).append(types.Part(text=text))
        else:
            contents.append(types.Content(role=role, parts=[types.Part(text=text)]))
    return contents
