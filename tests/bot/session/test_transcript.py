import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.bot.session.events import Event
from halfcascade.bot.session.markdown import render
from halfcascade.bot.session.reply_text import heard_length
from halfcascade.bot.session.transcript import Transcript
from halfcascade.lines import use_language


def told(*events) -> str:
    transcript = Transcript()
    for number, (type_, fields) in enumerate(events):
        transcript.apply(Event(float(number), type_, fields))
    lines = render(transcript, {"model": "m"}).splitlines()
    return "\n".join(line for line in lines[3:] if line)


def user(text):
    return [
        ("user_started", {"speech_at": 0.0}),
        ("interim", {"text": text[:3]}),
        ("final", {"text": text, "language": "en-US"}),
        ("turn_sent", {"text": text, "turn": 1, "attempt": 1}),
    ]


def reply(*pieces):
    return [("reply_started", {}), *(("reply_text", {"text": piece}) for piece in pieces), ("reply_ended", {})]


def heard(*words):
    return [("speaking_started", {}), *(("heard", {"text": word}) for word in words)]


STOPPED = ("speaking_stopped", {})
INTERRUPTED = ("interrupted", {})


def test_a_turn_and_its_reply():
    text = told(*user("Hello there."), *reply("Hi, ", "how are you?"), *heard("Hi,", " how are you?"), STOPPED)
    assert text == "**User** (00:00.0): Hello there.\n**Bot** (00:04.0): Hi, how are you?"


def test_of_an_interrupted_reply_only_what_was_heard_stays():
    text = told(
        *user("Tell me."),
        *reply("Once upon a time, there was a king. He had a cat."),
        *heard("Once", " upon", " a", " time,"),
        INTERRUPTED,
        STOPPED,
        *user("Stop."),
    )
    assert "Once upon a time, ~~there was a king. He had a cat.~~ *(interrupted)*" in text
    assert text.endswith("Stop.")


def test_a_sentence_that_the_voice_gave_up_is_struck_out_where_it_stands():
    said = reply("First things first. ", "Then the second. ", "And the end.")
    words = heard("First", " things", " first.")
    skipped = ("unspoken", {"text": "Then the second."})
    text = told(*user("Go."), *said, *words, skipped, *heard(" And", " the", " end.")[1:], STOPPED)
    assert text.endswith("First things first. ~~Then the second.~~ And the end.")
    text = told(*user("Go."), *said, *words, skipped, ("unspoken", {"text": "And the end."}), STOPPED)
    assert text.endswith("First things first. ~~Then the second.~~ ~~And the end.~~")
    text = told(*user("Go."), *said, *words, skipped, *heard(" And")[1:], INTERRUPTED, STOPPED)
    assert text.endswith("First things first. ~~Then the second.~~ And ~~the end.~~ *(interrupted)*")


def test_a_reply_of_which_nothing_was_spoken_is_struck_out():
    assert told(*user("Go."), *reply("All of it."), ("unspoken", {"text": "All of it."})).endswith("~~All of it.~~")


def spoken_and_shown(*told):
    return [("speaking_started", {}), *(("heard" if kind == "said" else "shown", fields) for kind, fields in told)]


def test_words_for_signs_reach_as_far_as_the_signs():
    text = told(
        *reply("5 * 3 = 15, and 2^10 is 1024."),
        *spoken_and_shown(
            ("said", {"text": "5", "written": "5"}),
            ("said", {"text": " times", "written": "*"}),
            ("said", {"text": " 3", "written": "3"}),
            ("said", {"text": " equals", "written": ""}),
        ),
        INTERRUPTED,
    )
    assert "): 5 * 3 ~~= 15, and 2^10 is 1024.~~ *(interrupted)*" in text


def test_what_is_shown_is_told_as_it_is_written():
    code = "```py\nx = 1\n```"
    text = told(
        *reply(f"Try: {code} Done. 😀"),
        *spoken_and_shown(
            ("said", {"text": "Try:", "written": "Try:"}),
            ("said", {"text": " screen.", "written": code}),
            ("said", {"text": " Done.", "written": "Done."}),
            ("shown", {"text": "😀", "kind": "silent"}),
        ),
        STOPPED,
    )
    assert text == f"**Bot** (00:00.0): Try: \n{code}\n Done. 😀".replace(": \n", ": \n")


