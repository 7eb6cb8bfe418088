import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.harmless import harmless, harmless_lines, harmless_value


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Hello, world!", "Hello, world!"),
        (" leading and trailing ", " leading and trailing "),
        ("\x1b[31mred\x1b[0m", "red"),
        ("clip\x1b]52;c;aGFjaw==\x07board", "clipboard"),
        ("clip\x1b]52;c;aGFjaw==\x1b\\board", "clipboard"),
        ("title\x9d0;owned\x9c.", "title."),
        ("\x9b2Jgone", "gone"),
        ("cut \x1b]52;c;never ends", "cut "),
        ("bell\x07 back\x08space\x00", "bell backspace"),
        ("line\r\nbreak\u2028here\vand\ttab", "line break here and tab"),
        ("user \u202egnp.exe", "user gnp.exe"),
        ("soft\u00adhyphen and zero\u200bwidth", "softhyphen and zerowidth"),
        ("half \ud83d emoji", "half emoji"),
        ("안녕하세요 नमस्ते 👩\u200d👩\u200d👧 می\u200cخواهم", "안녕하세요 नमस्ते 👩\u200d👩\u200d👧 می\u200cخواهم"),
        ("hidden\U000e0068\U000e0069 🏴\U000e0067\U000e0062\U000e007f", "hidden 🏴\U000e0067\U000e0062\U000e007f"),
        ("a later emoji \U0001fae9, \ue0b0", "a later emoji \U0001fae9, \ue0b0"),
        ("no\ufdd0 character\U0010ffff", "no character"),
        ("x" * 5_000, "x" * 4_000 + " …"),
    ],
)
def test_what_is_shown(text, shown):
    assert harmless(text) == shown


@given(st.text(st.characters()))
def test_no_text_moves_a_terminal_or_breaks_a_line(text):
    made = harmless(text)
    assert all(unicodedata.category(c) not in ("Cc", "Cs") for c in made)
    assert "\n" not in made and "\x1b" not in made
    assert harmless(made) == made
    made.encode("utf-8")


def test_lines_and_their_spaces_stay_where_they_mean_something():
    code = "def f():\n    return 1\x1b[2J\r\n\tpass\u2028end"
    assert harmless_lines(code) == "def f():\n    return 1\n    pass\nend"
    assert harmless_value({"a\x07": ["x\x1b]0;t\x07y", 3, None]}) == {"a": ["xy", 3, None]}
