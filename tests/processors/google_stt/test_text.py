"""Joining transcripts."""

import pytest

from halfcascade.processors.google_stt.protocol.text import is_unspaced, join_text, merge_overlap


@pytest.mark.parametrize(
    ("head", "tail", "joined"),
    [
        ("to be", " or not", "to be or not"),
        ("to be ", "or not", "to be or not"),
        ("", "yes", "yes"),
        ("오늘", "날씨", "오늘 날씨"),
        ("今日は", "いい天気", "今日はいい天気"),
        ("สวัสดี", "ครับ", "สวัสดีครับ"),
    ],
)
def test_join(head, tail, joined):
    assert join_text(head, tail) == joined


@pytest.mark.parametrize(
    ("head", "tail", "kept"),
    [
        ("one two three", "two three four", ("one two three", "four")),
        ("One two, three", "three. Four", ("One two, three", "Four")),
        ("one two thr", "wo three four", ("one two", "three four")),
        ("one two thr", "two three four", ("one two", "three four")),
        ("tell me a", "story", ("tell me a", "story")),
        ("one hel", "hello there", ("one", "hello there")),
        ("今日はいい", "はいい天気", ("今日はいい", "天気")),
        ("", "one", ("", "one")),
    ],
)
def test_merge_says_each_word_once(head, tail, kept):
    assert merge_overlap(head, tail) == kept


def test_scripts_without_spaces():
    assert is_unspaced("天気。")
    assert not is_unspaced("날씨")
    assert not is_unspaced("")
