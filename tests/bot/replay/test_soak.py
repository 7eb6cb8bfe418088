"""Talks in which something always fails: nothing is lost, nothing is said twice, every sentence is answered."""

import numpy as np
import pytest

from bench.soak.talk import _differences, _Watcher, soak
from bench.soak.user import _ends, chatter
from bench.turn_corpus.corpus import RATE, read
from halfcascade.bot.replay.hearing import UserAudio
from halfcascade.bot.session.events import Event, EventType

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


@pytest.mark.parametrize(
    ("sent", "reopened", "left"),
    [
        (["How are you?"], "How are you?", []),
        (["How are you?"], "How are you? And", []),
        (["How are you?"], "Show me", ["How are you?"]),
        (["How are you?", "How are you?\nShow me"], "Show me pictures", []),
        ([], "Show me", []),
    ],
)
def test_only_a_turn_that_was_sent_can_be_taken_back(sent, reopened, left):
    watcher = _Watcher()
    for place, text in enumerate(sent):
        watcher.take(Event(float(place), EventType.TURN_SENT, {"text": text, "turn": place, "attempt": 1}))
    watcher.take(Event(9.0, EventType.TURN_REOPENED, {"text": reopened}))
    assert [text for _, text in watcher.sent] == left


@pytest.mark.parametrize(
    ("sounds", "known_by"),
    [
        ("0.30+", 0.30),  # all of it is loud
        ("0.30+ 0.15- 0.03+", 0.30),  # the release of a last stop
        ("0.30+ 0.50-", 0.30),  # a voice that trails off
        ("0.30+ 0.15- 0.20+", 0.65),  # another syllable
    ],
)
def test_a_last_word_is_known_while_it_is_loud(sounds, known_by):
    pieces = [np.full(round(float(one[:-1]) * RATE), 8000 if one[-1] == "+" else 10) for one in sounds.split()]
    first, last = _ends(np.concatenate(pieces).astype(np.int16), ["turn", "left"])
    assert 0 < first < last <= known_by * RATE
    assert last > (known_by - 0.1) * RATE


def test_no_two_moments_of_the_room_sound_alike_to_the_recognizer():
    user, kept = chatter(TURNS, 120.0, 3), UserAudio()
    for second in range(62):
        kept.append(user[second * RATE : (second + 1) * RATE].tobytes())
    for second in range(33, 62):
        assert kept.find(user[second * RATE : second * RATE + 4096].tobytes()) == second * RATE


def test_a_minute_of_faults_loses_nothing_and_a_talk_that_is_ended_is_judged_as_far_as_it_came():
    asked = iter((False, False, True))
    found = soak(TURNS, 300.0, 2, fault_every_secs=7.0, over=lambda: next(asked))
    assert (found.dead, found.lost, found.doubled, found.failure) == ([], [], [], "")
    assert found.sentences >= 2 and found.secs == pytest.approx(40.0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(11, 15))
def test_ten_minutes_of_faults_lose_nothing(seed):
    found = soak(TURNS, 600.0, seed, fault_every_secs=20.0)
    assert (found.dead, found.lost, found.doubled, found.failure) == ([], [], [], "")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_talk_and_another_another():
    one, same, other = (soak(TURNS, 90.0, seed, fault_every_secs=9.0).fingerprint for seed in (5, 5, 6))
    assert one == same != other
