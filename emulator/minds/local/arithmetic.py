"""Arithmetic in words: finds a calculation in an utterance and works it out. English and Korean."""

import math
import re
from collections.abc import Callable
from fractions import Fraction


def _numbered(words: str, first: int = 0, step: int = 1) -> dict[str, int]:
    return {word: first + step * place for place, word in enumerate(words.split())}


_UNITS = _numbered(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = _numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10)
_SCALES = {"thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
_KOREAN_DIGITS = dict(zip("영일이삼사오육칠팔구", range(10), strict=True))
_KOREAN_SCALES = {"십": 10, "백": 100, "천": 1000}

_OPERATORS = (
    (re.compile(r"(?:plus|and added to|added to|더하기|\+)"), "+"),
    (re.compile(r"(?:minus|less|take away|빼기|-|−)"), "-"),
    (re.compile(r"(?:times|multiplied by|multiplied with|곱하기|x|×|\*)"), "*"),
    (re.compile(r"(?:divided by|over|나누기|÷|/)"), "/"),
    (re.compile(r"(?:to the power of|\^)"), "^"),
)
_SPOKEN = {"+": "plus", "-": "minus", "*": "times", "/": "divided by", "^": "to the power of"}
_SPOKEN_KOREAN = {"+": "더하기", "-": "빼기", "*": "곱하기", "/": "나누기", "^": "의 거듭제곱"}
_LARGEST_POWER = 64


def number(words: str) -> Fraction | None:
    """Return the value of a number in digits or words ("twenty-three", "이십삼"), or None."""
    words = words.strip().lower()
    if re.fullmatch(r"-?\d+(?:\.\d+)?", words):
        return Fraction(words)
    if words and all(c in _KOREAN_DIGITS or c in _KOREAN_SCALES or c == "만" for c in words):
        return _korean(words)
    return _english([word for word in re.split(r"[\s-]+", words) if word and word != "and"])


def _english(words: list[str]) -> Fraction | None:
    whole, _, decimals = " ".join(words).partition(" point ")
    total = current = 0
    known = False
    for word in whole.split():
        if word in _UNITS:
            current += _UNITS[word]
        elif word in _TENS:
            current += _TENS[word]
        elif word.isdigit():
            current += int(word)
        elif word == "hundred":
            current = (current or 1) * 100
        elif word in _SCALES:
            total += (current or 1) * _SCALES[word]
            current = 0
        elif word == "a" and not known:
            continue
        else:
            return None
        known = True
    if not known:
        return None
    value = Fraction(total + current)
    if decimals:
        digits = [str(_UNITS.get(word, word)) for word in decimals.split()]
        if not all(digit.isdigit() for digit in digits):
            return None
        value += Fraction(int("".join(digits)), 10 ** len("".join(digits)))
    return value


def _korean(word: str) -> Fraction:
    total = section = digit = 0
    for c in word:
        if c in _KOREAN_DIGITS:
            digit = _KOREAN_DIGITS[c]
        elif c in _KOREAN_SCALES:
            section += (digit or 1) * _KOREAN_SCALES[c]
            digit = 0
        else:
            total += (section + digit or 1) * 10_000
            section = digit = 0
    return Fraction(total + section + digit)


_SCALE_WORD = "|".join(["hundred", *_SCALES])
_NUMBER_WORD = "|".join([*_UNITS, *_TENS, "point", _SCALE_WORD])
_NUMBER = (
    rf"(?:-?\d+(?:\.\d+)?(?:\s+(?:{_SCALE_WORD}))*|(?:a )?(?:{_NUMBER_WORD})(?:[\s-]+(?:and\s+)?(?:{_NUMBER_WORD}))*"
    r"|[영일이삼사오육칠팔구십백천만]+?)(?=[은는을를]?(?!\w))"
)
_OPERATOR = "|".join(pattern.pattern for pattern, _ in _OPERATORS)
_EXPRESSION = re.compile(rf"(?<![\w.])({_NUMBER}(?:\s*(?:{_OPERATOR})\s*{_NUMBER})+)")
_FIRST_NUMBER = re.compile(rf"\s*({_NUMBER})")
_FIRST_OPERATOR = re.compile(rf"\s*({_OPERATOR})")
_PERCENT = re.compile(rf"(?<![\w.])({_NUMBER})\s*(?:percent|per cent|%) of ({_NUMBER})")
_ROOT = re.compile(rf"square root of ({_NUMBER})")
_SQUARE = re.compile(rf"(?<![\w.])({_NUMBER}) (squared|cubed)")
_HALF = re.compile(rf"\b(half|a third|a quarter|double|twice) (?:of )?({_NUMBER})")
_SHARES = {
    "half": ("Half of", Fraction(1, 2)),
    "a third": ("A third of", Fraction(1, 3)),
    "a quarter": ("A quarter of", Fraction(1, 4)),
    "double": ("Twice", Fraction(2)),
    "twice": ("Twice", Fraction(2)),
}


def calculate(text: str, *, korean: bool = False) -> str | None:
    """Work out the first calculation in an utterance.

    Parameters:
        text: In lower case, without punctuation.
        korean: Whether to answer in Korean.

    Returns:
        A sentence that says the result, or None if there is no calculation.
    """
    finders: tuple[Callable[[str, bool], str | None], ...] = (_percent, _root, _power, _share, _chain)
    return next((answer for find in finders if (answer := find(text, korean)) is not None), None)


def _percent(text: str, _korean: bool) -> str | None:
    match = _PERCENT.search(text)
    if match and (share := number(match[1])) is not None and (whole := number(match[2])) is not None:
        return f"{spoken(share)} percent of {spoken(whole)} is {spoken(share * whole / 100)}."
    return None


def _root(text: str, _korean: bool) -> str | None:
    match = _ROOT.search(text)
    if match and (value := number(match[1])) is not None:
        return f"The square root of {spoken(value)} is {spoken(Fraction(math.sqrt(value)))}."
    return None


def _power(text: str, _korean: bool) -> str | None:
    match = _SQUARE.search(text)
    if match and (value := number(match[1])) is not None:
        return f"{spoken(value)} {match[2]} is {spoken(value ** (2 if match[2] == 'squared' else 3))}."
    return None


def _share(text: str, _korean: bool) -> str | None:
    match = _HALF.search(text)
    if match and (value := number(match[2])) is not None:
        name, share = _SHARES[match[1]]
        return f"{name} {spoken(value)} is {spoken(value * share)}."
    return None


def _chain(text: str, korean: bool) -> str | None:
    match = _EXPRESSION.search(text)
    if match is None:
        return None
    values, signs = _take_apart(match[1])
    if any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    names = _SPOKEN_KOREAN if korean else _SPOKEN
    question = spoken(known[0]) + "".join(
        f" {names[sign]} {spoken(value)}" for sign, value in zip(signs, known[1:], strict=True)
    )
    try:
        result = _evaluate(known, signs)
    except (ZeroDivisionError, OverflowError):
        return "영으로는 나눌 수 없어요." if korean else f"{question} has no answer that I could say."
    return f"{question}, 답은 {spoken(result)}입니다." if korean else f"{question} is {spoken(result)}."


def _take_apart(expression: str) -> tuple[list[Fraction | None], list[str]]:
    values: list[Fraction | None] = []
    signs: list[str] = []
    at = 0
    while first := _FIRST_NUMBER.match(expression, at):
        values.append(number(first[1]))
        between = _FIRST_OPERATOR.match(expression, first.end())
        if between is None:
            break
        signs.append(next(sign for pattern, sign in _OPERATORS if pattern.fullmatch(between[1])))
        at = between.end()
    return values, signs


def _evaluate(values: list[Fraction], signs: list[str]) -> Fraction:
    """Multiplication before addition, left to right."""
    values, signs = list(values), list(signs)
    for group in ("^", "*/", "+-"):
        at = 0
        while at < len(signs):
            if signs[at] not in group:
                at += 1
                continue
            values[at : at + 2] = [_apply(signs.pop(at), values[at], values[at + 1])]
    return values[0]


def _apply(sign: str, a: Fraction, b: Fraction) -> Fraction:
    if sign == "^":
        if b.denominator != 1 or abs(b) > _LARGEST_POWER:
            raise OverflowError
        return Fraction(a**b)
    return {"+": a + b, "-": a - b, "*": a * b}[sign] if sign != "/" else a / b


def spoken(value: Fraction) -> str:
    """Return a number as digits; long decimals are rounded."""
    if value.denominator == 1:
        return f"{value.numerator}"
    return f"{float(value):.3f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{float(value):.3g}"
