from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from halfcascade.bot.hanging import LABEL_COLUMNS, hanging

WORDS = st.lists(st.text(alphabet="abzé날씨가世界12.,", min_size=1, max_size=12), min_size=1, max_size=40)


@given(WORDS, st.sampled_from(["you  ", "나   ", "     "]), st.integers(17, 120))
def test_words_stay_right_of_the_label_and_none_is_lost(words, label, width):
    line = Text.assemble((label, "bold"), (" ".join(words), "dim"))
    rows = hanging(line, width).plain.split("\n")
    assert rows[0].startswith(label)
    assert all(row.startswith(" " * LABEL_COLUMNS) and row.strip() for row in rows[1:])
    if line.cell_len > width:
        assert max(cell_len(row.rstrip()) for row in rows) <= width
    letters = "".join(rows).replace(" ", "")
    assert letters == (label + "".join(words)).replace(" ", "")


def test_a_line_that_fits_and_a_terminal_without_room_are_left_alone():
    line = Text("you  " + "word " * 9)
    assert hanging(line, 80) is line
    assert hanging(line, 10) is line
