"""What the brain tells the model, and that the emulator's local mind reads it as it was meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipecat.processors.aggregators import async_tool_messages

from halfcascade.emulator.minds.local.history import believed, facts, replies, split_notes
from halfcascade.processors.gemini_live.protocol import wording
from halfcascade.processors.gemini_live.protocol.context_messages import background_call
from tests.emulator.local.helpers import conversation

STORY = "Once upon a time there was a fox, and it lived in a wood."


def notes(text: str, other: str = "") -> dict[str, str]:
    """Every note there is, about some text."""
    return {
        "no answer": wording.NO_ANSWER_NUDGE,
        "empty answer": wording.EMPTY_ANSWER_NUDGE,
        "withdrawal": wording.WITHDRAWAL_NOTE,
        "continue": wording.CONTINUE_PROMPT,
        "instruction": wording.instruction(text),
        "earlier user": wording.earlier("user", text),
        "earlier model": wording.earlier("model", text),
        "already called": wording.already_called(other or "look_up", {"found": text}),
        "go on": wording.go_on_from(text),
        "heard": wording.heard_note(text),
        "unspoken": wording.unspoken(text),
    }


@pytest.mark.parametrize("name", notes(""))
def test_the_local_mind_takes_no_note_for_the_users_words(name):
    note = notes("a fox")[name]
    words, found = split_notes(f"{note}\nAnd then?")
    assert (words, found) == ("And then?", [note[1:-1]])


@given(st.text(), st.text())
def test_nothing_quoted_ends_a_note_or_begins_one(text, other):
    for note in notes(text, other).values():
        assert note.startswith("[") and note.endswith("]")
        assert "[" not in note[1:] and "]" not in note[:-1]


def test_what_was_heard_is_what_the_mind_believes():
    turns = ("Tell me a story.", STORY)
    told = wording.heard_note("Once upon a time there was")
    assert [reply.text for reply in replies(believed(conversation(*turns, f"{told}\nStop.").messages))] == [
        "Once upon a time there was"
    ]
    nothing = wording.heard_note("")
    assert [reply.text for reply in replies(believed(conversation(*turns, f"{nothing}\nStop.").messages))] == [""]


def test_the_quoted_end_of_a_long_reply_tells_where_it_was_cut():
    long = " ".join(f"word{number}" for number in range(60))
    told = wording.heard_note(" ".join(long.split()[:45]))
    [reply] = replies(believed(conversation("Count.", long, f"{told}\nStop.").messages))
    assert reply.text == " ".join(long.split()[:45])


def test_what_was_said_while_away_and_what_is_to_be_forgotten():
    told = f"{wording.earlier('user', 'My name is Dana.')}\n{wording.earlier('model', 'Hello Dana.')}\nWho am I?"
    lines = believed(conversation(told).messages)
    assert facts(lines).known == {"name": "Dana"} and [reply.text for reply in replies(lines)] == ["Hello Dana."]
    withdrawn = believed(conversation("Hi.", "Hello.", "My", "Go on.", f"{wording.WITHDRAWAL_NOTE}\nMy dog.").messages)
    assert [line.text for line in withdrawn] == ["Hi.", "Hello.", "My dog."]


def test_long_results_are_quoted_in_part():
    assert len(wording.already_called("look_up", "x" * 100_000)) < wording.LONGEST_QUOTE + 200


def test_messages_of_pipecats_asynchronous_tools_are_read_as_pipecat_reads_them():
    built = [
        async_tool_messages.build_started_message("c1"),
        async_tool_messages.build_intermediate_result_message("c1", '"half"'),
        async_tool_messages.build_final_result_message("c1", '{"found": "fox"}'),
    ]
    for message in built:
        read, theirs = background_call(message), async_tool_messages.parse_message(message)
        assert read is not None and theirs is not None
        assert (read.call_id, read.over, read.result) == (theirs.tool_call_id, theirs.kind == "final", theirs.result)
    for other in ({"role": "user", "content": '{"type": "x"}'}, {"role": "tool", "content": "{"}, {"role": "user"}):
        assert background_call(other) is None is async_tool_messages.parse_message(other)
