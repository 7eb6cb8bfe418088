"""Korean numbers before counters, which are said in native words: 3개 is "세 개", 20명 "스무 명"."""

import re

_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# Counters that take native numbers whatever stands around them.
_COUNTERS = (
    "개월"  # first, so that it is told from 개
    "|개|명|살|마리|권|잔|병|장|대|시간|가지|벌|켤레|그루|송이|자루|척|채|군데|사람|분(?=이|께|만|을|은|의|과|도|,|\\s|$)|시(?!간)"
)
_COUNTED = re.compile(rf"(?<![\d.,:/-])(\d{{1,2}})\s?({_COUNTERS})")
# "5분" is five minutes, unless people are spoken of: those are left to the voice.
_SINO = frozenset(("개월", "분"))


def speak_counters(text: str) -> str:
    """Write small numbers before native counters in native words.

    Args:
        text: Korean text.

    Returns:
        The text; all other numbers stay.
    """

    def spoken(match: re.Match[str]) -> str:
        number = int(match[1])
        if match[2] in _SINO or not number or (match[2] == "시" and number > 24):
            return match.group()
        return f"{native(number)} {match[2]}"

    return _COUNTED.sub(spoken, text)


def native(number: int) -> str:
    """Name a number in native Korean, in the form that stands before a counter.

    Args:
        number: 1 to 99.

    Returns:
        The words, such as 스물세 and, standing alone, 스무.
    """
    tens, ones = divmod(number, 10)
    if number == 20:
        return "스무"
    return _TENS[tens] + _ONES[ones]
