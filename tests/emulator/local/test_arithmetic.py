from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.emulator.minds.local.arithmetic import calculate, number, spoken


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("what is seventeen times twenty three", "17 times 23 is 391."),
        ("what's 17 x 23", "17 times 23 is 391."),
        ("2 plus 3 times 4", "2 plus 3 times 4 is 14."),
        ("what is 5 - 3", "5 minus 3 is 2."),
        ("2 million plus 5", "2000000 plus 5 is 2000005."),
        ("20 minus 3 minus 4", "20 minus 3 minus 4 is 13."),
        ("one hundred and five minus six", "105 minus 6 is 99."),
        ("one thousand two hundred plus three point five", "1200 plus 3.5 is 1203.5."),
        ("seven divided by two", "7 divided by 2 is 3.5."),
        ("10 / 3", "10 divided by 3 is 3.333."),
        ("ten divided by zero", "10 divided by 0 has no answer that I could say."),
        ("twenty percent of 80", "20 percent of 80 is 16."),
        ("the square root of 144", "The square root of 144 is 12."),
        ("seven squared", "7 squared is 49."),
        ("half of thirty", "Half of 30 is 15."),
        ("two to the power of ten", "2 to the power of 10 is 1024."),
        ("9 to the power of 999999", "9 to the power of 999999 has no answer that I could say."),
    ],
)
def test_calculates(text, answer):
    assert calculate(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"), [("17 곱하기 23은", "391"), ("십칠 더하기 이십삼은", "40"), ("백 나누기 사", "25")]
)
def test_calculates_in_korean(text, answer):
    assert f"답은 {answer}입니다." in (calculate(text, korean=True) or "")


@pytest.mark.parametrize(
    "text",
    [
        "what time is it",
        "i have two dogs and three cats",
        "the meeting is at nine",
        "call 555 1234",
        "",
        "times are hard",
    ],
)
def test_leaves_other_talk_alone(text):
    assert calculate(text) is None


@given(st.integers(-1000, 100_000), st.integers(0, 100_000), st.sampled_from([("plus", 1), ("minus", -1)]))
def test_sums_agree_with_python(a, b, operation):
    word, sign = operation
    assert (calculate(f"{a} {word} {b}") or "").endswith(f" is {a + sign * b}.")


@given(st.integers(0, 999_999))
def test_english_number_words_round_trip(value):
    assert number(_in_words(value)) == value


UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety"


def _in_words(value: int) -> str:
    units, tens = UNITS.split(" "), TENS.split(" ")
    if value < 20:
        return units[value]
    if value < 100:
        return tens[value // 10] + (f"-{units[value % 10]}" if value % 10 else "")
    size, name = (100, "hundred") if value < 1000 else (1000, "thousand")
    return f"{_in_words(value // size)} {name}" + (f" {_in_words(value % size)}" if value % size else "")


@pytest.mark.parametrize(("value", "text"), [(Fraction(3), "3"), (Fraction(7, 2), "3.5"), (Fraction(1, 3), "0.333")])
def test_says_numbers_briefly(value, text):
    assert spoken(value) == text
