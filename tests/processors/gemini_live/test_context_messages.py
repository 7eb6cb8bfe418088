"""How single messages of the context are read and worded."""

from typing import Any

import pytest
from pipecat.processors.aggregators.llm_context import LLMSpecificMessage

from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.context_messages import (
    as_history,
    as_input,
    is_input,
    is_told,
    newest,
    opening_instruction,
    role_of,
    tell_all,
    to_contents,
)

SYSTEM = {"role": "system", "content": "Be brief."}
USER = {"role": "user", "content": " Hello. "}
BOT = {"role": "assistant", "content": "Hi."}
FOREIGN = LLMSpecificMessage(llm="other", message={"x": 1})


def test_of_a_long_conversation_the_newest_are_kept_whole_and_the_model_is_told() -> None:
    told = [("user" if number % 2 else "model", f"{number:02d} " + "word " * 20) for number in range(40)]
    assert newest(told) == told
    (role, note), *kept = newest(told, longest=1_050)
    assert (role, note) == ("user", wording.LEFT_OUT_NOTE)
    assert kept == told[-10:]
    assert newest(told, longest=1)[1:] == told[-1:]
    assert newest([]) == []


def test_only_a_system_message_at_the_beginning_is_the_instruction() -> None:
    assert opening_instruction([SYSTEM, USER]) == "Be brief."
    assert opening_instruction([USER, SYSTEM]) == ""
    assert opening_instruction([]) == ""


def test_a_session_is_told_neither_its_instruction_nor_what_is_for_another_service() -> None:
    messages: list[Any] = [SYSTEM, FOREIGN, USER, dict(SYSTEM)]
    assert [is_told(message, messages) for message in messages] == [False, False, True, True]
    assert role_of(FOREIGN) is None


@pytest.mark.parametrize(("message", "wants"), [(SYSTEM, True), (USER, True), (BOT, False)])
def test_instructions_and_the_user_want_an_answer(message: dict[str, Any], wants: bool) -> None:
    assert is_input(message) is wants


def test_an_instruction_is_not_taken_for_the_user() -> None:
    assert as_input(USER) == "Hello."
    assert as_input({"role": "developer", "content": "Say bye."}) == "[Instruction: Say bye.]"


def test_a_result_is_worded_with_its_call_unless_the_session_knows_it() -> None:
    names: dict[str, str] = {}
    function = {"name": "look_up", "arguments": '{"what": "fox"}'}
    calling = {"role": "assistant", "tool_calls": [{"id": "c1", "type": "function", "function": function}]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "found"}
    assert as_history(calling, names, set()) == ("call", "")
    assert as_history(result, names, set()) == (
        "call",
        '[You already called look_up({"what": "fox"}); it returned: "found". Do not call it again.]',
    )
    assert as_history(result, names, {"c1"}) == ("call", "")


def test_a_fresh_session_is_told_everything_but_what_follows_as_a_turn() -> None:
    newest = {"role": "user", "content": "And now?"}
    told, covered = tell_all([SYSTEM, USER, BOT, newest], exclude=[newest])
    assert told == [("user", "Hello."), ("model", "Hi.")]
    assert covered == [USER, BOT]


def test_neighbours_of_one_role_become_one_content() -> None:
    contents = to_contents([("user", "a"), ("user", "b"), ("model", "c")])
    assert [(c.role, [part.text for part in c.parts or []]) for c in contents] == [
        ("user", ["a", "b"]),
        ("model", ["c"]),
    ]
