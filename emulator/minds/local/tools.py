"""Functions that the client declared: which one an utterance asks for, with what arguments, and what to say then."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from halfcascade.emulator.minds.base import FunctionCall, FunctionResult
from halfcascade.emulator.minds.local.arithmetic import number
from halfcascade.emulator.minds.local.history import plain

_STOP_WORDS = re.compile(
    r"an?|the|of|for|to|in|on|at|is|are|be|it|this|that|with|and|or|by|as|from|me|my|you|your|i|can|could|would|will|do|does|"
    r"please|what|which|who|how|when|where|there|here|get|set|give|tell|make|used?|using|calls?|returns?|current|function|"
    r"tool|user|now|right|any|some"
)
# Words that mean the same to a user and to whoever declared the function.
_SAME = {
    "clock": "time",
    "oclock": "time",
    "today": "date",
    "day": "date",
    "countdown": "timer",
    "alarm": "timer",
    "forecast": "weather",
    "rain": "weather",
    "temperature": "weather",
    "lamp": "light",
    "lights": "light",
    "lamps": "light",
    "song": "music",
    "remind": "reminder",
    "stop": "cancel",
    "remove": "delete",
    "시": "time",
    "시간": "time",
    "날짜": "date",
    "며칠": "date",
    "타이머": "timer",
    "날씨": "weather",
}
_UNDOING = frozenset(("cancel", "delete", "clear"))
"""A function named so is never called by chance."""
_TIME_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "초": 1, "분": 60, "시간": 3600}
_DURATION = re.compile(
    r"((?:\d+(?:\.\d+)?|a|an|half an?|[a-z]+(?:[ -](?:one|two|three|four|five|six|seven|eight|nine))?))"
    r"[ -]+(second|minute|hour|day)s?"
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_CLOCK = re.compile(r"\d{2}:\d{2}(?::\d{2})?")
_KOREAN_DURATION = re.compile(r"(\d+|[일이삼사오육칠팔구십백]+)\s*(초|분|시간)(?!\s*(?:이|입|예|야))")


def find_call(text: str, tools: Sequence[Mapping[str, Any]]) -> FunctionCall | None:
    """Return a call to the declared function that an utterance asks for, or None.

    A function fits when the utterance holds the word that its name is about, and all required parameters can be filled.
    """
    wanted = _subjects(plain(text))
    best: tuple[int, FunctionCall] | None = None
    for tool in tools:
        named = _subjects(_split_name(str(tool.get("name", ""))))
        described = _subjects(plain(str(tool.get("description", ""))))
        if not wanted & named and len(wanted & described) < 2:
            continue
        if named & _UNDOING and not (wanted & _UNDOING and wanted & (named - _UNDOING)):
            continue
        args = _arguments(plain(text), text, tool)
        score = 3 * len(wanted & named) - len(named - wanted) + len(wanted & described)
        if args is not None and (best is None or score > best[0]):
            best = (score, FunctionCall(str(tool["name"]), args))
    return best[1] if best else None


def _split_name(name: str) -> str:
    return re.sub(r"[_\-.]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).lower()


def _subjects(text: str) -> set[str]:
    words = {_SAME.get(word, _SAME.get(word.rstrip("s"), word)) for word in text.split()}
    words |= {same for word, same in _SAME.items() if not word.isascii() and word in text}
    return {word for word in words if not _STOP_WORDS.fullmatch(word) and not word.isdigit()}


def _arguments(words: str, original: str, tool: Mapping[str, Any]) -> dict[str, Any] | None:
    schema = tool.get("parametersJsonSchema") or tool.get("parameters_json_schema") or tool.get("parameters") or {}
    required = set(schema.get("required", ()))
    args: dict[str, Any] = {}
    for name, parameter in (schema.get("properties") or {}).items():
        value = _argument(words, original, name, parameter)
        if value is not None:
            args[name] = value
        elif name in required:
            return None
    return args


def _argument(words: str, original: str, name: str, parameter: Mapping[str, Any]) -> Any:
    kind = str(parameter.get("type", "string")).lower()
    about = f"{_split_name(name)} {parameter.get('description', '')}".lower()
    if choices := parameter.get("enum"):
        return next((choice for choice in choices if plain(str(choice)) in words), None)
    if kind in ("integer", "number"):
        return _quantity(words, about, whole=kind == "integer")
    if kind == "boolean":
        return not re.search(r"\b(?:off|not|don't|stop)\b", words)
    return _string(words, original, about) if kind == "string" else None


def _string(words: str, original: str, about: str) -> str | None:
    seconds = duration(words)
    if seconds and re.search(r"duration|length|how long", about):
        return spoken_duration(seconds)
    if re.search(r"zone|city|location|place|where|address", about):
        match = re.search(r"\b(?:in|at|for) ((?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*)*)", original)
        if match and "zone" in about:
            zone = find_zone(match[1])
            return zone.key if zone else None
        return match[1] if match else None
    if re.search(r"label|title|message|text|what|query|note|task|item|name", about):
        match = re.search(r".*\b(?:to|called|named|for|about|that) (?!\d)([a-z][\w' ]*?)(?: in \d.*| at \d.*)?$", words)
        return match[1] if match and not duration(match[1]) else None
    return None


def find_zone(place: str) -> ZoneInfo | None:
    """Return the time zone of a city that the zone database names, or None."""
    wanted = place.strip().replace(" ", "_").lower()
    name = next((name for name in sorted(available_timezones()) if name.lower().endswith(f"/{wanted}")), None)
    return ZoneInfo(name) if name else None


def _quantity(words: str, about: str, *, whole: bool) -> int | float | None:
    seconds = duration(words)
    if seconds is not None:
        unit = next((unit for unit in ("second", "minute", "hour", "day") if unit in about), "second")
        value = seconds / _TIME_UNITS[unit]
    else:
        found = next((n for word in words.split() if (n := number(word)) is not None), None)
        if found is None:
            return None
        value = float(found)
    return round(value) if whole or value == round(value) else value


def duration(text: str) -> float | None:
    """Return the seconds that an utterance names ("ten minutes", "an hour and 5 minutes", "10초"), or None."""
    total = 0.0
    for amount, unit in [*_DURATION.findall(text), *_KOREAN_DURATION.findall(text)]:
        if amount in ("a", "an"):
            value: float | None = 1.0
        elif amount.startswith("half"):
            value = 0.5
        else:
            parsed = number(amount)
            # "for ten seconds": the pattern may have taken the word before the number along.
            parsed = parsed if parsed is not None else number(amount.split()[-1])
            value = float(parsed) if parsed is not None else None
        if value is not None:
            total += value * _TIME_UNITS[unit]
    return total or None


def spoken_duration(seconds: float) -> str:
    """Return "10 minutes" for 600.0."""
    for unit, size in (("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= size and seconds % size == 0:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:g} seconds"


def phrase_results(results: Sequence[FunctionResult], asked: str, *, korean: bool = False) -> str:
    """Say what functions returned.

    Parameters:
        results: What the client answered.
        asked: What the user had said.
        korean: Whether to answer in Korean.
    """
    return " ".join(_phrase(result, asked, korean=korean) for result in results)


def _phrase(result: FunctionResult, asked: str, *, korean: bool) -> str:
    response = dict(result.response)
    if error := response.get("error"):
        return f"죄송해요, 안 됐어요: {error}" if korean else f"Sorry, that did not work: {_flat(error)}."
    values = response.get("result", response.get("output", response))
    about = _subjects(_split_name(result.name))
    if "timer" in about and (seconds := duration(plain(asked))):
        length = _korean_duration(seconds) if korean else spoken_duration(seconds)
        return f"{length} 타이머를 맞췄어요." if korean else f"Okay, {length}, starting now."
    if about & {"time", "date"}:
        return _phrase_time(values, asked, korean=korean)
    return _phrase_values(values, done=response.get("status") in ("ok", "success"), korean=korean)


def _phrase_values(values: Any, *, done: bool, korean: bool) -> str:
    text = _flat(values)
    if done or values in ({}, None, True):
        return "네, 됐어요." if korean else "Okay, done."
    if isinstance(values, str) and " " in text:
        return f"{text}."
    if isinstance(values, Mapping) and re.match(r"\w+ed\b", text):
        return f"네, {text}." if korean else f"Okay, {text}."
    return f"결과는 {text}입니다." if korean else f"Here is what I found: {text}."


def _phrase_time(values: Any, asked: str, *, korean: bool) -> str:
    if moment := _moment(values):
        subjects = _subjects(plain(asked))
        return say_moment(moment, date="date" in subjects and "time" not in subjects, korean=korean)
    text = _flat(next(iter(values.values())) if isinstance(values, Mapping) and values else values)
    if " is " in text:
        return f"{text}."
    return f"지금은 {text}입니다." if korean else f"It is {text}."


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        told = [(str(key), _flat(inner)) for key, inner in value.items()]
        return ", ".join(f"{_split_name(key)} {text}" for key, text in told if text)
    if isinstance(value, list | tuple):
        return ", ".join(_flat(inner) for inner in value) or "none"
    return str(value).strip().rstrip(".") if value is not None else ""


def _moment(value: Any) -> datetime | None:
    """Find a point in time in a result: an ISO timestamp, or a date and a time apart."""
    if isinstance(value, Mapping):
        values = [str(inner).strip() for inner in value.values()]
        date = next((text for text in values if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text)), None)
        time = next((text for text in values if re.fullmatch(r"\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?", text)), None)
        return _moment(f"{date}T{time}") if date and time else next((m for v in values if (m := _moment(v))), None)
    if isinstance(value, str) and re.match(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}", value.strip()):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    return None


def say_moment(when: datetime, *, date: bool = False, korean: bool = False) -> str:
    """Say the time, or the date, of a moment."""
    if korean:
        if date:
            return f"오늘은 {when.year}년 {when.month}월 {when.day}일입니다."
        return f"지금은 {'오전' if when.hour < 12 else '오후'} {when.hour % 12 or 12}시 {when.minute}분입니다."
    if date:
        return f"Today is {when:%A}, {when:%B} {when.day}, {when.year}."
    minute = f":{when.minute:02d}" if when.minute else " o'clock"
    part = "in the morning" if when.hour < 12 else "in the afternoon" if when.hour < 18 else "in the evening"
    return f"It is {when.hour % 12 or 12}{minute} {part}."


def _korean_duration(seconds: float) -> str:
    for unit, size in (("시간", 3600), ("분", 60), ("초", 1)):
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}초"
