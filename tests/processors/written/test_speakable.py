"""What the voice is given to say for what is written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.written.korean import native, speak_counters
from halfcascade.processors.written.speakable import speakable, speakable_markup, without_pause_tags

ENGLISH = [
    # markup
    ("**Hello** and _world_, *it*, __u__, ~~gone~~", "Hello and world, it, u, gone"),
    ("**Half of it", "Half of it"),
    ("***Both*** of them", "Both of them"),
    ("## A title", "A title"),
    ("- an item", "an item"),
    ("- [x] done", "done"),
    ("> quoted", "quoted"),
    ("Use `pip` now.", "Use pip now."),
    ("See [the page](https://example.com/a?b=1).", "See the page."),
    ("See [the page][1] and note[^2].", "See the page and note."),
    ("<b>bold</b> text<br/>next", "bold text, next"),
    ('Hi <break time="1s"/> there', "Hi there"),
    ("&lt; is less &amp; more", "is less and more"),
    (r"\*literally\*", "literally"),
    ("One line\nanother", "One line, another"),
    ("---", ""),
    # pictures
    ("Great! 🎉🎉 Let's go 👩‍👩‍👧", "Great! Let's go"),
    ("🎉", ""),
    ("👍🏽", ""),
    ("...", ""),
    ("(😀)", ""),
    ("네, **알겠습니다** 😀.", "네, 알겠습니다."),
    # left to the voice
    ("It costs $42.50, or 1,234 €.", "It costs $42.50, or 1,234 €."),
    ("25 °C and 30%", "25 °C and 30%"),
    ("On 2026-11-26 at 5.30 p.m.", "On 2026-11-26 at 5.30 p.m."),
    ("It is 3/4 and 24/7", "It is 3/4 and 24/7"),
    ("AT&T won 3-2", "AT&T won 3-2"),
    ("10 m² at 60 km/h", "10 m² at 60 km/h"),
    ("a well-known e-mail", "a well-known e-mail"),
    # arithmetic
    ("5 * 3 = 15", "5 times 3 equals 15"),
    ("5*3=15", "5 times 3 equals 15"),
    ("2 * 3 * 4 = 24", "2 times 3 times 4 equals 24"),
    ("**5 * 3**", "5 times 3"),
    ("price * quantity", "price times quantity"),
    ("6 ÷ 2 + 1 = 4", "6 divided by 2 plus 1 equals 4"),
    ("10 - 3 = 7", "10 minus 3 equals 7"),
    ("5-3=2", "5 minus 3 equals 2"),
    ("-5 degrees", "minus 5 degrees"),
    ("5 ± 2", "5 plus or minus 2"),
    ("√16", "the square root of 16"),
    ("2^10", "2 to the power of 10"),
    ("x^2 and y³", "x squared and y cubed"),
    (r"\(x^2\)", "x squared"),
    (r"\(\frac{a}{b}\)", "a divided by b"),
    ("x < 5 and y > 3", "x is less than 5 and y is greater than 3"),
    ("x <= 5, y >= 3, z != 2", "x is at most 5, y is at least 3, z is not equal to 2"),
    ("a <b and c> d", "a is less than b and c is greater than d"),
    ("1 < x < 5", "1 is less than x is less than 5"),
    ("a -> b", "a to b"),
    ("~5 minutes", "about 5 minutes"),
    # ranges and rates
    ("3-5 days", "3 to 5 days"),
    ("50–60%", "50 to 60%"),
    ("$10–$20", "$10 to $20"),
    ("9:00-17:00", "9:00 to 17:00"),
    ("$5/month", "$5 per month"),
    # names
    ("C# and F#, C++, an A+", "C sharp and F sharp, C plus plus, an A plus"),
    ("#1 and #sunset", "number 1 and hashtag sunset"),
    ("@john", "at john"),
    ("Go to https://www.example.com/very/long?q=1.", "Go to example.com."),
    ("See example.com/a/b for it", "See example.com for it"),
    ("kim_minsu@naver.com", "kim underscore minsu at naver dot com"),
    ("Version 2.0.1", "Version 2 point 0 point 1"),
    ("192.168.0.1", "192 point 168 point 0 point 1"),
    ("Open main.py in Node.js", "Open main dot py in Node dot js"),
    ("snake_case_name", "snake case name"),
    ("010-1234-5678", "0 1 0, 1 2 3 4, 5 6 7 8"),
    ("A & B", "A and B"),
    ("a | b", "a, b"),
    # dirt
    ("Hello \u202eevil\u202c there\x00.", "Hello evil there."),
    ("Hello \ud83d there", "Hello there"),
]
OTHERS = [
    ("ko-KR", "5 * 3 = 15", "5 곱하기 3은 15"),
    ("ko-KR", "2 + 2 = 4", "2 더하기 2는 4"),
    ("ko-KR", "2^10", "2의 10제곱"),
    ("ko-KR", "x < 5", "x는 5보다 작음"),
    ("ko-KR", "10~15도", "10에서 15도"),
    ("ko-KR", "010-1234-5678", "공일공, 일이삼사, 오육칠팔"),
    ("ko-KR", "사과 3개, 20명, 5시 30분, 21살", "사과 세 개, 스무 명, 다섯 시 30분, 스물한 살"),
    ("ko-KR", "3개월 동안 12%", "3개월 동안 12%"),
    ("ko-KR", "kim_minsu@naver.com", "kim 밑줄 minsu 골뱅이 naver 점 com"),
    ("ja-JP", "10〜15度", "10から15度"),
    ("cmn-CN", "5 * 3 = 15", "5 乘以 3 等于 15"),
    ("de-DE", "5 * 3 = 15", "5 mal 3 gleich 15"),
    ("fr-FR", "« Bonjour ! »", "« Bonjour! »"),
    ("es-ES", "3-5 días", "3 a 5 días"),
    ("sv-SE", "5 * 3 = 15, x < 5, kim_a@b.se", "5 * 3 = 15, x < 5, kim_a@b.se"),
]


@pytest.mark.parametrize(("written", "spoken"), ENGLISH)
def test_english(written, spoken):
    assert speakable(written, "en-US") == spoken


@pytest.mark.parametrize(("locale", "written", "spoken"), OTHERS)
def test_other_languages(locale, written, spoken):
    assert speakable(written, locale) == spoken


def test_pause_tags_are_the_only_brackets_of_markup():
    text = "Let me think [pause long] **yes** [1]. [pause]"
    assert speakable_markup(text) == "Let me think [pause long] yes 1. [pause]"
    assert without_pause_tags("Let me think [pause long] yes. [pause short]") == "Let me think yes."


@pytest.mark.parametrize(
    ("number", "words"), [(1, "한"), (20, "스무"), (21, "스물한"), (35, "서른다섯"), (99, "아흔아홉"), (10, "열")]
)
def test_native_korean_numbers(number, words):
    assert native(number) == words


@pytest.mark.parametrize("text", ["2026년 11월 26일", "3.5개", "100개", "0개", "5분", "3층", "1,200명"])
def test_other_korean_numbers_are_left_to_the_voice(text):
    assert speak_counters(text) == text


SIGNS = "ab1 5.,*_`#<>=+-~^|\\/@&()[]{}!?$%°×√²→–\n안3개です。😀"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=SIGNS, max_size=60), st.sampled_from(["en-US", "ko-KR", "ja-JP", "sv-SE"]))
def test_no_letter_or_digit_is_lost_from_plain_text(text, locale):
    said = speakable(text, locale)
    assert bool(said) == any(c.isalnum() for c in said)
    assert "\ue000" not in said
    assert speakable(said, locale) or not said
