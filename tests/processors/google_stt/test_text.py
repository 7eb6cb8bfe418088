"""Joining transcripts."""

import pytest

from halfcascade.processors.google_stt.protocol.text import merge_overlap
from halfcascade.processors.language import join_text


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
        ("ผมชอบอากาศ", "อากาศดีมาก", ("ผมชอบอากาศ", "ดีมาก")),
        ("मुझे मौसम", "मौसम बताइए", ("मुझे मौसम", "बताइए")),
        ("", "one", ("", "one")),
        # The same word so far from the seam is said again.
        ("call me at three", "no I meant not three", ("call me at three", "no I meant not three")),
    ],
)
def test_merge_says_each_word_once(head, tail, kept):
    assert merge_overlap(head, tail) == kept
