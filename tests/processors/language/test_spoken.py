"""Words and how long they take."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.language.spoken import (
    CLAUSE_PAUSE,
    SENTENCE_PAUSE,
    expected_pause,
    spoken_words,
    word_units,
)

TOKEN_LIST = "Hello 42 — , . 네, 그래요. 今日 は、 晴れ。 iPhone 15 😀 % ..."
TOKENS = TOKEN_LIST.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello there, I have 42 apples — really!", ["Hello", "there,", "I", "have", "42", "apples —", "really!"]),
        ("안녕하세요, 저는 3개를 샀어요.", ["안녕하세요,", "저는", "3개를", "샀어요."]),
        ("今日は晴れです。", ["今日", "は", "晴れ", "です。"]),
        ("你好，今天很好。", ["你好，", "今天", "很好。"]),
        ("It is 50 % off", ["It", "is", "50", "%", "off"]),
        ("— what?", ["—", "what?"]),
        ("iPhone15を3.5万円で買った。", ["iPhone15", "を", "3.5", "万", "円", "で", "買っ", "た。"]),
        ("วันนี้ อากาศดี", ["วัน", "นี้ ", "อากาศ", "ดี"]),
        ("मैं आपकी सहायक हूँ। ठीक?", ["मैं", "आपकी", "सहायक", "हूँ।", "ठीक?"]),
        ("", []),
    ],
)
def test_words(text, words):
    assert [word.text for word in spoken_words(text)] == words


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["Hello", "42", "—", ",", ".", "네,", "그래요.", "今日", "は、", "晴れ。", "iPhone", "15", "😀", "%", "..."]
        ),
        max_size=12,
    )
)
def test_words_cover_the_text_in_order(parts):
    text = " ".join(parts)
    words = spoken_words(text)
    assert all(text[word.start : word.end] == word.text for word in words)
    assert all(word.units > 0 and word.pause >= 0 for word in words)
    outside = text
    for word in words:
        outside = outside.replace(word.text, "", 1)
    assert not outside.strip()


@pytest.mark.parametrize(
    ("shorter", "longer"),
    [
        ("the", "thorough"),
        ("cat", "catastrophe"),
        ("네", "네네"),
        ("가", "강"),
        ("は", "きょうは"),
        ("7", "77"),
        ("77", "7,777"),
        ("be", "BBC"),
        ("a", "straße"),
        ("да", "здравствуйте"),
        ("है", "नमस्कार"),
        ("ครับ", "สวัสดีครับ"),
    ],
)
def test_longer_words_take_longer(shorter, longer):
    assert word_units(shorter) < word_units(longer)


def test_numbers_are_read_in_the_language_of_the_voice():
    assert word_units("1999", "en-US") > word_units("1999", "ko-KR") > word_units("19", "ko-KR")
    assert word_units("3.14", "xx-XX") > 1


@pytest.mark.parametrize(
    ("text", "pause"),
    [
        ("so", 0.0),
        ("so,", CLAUSE_PAUSE),
        ('so."', SENTENCE_PAUSE),
        ("そう。", SENTENCE_PAUSE),
        ("हूँ।", SENTENCE_PAUSE),
        ("اليوم؟", SENTENCE_PAUSE),
        ("مرحبا،", CLAUSE_PAUSE),
        ("so (he said)", 0.0),
        ("", 0.0),
    ],
)
def test_pauses_follow_the_last_mark(text, pause):
    assert expected_pause(text) == pause
