"""Turns in voices that are not the demo's, in English and Korean, by the whole bot over the real wires."""

import pytest

from bench.turn_corpus import wires
from bench.turn_corpus.corpus import read


@pytest.mark.slow
def test_every_complete_turn_is_answered_in_both_languages():
    found = wires.measure(read("report"), 3, speculate=True)
    assert found["unanswered"] == 0
    assert {language: found[language]["turns"] for language in ("en-US", "ko-KR")} == {"en-US": 3, "ko-KR": 3}
