"""Conversations in short form."""

from datetime import UTC, datetime

from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult, Message
from halfcascade.emulator.minds.local import rules

NOW = datetime(2026, 11, 23, 15, 42, tzinfo=UTC)

TIME_TOOL = {"name": "get_current_time", "description": "Returns the current local time."}
TIMER_TOOL = {
    "name": "set_timer",
    "description": "Starts a countdown.",
    "parameters": {
        "type": "OBJECT",
        "properties": {"seconds": {"type": "INTEGER", "description": "Length in seconds"}, "label": {"type": "STRING"}},
        "required": ["seconds"],
    },
}


def conversation(*turns: str | FunctionCall | FunctionResult, tools=()) -> Conversation:
    """User and model take turns; the last is the user's."""
    roles = ["user" if (len(turns) - 1 - i) % 2 == 0 else "model" for i in range(len(turns))]
    return Conversation(
        [Message(role, [turn]) for role, turn in zip(roles, turns, strict=True)],
        tools=tools,
    )


def reply(*turns, tools=()):
    """What the rules answer to the last turn."""
    return rules.answer(conversation(*turns, tools=tools), NOW)
