import pytest

from halfcascade.emulator.minds.base import FunctionCall, FunctionResult, Message
from halfcascade.emulator.minds.local.history import believed, facts, facts_in, plain, replies, split_notes
from tests.emulator.local.helpers import conversation

REPLY = "On the last rock before the open sea stood an old lighthouse, and in it lived a keeper called Ines."


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hi there! My name is Dana, and I live in Lisbon.", {"name": "Dana", "city": "Lisbon"}),
        ("hi my name is dana and i live in new york", {"name": "Dana", "city": "New York"}),
        ("I'm Tom.", {"name": "Tom"}),
        ("I am Tom and I come from Oslo", {"name": "Tom", "origin": "Oslo"}),
        ("I'm fine, thanks.", {}),
        ("I'm not sure about that.", {}),
        ("My favorite color is dark blue.", {"favorite color": "dark blue"}),
        ("My dog is called Rex.", {"dog": "Rex"}),
        ("I really like old trains.", {"likes": "old trains"}),
        ("I'd like to know the time.", {}),
        ("What is my name?", {}),
        ("What is my name? My name is Jo.", {"name": "Jo"}),
        ("제 이름은 민수입니다. 서울에 살아요.", {"name": "민수", "city": "서울"}),
        ("저는 지은이라고 해요", {"name": "지은"}),
        ("Where do I live?", {}),
    ],
)
def test_facts_in_an_utterance(text, told):
    assert facts_in(text) == told


def test_the_newest_telling_wins_and_new_facts_are_known():
    lines = believed(conversation("My name is Dana.", "Hello Dana!", "Sorry, my name is Diana.").messages)
    found = facts(lines)
    assert found.known["name"] == "Diana"
    assert found.new == ["name"]


def test_notes_are_not_what_the_user_said():
    assert split_notes("[The user interrupted you.] Wait.\n[Instruction: be brief]") == (
        "Wait.",
        ["The user interrupted you.", "Instruction: be brief"],
    )


@pytest.mark.parametrize(
    ("note", "heard"),
    [
        ('[The user interrupted you. Of your last reply they heard only: "On the last rock before the"]', REPLY[:27]),
        (
            '[The user interrupted you. Of your last reply they heard only: "... stood an old lighthouse"]',
            REPLY[: REPLY.index(",")],
        ),
        ("[Interrupted. Heard: “on the LAST rock, before”]", "On the last rock before"),
        ("[The user interrupted you before hearing anything of your last reply.]", ""),
        ("[The user heard nothing of that.]", ""),
        ("[The user heard only: On the last rock]", "On the last rock"),
    ],
)
def test_a_note_tells_what_was_heard(note, heard):
    [reply] = replies(believed(conversation("Tell me a story.", REPLY, f"{note} Wait!").messages))
    assert reply.text.rstrip(",") == heard
    assert reply.interrupted
    assert reply.asked == "Tell me a story."


def test_a_note_about_something_else_changes_nothing():
    [reply] = replies(believed(conversation("Tell me a story.", REPLY, "[The timer rang.] And now?").messages))
    assert reply == reply.__class__(REPLY, "Tell me a story.", False)


def test_a_second_model_message_corrects_the_first():
    messages = [
        Message("user", ["Hi."]),
        Message("model", [REPLY]),
        Message("model", ["On the"]),
        Message("user", ["?"]),
    ]
    [reply] = replies(believed(messages))
    assert (reply.text, reply.interrupted) == ("On the", True)


def test_replies_around_a_function_call_are_two():
    messages = [
        Message("user", ["What time is it?"]),
        Message("model", ["Let me look.", FunctionCall("get_time", {})]),
        Message("user", [FunctionResult("get_time", {"time": "noon"})]),
        Message("model", ["It is noon."]),
        Message("user", ["Thanks."]),
    ]
    assert [reply.text for reply in replies(believed(messages))] == ["Let me look.", "It is noon."]


def test_what_was_said_while_away_is_told_in_notes():
    text = "[Earlier the user said: My name is Dana.]\n[Earlier the user heard you say: Hello Dana.]\nWhat is my name?"
    lines = believed(conversation(text).messages)
    assert facts(lines).known == {"name": "Dana"}
    assert [reply.text for reply in replies(lines)] == ["Hello Dana."]


def test_a_turn_can_be_taken_back():
    note = "[Ignore the user's previous message and your reply to it: the user had not finished speaking.]"
    lines = believed(conversation("Hi.", "Hello.", "My name is", "Go on.", f"{note}\nMy name is Dana.").messages)
    assert [line.text for line in lines] == ["Hi.", "Hello.", "My name is Dana."]


def test_plain_words():
    assert plain("Well, it's 1,000.50 - OK?  안녕!") == "well it's 1000.50 - ok 안녕"
