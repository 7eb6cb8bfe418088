"""What of a reply is only looked at is told apart from what is said, wherever a talk is shown."""

import pytest
from rich.text import Text

from halfcascade.bot.lines import use_language
from halfcascade.bot.report.page import _entry
from halfcascade.bot.report.saved import Said
from halfcascade.bot.screen.view import line_of
from halfcascade.bot.serve.captions import _described
from halfcascade.bot.session.transcript import BotSaid, Part, parts_of
from halfcascade.bot.terminal import reached_text

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
    assert (told["heard"], told["shown"], told["unheard"]) == ("Try this: That is it.", [CODE], "")
