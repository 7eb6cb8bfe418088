"""What the model is told: notes, missed messages, seeds. No sockets."""

from typing import Any

from pipecat.processors.aggregators import async_tool_messages

from halfcascade.processors.gemini_live.protocol.context_messages import opening_instruction
from halfcascade.processors.gemini_live.protocol.history import History
from halfcascade.processors.gemini_live.protocol.wording import HEARD_WORDS_IN_NOTE


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def bot(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def call(call_id: str = "c1") -> list[dict[str, Any]]:
    function = {"name": "look_up", "arguments": '{"what": "fox"}'}
    return [
        {"role": "assistant", "tool_calls": [{"id": call_id, "type": "function", "function": function}]},
        {"role": "tool", "tool_call_id": call_id, "content": '{"found": "fox"}'},
    ]


class Talk:
    def __init__(self) -> None:
        self.history = History()
        self.context: list[Any] = []
        self.number = 0

    def say(self, *messages: dict[str, Any]) -> tuple[list[tuple[str, str]], str, str]:
        """Add messages, send what is new, and give what is written: earlier, note, text."""
        self.context += messages
        self.number += 1
        turn = self.history.take(self.context, self.number)
        assert turn is not None
        composed = self.history.compose(turn)
        return list(composed.earlier), composed.note, composed.text

    def answers(self, said: str, heard: str | None = None) -> None:
        self.history.said(self.number, said)
        if heard is None or heard:
            self.context.append(bot(said if heard is None else heard))

    def interrupted(self, *, unfinished: bool = False) -> None:
        self.history.interrupted(self.number, unfinished=unfinished)


def test_an_ordinary_turn_is_just_its_words() -> None:
    talk = Talk()
    assert talk.say(user("Hello.")) == ([], "", "Hello.")
    talk.answers("Hi there.")
    assert talk.say(user("How are you?")) == ([], "", "How are you?")


def test_nothing_new_is_no_turn() -> None:
    talk = Talk()
    talk.say(user("Hello."))
    talk.answers("Hi.")
    assert talk.history.take(talk.context, 2) is None


def test_a_user_who_goes_on_before_the_answer_is_sent_only_what_is_new() -> None:
    talk = Talk()
    talk.say(user("Tell me"))
    talk.interrupted(unfinished=True)
    earlier, note, text = talk.say(user("a story."))
    assert (earlier, text) == ([], "a story.")
    assert "before hearing anything" in note


def test_the_note_quotes_the_end_of_what_was_heard() -> None:
    talk = Talk()
    words = [f"word{n}" for n in range(HEARD_WORDS_IN_NOTE * 2)]
    talk.say(user("Tell me a story."))
    talk.answers(" ".join(words) + " and more.", heard=" ".join(words))
    talk.interrupted()
    _, note, _ = talk.say(user("Stop."))
    assert f'{words[-1]}"' in note
    assert words[0] not in note.replace(words[0] + "0", "")
    assert len(note.split()) < HEARD_WORDS_IN_NOTE + 20


def test_a_long_heard_text_without_spaces_is_cut_as_well() -> None:
    talk = Talk()
    talk.say(user("話して。"))
    talk.answers("昔々" * 500 + "終わり", heard="昔々" * 400)
    talk.interrupted()
    _, note, _ = talk.say(user("やめて。"))
    assert len(note) < 500


def test_differences_of_spelling_are_no_interruption() -> None:
    talk = Talk()
    talk.say(user("Hello."))
    talk.answers("**Hi**, there - friend!", heard="Hi there friend")
    talk.interrupted()
    assert talk.say(user("Yes.")) == ([], "", "Yes.")


def test_each_interruption_is_noted_once() -> None:
    talk = Talk()
    talk.say(user("One."))
    talk.answers("First answer with many words.", heard="First")
    talk.interrupted()
    assert "First" in talk.say(user("Two."))[1]
    talk.answers("Second answer.")
    assert talk.say(user("Three."))[1] == ""


def test_messages_that_others_added_are_told() -> None:
    talk = Talk()
    talk.say(user("Hello."))
    talk.answers("Hi.")
    earlier, _, text = talk.say(bot("This call is recorded."), user("Fine."))
    assert (earlier, text) == ([("model", "This call is recorded.")], "Fine.")


def test_after_a_rollback_what_is_missing_is_told_as_it_was_heard() -> None:
    talk = Talk()
    mark = talk.history.mark
    talk.say(user("Name a color."))
    talk.answers("Blue, of course, and also green.", heard="Blue, of course")
    talk.history.rollback(mark)
    earlier, note, text = talk.say(user("Why?"))
    assert earlier == [("user", "Name a color."), ("model", "Blue, of course")]
    assert (note, text) == ("", "Why?")


def test_a_function_that_ran_before_the_rollback_is_told_and_not_asked_for_again() -> None:
    talk = Talk()
    mark = talk.history.mark
    talk.say(user("Look."))
    talk.context += call()
    talk.history.call_told("c1")
    talk.history.rollback(mark)
    _, note, _ = talk.say(user("And?"))
    assert "already called look_up" in note
    assert "fox" in note


def test_a_function_the_session_knows_is_not_told_again() -> None:
    talk = Talk()
    talk.say(user("Look."))
    talk.context += call()
    talk.history.call_told("c1")
    talk.answers("A fox.")
    assert talk.say(user("And?")) == ([], "", "And?")


def test_results_from_the_background_are_no_turns() -> None:
    talk = Talk()
    talk.say(user("Look."))
    talk.history.call_told("c1")
    talk.context += [call()[0], async_tool_messages.build_started_message("c1")]
    talk.context.append(async_tool_messages.build_final_result_message("c1", '{"found": "fox"}'))
    assert talk.history.take(talk.context, 2) is None
    assert talk.say(user("And?")) == ([], "", "And?")


def test_a_seed_has_roles_and_functions_as_text() -> None:
    history = History()
    context = [{"role": "system", "content": "Be brief."}, user("Look."), *call(), bot("A fox."), user("And?")]
    contents = history.seed(context, exclude=[context[-1]])
    assert [(c.role, " ".join(p.text or "" for p in c.parts or ())) for c in contents] == [
        (
            "user",
            'Look. [You already called look_up({"what": "fox"}); it returned: {"found": "fox"}. Do not call it again.]',
        ),
        ("model", "A fox."),
    ]
    assert opening_instruction(context) == "Be brief."
    turn = history.take(context, 1)
    assert turn is not None
    assert turn.text == "And?"


def test_a_provisional_turn_is_adopted_by_the_message_that_confirms_it() -> None:
    talk = Talk()
    provisional = [*talk.context, user("What time")]
    turn = talk.history.take(provisional, 1, provisional=True)
    assert turn is not None
    talk.history.compose(turn)
    talk.history.said(1, "Ten.")
    talk.context += [user("What time?"), bot("Ten.")]
    assert talk.history.take(talk.context, 2) is None
    assert not talk.history.is_rewritten(talk.context)


def test_a_withdrawn_turn_leaves_the_next_message_new() -> None:
    talk = Talk()
    turn = talk.history.take([user("What")], 1, provisional=True)
    assert turn is not None
    talk.history.compose(turn)
    talk.history.withdraw(1)
    assert not talk.history.is_rewritten(talk.context)
    assert talk.say(user("What time?"))[2] == "What time?"


def test_a_rewritten_context_is_noticed() -> None:
    talk = Talk()
    talk.say(user("Hello."))
    talk.answers("Hi.")
    assert not talk.history.is_rewritten(talk.context)
    assert talk.history.is_rewritten([user("Summary."), bot("Yes.")])


def test_without_roles_everything_is_one_text() -> None:
    talk = Talk()
    talk.context += [user("Before."), bot("Then.")]
    talk.context.append(user("Now."))
    turn = talk.history.take(talk.context, 1)
    assert turn is not None
    assert talk.history.compose(turn).plain().splitlines() == [
        "[Earlier the user said: Before.]",
        "[Earlier the user heard you say: Then.]",
        "Now.",
    ]


def test_an_instruction_is_nobodys_words():
    talk = Talk()
    talk.say(user("Set a timer."))
    talk.answers("Done.")
    talk.context.append({"role": "system", "content": "The timer went off."})
    told = talk.history.take(talk.context, 2)
    assert told is not None and not told.by_user
    talk.context.append(user("Stop it."))
    said = talk.history.take(talk.context, 3)
    assert said is not None and said.by_user


def test_only_a_question_can_be_told_without_having_been_asked():
    for messages, only_told in (([user("Hello?")], True), ([user("Hello?"), bot("Hi.")], False)):
        history = History()
        history.seed(messages)
        assert history.is_only_told(messages) is only_told
