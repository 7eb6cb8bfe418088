"""Joining deltas and skipping repetitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.gemini_live.protocol.text import DeltaJoiner, Resumer, letters


@given(st.text(alphabet="ab .,안녕は。", min_size=1), st.lists(st.integers(1, 5), max_size=20))
def test_pieces_cut_anywhere_give_the_same_text(text: str, cuts: list[int]) -> None:
    joiner, out, position = DeltaJoiner(), "", 0
    for cut in [*cuts, len(text)]:
        out += joiner.join(text[position : position + cut])
        position += cut
    assert out == text.lstrip()


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("It rains.", "Take a coat.", "It rains. Take a coat."),
        ("It rains. ", "Take a coat.", "It rains. Take a coat."),
        ("비가 와요.", "우산을 챙기세요.", "비가 와요. 우산을 챙기세요."),
        ("雨です。", "傘をどうぞ。", "雨です。傘をどうぞ。"),
        ("下雨了。", "带上伞。", "下雨了。带上伞。"),
        ("ฝนตกค่ะ", "พกร่มด้วยนะคะ", "ฝนตกค่ะ พกร่มด้วยนะคะ"),
        ("बारिश है।", "छाता लीजिए।", "बारिश है। छाता लीजिए।"),
    ],
)
def test_finished_segments_are_parted_where_the_script_parts_them(first: str, second: str, joined: str) -> None:
    joiner = DeltaJoiner()
    assert joiner.join(first, finished=True) + joiner.join(second, finished=True) == joined


@given(st.text(alphabet="abc 하나.,", min_size=1), st.integers(0, 30), st.lists(st.integers(1, 6), max_size=20))
def test_a_repeated_answer_gives_every_letter_once(text: str, delivered: int, cuts: list[int]) -> None:
    before = text[:delivered]
    resumer, after, position = Resumer(before), "", 0
    for cut in [*cuts, len(text)]:
        after += resumer.take(text[position : position + cut])
        position += cut
    assert letters(before + after) == letters(text)


def test_an_answer_that_goes_on_is_kept_whole_and_parted() -> None:
    assert Resumer("Once upon a").take("time there was") == " time there was"
    assert Resumer("昔々").take("ある所に") == "ある所に"
    assert Resumer("walk").take("walking on") == "ing on"
