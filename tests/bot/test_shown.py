"""What of a reply is only looked at is told apart from what is said, wherever a talk is shown."""

import pytest
from rich.text import Text

from halfcascade.bot.reply_line import reached_text, reply_line
from halfcascade.bot.report.page import _entry
from halfcascade.bot.report.saved import Said, Word
from halfcascade.bot.screen.view import line_of
from halfcascade.bot.serve.captions import _described
from halfcascade.bot.session.markdown import line_of as markdown_of
from halfcascade.bot.session.reply_text import Part, parts_of
from halfcascade.bot.session.transcript import BotSaid
from halfcascade.lines import use_language

CODE = "```py\nprint(1)\n```"
REPLY = f"Try this:\n{CODE}\nThat is it."


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n ", []),
        ("Yes, I can.", [("Yes, I can.", False)]),
        (REPLY, [("Try this:", False), (CODE, True), ("That is it.", False)]),
        (CODE, [(CODE, True)]),
        ("So $$x^2$$ it is.", [("So", False), ("$$x^2$$", True), ("it is.", False)]),
        ("Yes. <!-- a note -->Really.", [("Yes.", False), ("Really.", False)]),
        # Cut off in the middle of a block.
        ("Look:\n```py\nprint(", [("Look:", False), ("```py\nprint(", True)]),
    ],
)
def test_a_reply_is_taken_apart(text, parts):
    assert list(parts_of(text)) == [Part(*part) for part in parts]


def reply(reached: str = REPLY) -> BotSaid:
    return BotSaid(0.0, REPLY, heard="Try this: That is it.", reached=reached, ended=True, spoken=True)


def styles(line: Text, words: str) -> set[str]:
    at = line.plain.index(words)
    return {str(span.style) for span in line.spans if span.start <= at < span.end}


def test_on_terminal_and_screen_it_is_of_another_style_with_a_word_that_says_so():
    for line in (reached_text(REPLY), line_of(reply())):
        assert "print(1) ``` (shown) That is it." in line.plain
        assert "italic" in styles(line, "print(1)")
        assert "italic" not in styles(line, "That is it.")
    try:
        use_language("ko-KR")
        assert "(화면에만)" in reached_text(REPLY).plain
    finally:
        use_language("en-US")


def test_the_page_is_told_which_part_is_shown():
    message = _described(reply(), 3)
    assert message["heard"] == "Try this: That is it."
    assert [(part["text"], part["shown"]) for part in message["parts"]] == [
        ("Try this:", False),
        (CODE, True),
        ("That is it.", False),
    ]


def test_the_report_holds_it_beside_the_words_that_were_heard():
    told = _entry(Said(reply(), 1.0))
    assert [(piece["text"], piece["heard"]) for piece in told["pieces"]] == [("Try this: That is it.", True)]
    assert told["shown"] == [CODE]


def given_up() -> BotSaid:
    """A reply whose second sentence the voice gave up."""
    text = "First things first. Then the second. And the end."
    heard = "First things first. And the end."
    return BotSaid(0.0, text, heard=heard, ended=True, spoken=True, unspoken=["Then the second."])


def test_a_sentence_that_the_voice_gave_up_is_struck_out_where_it_stands_wherever_a_talk_is_shown():
    reply = given_up()
    for line in (reply_line(reply), line_of(reply)):
        assert line.plain.removeprefix("bot  ") == reply.text
        assert "strike" in "".join(styles(line, "Then the second."))
        assert not any("strike" in style for style in styles(line, "First") | styles(line, "And the end."))
    assert reply_line(reply, coloured=False).plain == "First things first. ~~Then the second.~~ And the end."
    assert markdown_of(reply) == "**Bot** (00:00.0): First things first. ~~Then the second.~~ And the end."
    message = _described(reply, 3)
    assert message["heard"] == "First things first. And the end."
    assert [part["skipped"] for part in message["parts"]] == [False, True, False]
    words = [
        Word(float(n), text, text) for n, text in enumerate(["First", " things", " first.", " And", " the", " end."])
    ]
    pieces = _entry(Said(reply, 9.0, words))["pieces"]
    assert [(piece["text"], piece["heard"], len(piece["words"])) for piece in pieces] == [
        ("First things first.", True, 3),
        ("Then the second.", False, 0),
        ("And the end.", True, 3),
    ]


def test_what_was_given_up_is_no_part_of_what_was_heard():
    assert given_up().heard_text == "First things first. And the end."


def test_while_a_reply_goes_on_what_may_still_be_heard_is_dim():
    reply = BotSaid(0.0, "One. Two. Three.", heard="One.", ended=True)
    assert styles(reply_line(reply), "Two.") == {"dim"}
