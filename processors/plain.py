"""Anything a function may return or be given, as plain JSON of bounded size and depth.

It is applied once, where results and arguments enter the pipeline, so that whatever writes, shows or sends them later
(conversation, session folder, terminal, model) finds only what JSON can hold.
"""

import dataclasses
import datetime
import decimal
import enum
import math
from collections.abc import Iterable, Mapping
from typing import Any

MOST_CHARACTERS = 20_000
"""Text in one value, all together; a model reads no more with profit, and a voice says far less."""

MOST_ITEMS = 1_000
DEEPEST = 12
_LONGEST_KEY = 200
_BIGGEST_INT = 10**18
_CUT = " … (cut)"


def plain(value: Any) -> Any:
    """Make plain JSON of a value.

    Args:
        value: Anything.

    Returns:
        Only dict with str keys, list, str without lone surrogates, finite float, int, bool and None. What is too long,
        too much or too deep is cut, and says so; what JSON has no form for becomes text.
    """
    return _Plain().of(value, 0)


class _Plain:
    def __init__(self) -> None:
        self._characters = MOST_CHARACTERS
        self._items = MOST_ITEMS

    def of(self, value: Any, depth: int) -> Any:
        try:
            return self._of(value, depth)
        except Exception as error:
            # A value whose own methods fail must not end the talk.
            return f"({type(value).__name__} that cannot be read: {type(error).__name__})"

    def _of(self, value: Any, depth: int) -> Any:  # noqa: PLR0911 - one return a kind
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            return self.of(value.value, depth)
        if isinstance(value, int):
            return int(value) if abs(value) < _BIGGEST_INT else self._text(str(value))
        if isinstance(value, float | decimal.Decimal):
            number = float(value)
            return number if math.isfinite(number) else self._text(str(value))
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return f"({len(value)} bytes)"
        if isinstance(value, datetime.date | datetime.time):
            return value.isoformat()
        if isinstance(value, BaseException):
            return {"error": self._text(f"{type(value).__name__}: {value}")}
        if depth >= DEEPEST:
            return "(too deep)"
        return self._compound(value, depth)

    def _compound(self, value: Any, depth: int) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            value = {item.name: getattr(value, item.name) for item in dataclasses.fields(value)}
        elif hasattr(value, "model_dump"):
            value = value.model_dump()
        if isinstance(value, Mapping):
            return self._mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) or (
            isinstance(value, Iterable) and hasattr(value, "__len__")
        ):
            return self._list(value, depth)
        text = str(value)
        # The default names an address in memory, which tells nobody anything.
        return self._text(type(value).__name__ if text.startswith("<") and " at 0x" in text else text)

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, item in value.items():
            if not self._take():
                made["…"] = "(more was cut)"
                break
            made[_sound(str(key))[:_LONGEST_KEY]] = self.of(item, depth + 1)
        return made

    def _list(self, value: Iterable[Any], depth: int) -> list[Any]:
        made: list[Any] = []
        for item in value:
            if not self._take():
                made.append("(more was cut)")
                break
            made.append(self.of(item, depth + 1))
        return made

    def _take(self) -> bool:
        self._items -= 1
        return self._items >= 0 and self._characters > 0

    def _text(self, text: str) -> str:
        kept = _sound(text[: max(0, self._characters)])
        self._characters -= len(kept)
        return kept if len(text) == len(kept) else kept + _CUT


def _sound(text: str) -> str:
    """A text that UTF-8 can hold: half an emoji becomes a replacement character."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text
