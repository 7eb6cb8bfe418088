import datetime
import decimal
import enum
import json
import math
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.plain import MOST_CHARACTERS, plain


class Colour(enum.Enum):
    RED = 1


@dataclass
class Place:
    name: str
    at: tuple[float, float]


class Nasty:
    def __str__(self) -> str:
        raise RuntimeError("no")


def nested(depth: int) -> Any:
    value: Any = "core"
    for _ in range(depth):
        value = [value]
    return value


ITSELF: list[Any] = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"t": 21, "ok": True, "none": None, "x": 1.5}, {"t": 21, "ok": True, "none": None, "x": 1.5}),
        ({1: "a", ("b", 2): "c"}, {"1": "a", "('b', 2)": "c"}),
        ({"at": datetime.datetime(2026, 1, 1, 12)}, {"at": "2026-01-01T12:00:00"}),
        (decimal.Decimal("1.5"), 1.5),
        (math.nan, "nan"),
        ([math.inf], ["inf"]),
        ({3}, [3]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Path("a/b"), "a/b"),
        (Colour.RED, 1),
        (Place("Oslo", (59.9, 10.7)), {"name": "Oslo", "at": [59.9, 10.7]}),
        (b"\x00\xff", "(2 bytes)"),
        (ValueError("bad"), {"error": "ValueError: bad"}),
        ("half \ud83d an emoji", "half ? an emoji"),
        (object(), "object"),
        (Nasty(), "(Nasty that cannot be read: RuntimeError)"),
        (10**30, str(10**30)),
        ("", ""),
    ],
    ids=lambda value: type(value).__name__,
)
def test_odd_values_become_plain(value, expected):
    assert plain(value) == expected


@pytest.mark.parametrize(
    "value",
    ["x" * 2_000_000, ["y" * 1000] * 100_000, {str(n): n for n in range(1_000_000)}, nested(5_000), ITSELF],
    ids=["long", "many", "wide", "deep", "itself"],
)
def test_what_is_too_much_is_cut_and_says_so(value):
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    assert len(text) < 5 * MOST_CHARACTERS
    assert "cut" in text or "too deep" in text


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.datetimes(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.integers(), inner) | st.tuples(inner),
    max_leaves=30,
)


@given(ANYTHING)
def test_all_that_comes_out_is_json_that_a_file_and_a_socket_can_hold(value):
    made = plain(value)
    text = json.dumps(made, ensure_ascii=False, allow_nan=False)
    assert json.loads(text.encode("utf-8").decode("utf-8")) == made
    assert plain(made) == made
