"""Talks in which something always fails: nothing is lost, nothing is said twice, every sentence is answered."""

import pytest

from bench.soak.talk import _differences, soak
from bench.turn_corpus.corpus import read

TURNS = [turn for turn in read("report") if turn.language == "en-US"]


def words(text: str) -> list[tuple[float, str]]:
    return [(float(place), word) for place, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("understood", "lost", "doubled"),
    [
        ("a b c d e f", "", ""),
        ("a b d e f", "c", ""),
        ("a b c c d e f", "", "c"),
        ("", "a b c d e f", ""),
        ("a b c d e f g h", "", "g h"),
        ("a b x d e f", "c", "x"),
    ],
)
def test_lost_and_doubled_words_are_counted_in_long_talks(understood, lost, doubled):
    before = " ".join(f"w{number}" for number in range(200))
    changes = [
        (gone, more)
        for kind, gone, more in _differences(words(f"{before} a b c d e f"), words(f"{before} {understood}"))
        if kind != "equal"
    ]
    assert [word for gone, _ in changes for _, word in gone] == lost.split()
    assert [word for _, more in changes for _, word in more] == doubled.split()


def test_a_minute_of_faults_loses_nothing():
    found = soak(TURNS, 40.0, 2, fault_every_secs=7.0)
    assert (found.dead, found.lost, found.doubled, found.failure) == ([], [], [], "")
    assert found.sentences >= 2


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 15))
def test_ten_minutes_of_faults_lose_nothing(seed):
    found = soak(TURNS, 600.0, seed, fault_every_secs=20.0)
    assert (found.dead, found.lost, found.doubled, found.failure) == ([], [], [], "")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_talk_and_another_another():
    one, same, other = (soak(TURNS, 90.0, seed, fault_every_secs=9.0).fingerprint for seed in (5, 5, 6))
    assert one == same != other
