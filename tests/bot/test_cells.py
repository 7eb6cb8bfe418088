import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from halfcascade.bot.cells import INDENT, side_by_side
from halfcascade.bot.terminal import Terminal

CELLS = st.lists(st.text(alphabet="abc날씨12 ", min_size=1, max_size=30).map(str.strip), min_size=2, max_size=7)


@given(CELLS, st.integers(10, 120))
def test_no_cell_is_lost_and_only_one_alone_is_too_wide(cells, width):
    cells = [cell or "-" for cell in cells]
    lines = list(side_by_side(cells, width))
    assert "".join(lines).replace(" ", "") == "".join(cells).replace(" ", "")
    assert all(line.startswith(INDENT) for line in lines[1:])
    for line in lines:
        assert cell_len(line) <= width or line.strip() in cells


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_row_keeps_to_the_terminal_and_below_its_head(width):
    written = io.StringIO()
    terminal = Terminal(Console(file=written, force_terminal=True, width=width, highlight=False, color_system=None))
    terminal.say_row("2026-11-27T06-00-00", "1:23 min", "차례 3개", "ko-KR", "$0.0123 (emulator)")
    terminal.say_row("", "What was said in it, at some length, so that it takes two rows")
    lines = written.getvalue().splitlines()
    assert max(map(cell_len, lines)) <= width
    assert lines[0].startswith("2026-11-27T06-00-00") and all(line.startswith(INDENT) for line in lines[1:])
    assert len(lines) > 2 or width >= 80


def test_whoever_pipes_it_gets_one_line_a_row():
    written = io.StringIO()
    Terminal(Console(file=written, width=20)).say_row("2026-11-27T06-00-00", "1:23 min", "ko-KR", "$0.01")
    assert written.getvalue() == "2026-11-27T06-00-00  1:23 min  ko-KR  $0.01\n"