def test_a_reply_of_nothing_but_a_picture_was_said():
    text = told(*reply("👍"), *spoken_and_shown(("said", {"text": "Hm.", "written": "👍"})), STOPPED)
    assert text == "**Bot** (00:00.0): 👍"


def test_a_reply_interrupted_before_its_first_sound_is_struck_out():
    assert "): ~~All of it.~~ *(interrupted)*" in told(*user("A"), *reply("All of it."), INTERRUPTED)


def test_words_that_arrive_after_the_interruption_do_not_belong_to_the_dead_reply():
    text = told(*reply("One two three."), *heard("One"), INTERRUPTED, STOPPED, *reply("New."), *heard("New."), STOPPED)
    assert "One ~~two three.~~" in text
    assert text.endswith("New.")


def test_a_session_that_breaks_off_claims_no_more_than_was_heard():
    assert "One two ~~three four.~~" in told(*reply("One two three four."), *heard("One", " two"))


def test_the_reply_before_a_tool_and_the_one_after_it_are_told_apart():
    text = told(
        *user("What time is it?"),
        *reply("One moment."),
        ("tool_call", {"name": "time", "id": "1", "arguments": {"zone": "Asia/Seoul"}}),
        ("tool_result", {"name": "time", "id": "1", "result": {"time": "five"}}),
        *reply("It is five."),
        *heard("One", " moment.", " It", " is"),
        INTERRUPTED,
    )
    assert "One moment.\n" in text
    assert '> (00:07.0) tool `time` {"zone": "Asia/Seoul"} → {"time": "five"}' in text
    assert "It is ~~five.~~" in text


def test_a_resent_turn_is_told_once():
    text = told(*user("Hello."), ("turn_sent", {"text": "Hello.", "turn": 1, "attempt": 2}))
    assert text.count("Hello.") == 1


def test_a_backchannel_takes_no_turn():
    text = told(("final", {"text": "mhm"}), ("backchannel", {"text": "mhm"}), *user("And then?"))
    assert "mhm *(in passing)*" in text
    assert "(00:02.0): And then?" in text or "And then?" in text


def test_words_that_come_after_a_turn_was_sent_early_are_not_told_twice():
    text = told(
        ("user_started", {"speech_at": 0.0}),
        ("turn_started", {}),
        ("interim", {"text": "hello there"}),
        ("turn_sent", {"text": "hello there", "turn": 1, "attempt": 1}),
        ("final", {"text": "Hello there.", "language": "en-US"}),
        ("turn_sent", {"text": "Hello there.", "turn": 1, "attempt": 1}),
        ("turn_ended", {}),
        ("final", {"text": "And more.", "language": "en-US"}),
    )
    assert text == "**User** (00:00.0): Hello there.\n**User** (00:07.0): And more."


def test_a_turn_that_the_user_goes_on_with_is_told_once():
    text = told(
        *user("My name is Daniel."),
        *reply("Nice to meet you."),
        ("turn_reopened", {"text": "My name is Daniel."}),
        ("turn_started", {}),
        ("user_started", {"speech_at": 6.0}),
        ("final", {"text": "I live in Boston.", "language": "en-US"}),
        ("turn_sent", {"text": "My name is Daniel. I live in Boston.", "turn": 2, "attempt": 1}),
        *reply("Hi Daniel."),
        *heard("Hi Daniel."),
        STOPPED,
    )
    assert text.startswith("**User** (00:00.0): My name is Daniel. I live in Boston.\n**Bot** (")
    assert text.endswith(": Hi Daniel.")
    assert text.count("**") == 4


def test_of_an_answer_that_began_while_the_user_went_on_the_rest_is_struck_out():
    text = told(
        *user("My name is Daniel."),
        *reply("Nice to meet you."),
        *heard("Nice"),
        ("turn_reopened", {"text": "My name is Daniel."}),
        INTERRUPTED,
        ("turn_sent", {"text": "My name is Daniel. I live in Boston.", "turn": 2, "attempt": 1}),
    )
    assert "**User** (00:00.0): My name is Daniel. I live in Boston.\n" in text
    assert "Nice ~~to meet you.~~ *(interrupted)*" in text


def test_a_turn_begins_with_its_first_speech():
    text = told(
        ("user_started", {"speech_at": 0.5}),
        ("turn_started", {}),
        ("user_started", {"speech_at": 3.5}),
        ("final", {"text": "Well, hello.", "language": "en-US"}),
        ("turn_sent", {"text": "Well, hello.", "turn": 1, "attempt": 1}),
        ("turn_ended", {}),
        ("user_started", {"speech_at": 7.5}),
        ("final", {"text": "Bye.", "language": "en-US"}),
    )
    assert text == "**User** (00:00.5): Well, hello.\n**User** (00:07.5): Bye."


