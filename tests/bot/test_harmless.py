import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.bot.harmless import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 안녕하세요 👩‍💻 ümlaut ", "plain 안녕하세요 👩‍💻 ümlaut "),
        ("\x1b[31mred\x1b[0m", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]52;c;aGVsbG8=\x1b\\b", "ab"),
        ("a\x1b]0;never ends", "a"),
        ("\x9b31mx\x9d0;t\x9cy", "xy"),
        ("\x1bPq#0\x1b\\z\x1bc", "z"),
        ("one\r\ntwo\rthree\ttab\x00\x08", "one twothree tab"),
        ("left\u202eright\u2066x\u2069\u200b\ufeff", "leftrightx"),
        ("\ud83dhalf", "half"),
        ("\ufffd", "\ufffd"),
    ],
)
def test_what_a_terminal_would_act_on_is_gone(text, shown):
    assert harmless(text) == shown


def test_lines_stay_where_they_are_wanted():
    assert harmless("one\ntwo\tx\r\n", lines=True) == "one\ntwo\tx\n"


def test_a_long_text_is_cut_and_says_so():
    assert harmless("x" * 100_000) == "x" * 20_000 + " … (80,000 more characters)"


@given(st.text())
def test_nothing_a_terminal_acts_on_is_ever_left(text):
    shown = harmless(text)
    assert shown.isprintable() or all(c.isprintable() or c.isspace() or ord(c) > 0xA0 for c in shown)
    assert "\x1b" not in shown and "\n" not in shown
    shown.encode()
    assert harmless(shown) == shown
