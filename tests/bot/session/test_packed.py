"""Figures that take little memory are the same figures."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.bot.session.packed import Packed

NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))


@given(st.dictionaries(st.text(max_size=8), NUMBERS, max_size=12))
def test_it_is_the_mapping_that_it_was_made_of(numbers):
    packed = Packed(numbers)
    assert packed == numbers and dict(packed) == numbers and list(packed) == list(numbers)
    assert [type(packed[name]) for name in numbers] == [type(number) for number in numbers.values()]
    assert Packed(packed) == numbers


def test_what_it_does_not_hold_is_missing():
    packed = Packed({"heard": 1.5})
    assert "final" not in packed and packed.get("final") is None
    with pytest.raises(KeyError):
        packed["final"]


def test_many_of_a_kind_share_their_names():
    of_one, of_other = (Packed({f"stage{i}": i / number for i in range(9)}) for number in (1, 2))
    assert of_one._form is of_other._form
    assert sys.getsizeof(of_one) + sys.getsizeof(of_one._bytes) < 200