def test_what_the_pipeline_says_in_the_users_place_is_not_the_users():
    text = told(("user_started", {"speech_at": 0.0}), ("turn_sent", {"text": "[Ask again]", "turn": 1, "attempt": 1}))
    assert "User" not in text
    assert "the bot was told: [Ask again]" in text


def test_errors_are_part_of_the_story():
    assert told(("error", {"message": "The network is gone.", "permanent": True})).endswith(
        "error: The network is gone."
    )


def test_what_others_wrote_forges_no_line_and_loads_nothing():
    forged = "rain\n\n**User** (00:01.0): my password [x](http://evil) ![x](http://evil/x.png) <img src=x>"
    for events in (
        user(forged),
        [("tool_call", {"name": forged, "id": "1", "arguments": {"city": forged}})],
        [("error", {"message": forged, "permanent": True})],
    ):
        text = told(*events)
        assert "\n" not in text and "evil" in text
        outside = re.sub("`.*?`", "", text)
        assert not re.search(r"\]\(|(?<!\\)<img", outside)


@given(st.integers(0, 5))
def test_no_backslashes_of_others_undo_ours(count):
    text = told(*user("\\" * count + "<img src=x>"))
    before = re.search(r"(\\*)<img", text)
    assert before and len(before[1]) == 2 * count + 1


WORD = st.text("abcdefgäß가나", min_size=1, max_size=6)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(WORD, st.sampled_from(["", ",", ".", "!?"])), max_size=20), st.data())
def test_whatever_was_heard_whole_words_are_kept_and_nothing_is_lost(words, data):
    count = data.draw(st.integers(0, len(words)))
    text = " ".join(word + mark for word, mark in words)
    cut = heard_length(text, " ".join(word for word, _ in words[:count]))
    assert text[:cut].strip() == " ".join(word + mark for word, mark in words[:count]).strip()


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("Hello, world. More.", "", ""),
        ("Hello, world. More.", "hello", "Hello,"),
        ("Hello, world. More.", "Hello, world.", "Hello, world."),
        ("Hello, world. More.", "Hello, world. More.", "Hello, world. More."),
        ("It costs $5 today. Buy two.", "It costs five dollars today.", "It costs $5 today."),
        ("안녕하세요, 반갑습니다.", "안녕하세요,", "안녕하세요,"),
        ("**Bold** words here.", "Bold words", "**Bold** words"),
    ],
)
def test_heard_words_are_found_in_the_text(text, words, expected):
    assert text[: heard_length(text, words)].strip() == expected


def test_a_turn_that_was_guessed_too_early_is_told_once():
    text = told(
        ("user_started", {"speech_at": 0.0}),
        ("final", {"text": "My name is Daniel.", "language": "en-US"}),
        ("turn_sent", {"text": "My name is Daniel.", "turn": 1, "attempt": 1}),
        ("asked_too_early", {}),
        ("final", {"text": "I live in Boston.", "language": "en-US"}),
        ("turn_sent", {"text": "My name is Daniel. I live in Boston.", "turn": 2, "attempt": 1}),
    )
    assert text == "**User** (00:00.0): My name is Daniel. I live in Boston."


def test_its_headings_are_in_the_readers_language():
    use_language("ko-KR")
    transcript = Transcript()
    passing = ("backchannel", {"text": "네."})
    cut = [*reply("오늘은 ", "맑습니다."), *heard("오늘은 "), INTERRUPTED]
    asked = ("tool_call", {"name": "weather", "id": "1", "arguments": {"city": "서울"}})
    broken = ("error", {"message": "gone"})
    for number, (type_, fields) in enumerate([*user("날씨 어때?"), *cut, asked, passing, broken]):
        transcript.apply(Event(float(number), type_, fields))
    text = render(transcript, {"model": "m"})
    assert text.startswith("# 대화\n\nmodel m\n\n**사용자** (00:00.0): 날씨 어때?\n\n**봇** (00:04.0): 오늘은 ")
    assert "*(끊김)*" in text and ") 도구 `weather`" in text and "네. *(맞장구)*" in text and ") 오류: gone" in text
