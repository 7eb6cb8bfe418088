"""The scripted thinker: which reply is chosen, and in which pieces and when it comes."""

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.minds.base import Conversation, FunctionCall, FunctionResult, Message
from halfcascade.emulator.minds.scripted_thinker import ScriptedReply, ScriptedThinker, cut, parse_script
from halfcascade.emulator.profiles import ThinkerProfile
from tests.emulator.live.harness import model_texts


def asked(*texts: str) -> Conversation:
    """A conversation of alternating user and model texts."""
    return Conversation([Message("model" if index % 2 else "user", [text]) for index, text in enumerate(texts)])


async def say(thinker: ScriptedThinker, conversation: Conversation) -> list[str | FunctionCall]:
    return [piece async for piece in thinker.think(conversation)]


async def text(thinker: ScriptedThinker, conversation: Conversation) -> str:
    return "".join(piece for piece in await say(thinker, conversation) if isinstance(piece, str))


async def test_matches_come_first_then_the_order_then_the_default() -> None:
    thinker = ScriptedThinker(
        [ScriptedReply("One."), ScriptedReply("Hi {1}!", match=r"my name is (\w+)"), ScriptedReply("Two.")]
    )
    said = [await text(thinker, asked(user)) for user in ("first", "My name is Alice", "second", "third")]
    assert said == ["One.", "Hi Alice!", "Two.", "You said: third"]
    assert [conversation.messages[-1].text for conversation in thinker.conversations][-1] == "third"


async def test_only_what_the_user_said_last_is_matched() -> None:
    thinker = ScriptedThinker([ScriptedReply("A story.", match="story")])
    assert await text(thinker, asked("a story", "Once", "hello")) == "You said: hello"
    unanswered = Conversation([Message("user", ["a story"]), Message("user", ["please"])])
    assert await text(thinker, unanswered) == "A story."


async def test_a_function_can_answer_from_the_history() -> None:
    thinker = ScriptedThinker([ScriptedReply(lambda conversation: model_texts(conversation)[-1], match="what was it")])
    assert await text(thinker, asked("a story", "Once upon", "what was it about?")) == "Once upon"


async def test_calls_follow_the_text_and_results_are_answered() -> None:
    call = FunctionCall("get_time", {"zone": "Asia/Seoul"})
    thinker = ScriptedThinker(
        [
            ScriptedReply("Let me see.", match="time", calls=[call]),
            ScriptedReply("It is {results}.", result_of="get_time"),
        ]
    )
    conversation = asked("what time is it?")
    assert (await say(thinker, conversation))[-1] == call
    conversation.messages += [
        Message("model", [call]),
        Message("user", [FunctionResult("get_time", {"time": "noon"})]),
    ]
    assert await text(thinker, conversation) == "It is noon."
    conversation.messages[-1] = Message("user", [FunctionResult("other", {"a": 1, "b": 2})])
    assert await text(thinker, conversation) == '{"a": 1, "b": 2}'


@pytest.mark.parametrize("pieces", [["안녕", "하세", "요. ", "반가워요"], [" leading", "trailing ", " ", "glued", "!"]])
async def test_pieces_are_sent_exactly_as_given(pieces: Sequence[str]) -> None:
    assert await say(ScriptedThinker([ScriptedReply(pieces)]), asked("hello")) == pieces


async def test_latency_and_pace_come_from_the_profile_or_the_reply() -> None:
    profile = ThinkerProfile(first_token=0.05, chars_per_second=200, piece_chars=10)
    thinker = ScriptedThinker([ScriptedReply("x" * 10 + " " + "y" * 10), ScriptedReply("z", first_token=0.2)], profile)
    start = time.monotonic()
    arrivals = [time.monotonic() - start async for _ in thinker.think(asked("one"))]
    assert arrivals[0] >= 0.05
    assert arrivals[-1] >= 0.05 + 10 / 200
    start = time.monotonic()
    await text(thinker, asked("two"))
    assert time.monotonic() - start >= 0.2


async def test_a_reply_can_break() -> None:
    pieces = ScriptedThinker([ScriptedReply("Well,", error=True)]).think(asked("hello"))
    assert await anext(pieces) == "Well,"
    with pytest.raises(RuntimeError):
        await anext(pieces)


async def test_a_scenario_is_data() -> None:
    table: dict[str, Any] = {
        "match": "time",
        "text": ["Let ", "me see."],
        "calls": [{"name": "get_time", "args": {"zone": "UTC"}}],
    }
    thinker = parse_script([table, {"text": "Fine."}], ThinkerProfile(), default="What?")
    assert await say(thinker, asked("time?")) == ["Let ", "me see.", FunctionCall("get_time", {"zone": "UTC"})]
    assert [await text(thinker, asked("hello")) for _ in range(2)] == ["Fine.", "What?"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"txt": "x"}, "unknown key 'txt'"),
        ({"match": "("}, "not valid"),
        ({"calls": [{"args": {}}]}, "not valid"),
        ({"calls": 3}, "not valid"),
        ({"text": 3}, "not valid"),
        ({"first_token": "soon"}, "not valid"),
    ],
)
def test_a_wrong_scenario_is_one_clear_line(table: dict[str, Any], words: str) -> None:
    with pytest.raises(EmulatorError, match=f"Reply 2 .*{words}"):
        parse_script([{"text": "fine"}, table], ThinkerProfile())


@given(st.text(max_size=80), st.integers(1, 20))
def test_cutting_loses_nothing(whole: str, size: int) -> None:
    pieces = cut(whole, size)
    assert "".join(pieces) == whole
    assert all(pieces)
    assert all(len(piece) <= 4 * size for piece in pieces)
