"""Scripts, spacing and marks: one notion for all parts."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.language import (
    clusters,
    ends_clause,
    ends_sentence,
    has_unspaced,
    is_unspaced,
    join_text,
    needs_space,
    word_spans,
)

SCRIPTS = {
    "Thai": ("สวัสดีครับ", True),
    "Lao": ("ສະບາຍດີ", True),
    "Khmer": ("សួស្តី", True),
    "Burmese": ("မင်္ဂလာပါ", True),
    "Chinese": ("你好吗", True),
    "Japanese": ("こんにちは", True),
    "full-width mark": ("天気。", True),
    "Korean": ("안녕하세요", False),
    "Hindi": ("नमस्ते", False),
    "Arabic": ("مرحبا", False),
    "English": ("hello", False),
    "a Latin end": ("我喜欢 jazz", False),
    "nothing": ("", False),
}


@pytest.mark.parametrize(("text", "unspaced"), SCRIPTS.values(), ids=SCRIPTS)
def test_which_scripts_write_no_spaces(text, unspaced):
    assert is_unspaced(text) is unspaced


@pytest.mark.parametrize(
    ("text", "held"), [("I love あ songs", True), ("anything", False), ("네, 좋아요", False), ("。", False)]
)
def test_a_text_may_hold_such_a_script_anywhere(text, held):
    assert has_unspaced(text) is held


@pytest.mark.parametrize(
    ("head", "tail", "joined"),
    [
        ("오늘", "날씨", "오늘 날씨"),
        ("이것은", "中国", "이것은 中国"),
        ("今日。", "Hello", "今日。Hello"),
        ("我喜欢", "jazz", "我喜欢jazz"),
        ("ผมชอบ", "jazz", "ผมชอบ jazz"),
        ("ผม", "ชอบ", "ผมชอบ"),
        ("नमस्ते", "जी", "नमस्ते जी"),
        ("one ", " two", "one two"),
        ("", "two", "two"),
    ],
)
def test_pieces_are_joined_as_the_script_wants(head, tail, joined):
    assert join_text(head, tail) == joined


def test_sentences_are_parted_even_where_words_are_not():
    assert needs_space("ครับ", "วันนี้", sentence=True)
    assert not needs_space("です。", "今日", sentence=True)


@pytest.mark.parametrize("mark", list(".!?…。！？｡।؟۔။។"))
def test_sentence_ends(mark):
    assert ends_sentence(f"a{mark}")
    assert ends_sentence(f'"a{mark}" ')
    assert not ends_sentence(f"a{mark}b")
    assert not ends_clause(f"a{mark}")


@pytest.mark.parametrize("mark", list(",;:、，；：،؛၊–—"))
def test_clause_ends(mark):
    assert ends_clause(f"a{mark}")
    assert not ends_sentence(f"a{mark}")


def test_greek_asks_with_a_semicolon():
    assert ends_sentence("Τι κάνεις;", ";")


ANY = st.text(alphabet="ab 1.,«»\"'()안녕今日はคุณกำลังನमस्तेहूँမြန်မာខ្មែរລາວ。、！\n", max_size=40)


@given(ANY)
def test_words_hold_everything_but_spaces(text):
    spans = word_spans(text)
    assert all(start < end for start, end in spans)
    assert "".join(text[start:end] for start, end in spans) == "".join(text.split())
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


@given(ANY)
def test_clusters_are_the_text(text):
    assert "".join(clusters(text)) == text
