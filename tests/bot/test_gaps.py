from itertools import pairwise

import pytest

from halfcascade.bot.gaps import GAPS, REPEAT_SECS, WITHIN_SECS, GapNews


def told(*counts: int, every: float = 2.0, name: str = "underruns") -> list[int]:
    news = GapNews()
    return [news.look({name: count}, every * at) for at, count in enumerate(counts)]


@pytest.mark.parametrize("name", ["underruns", "late_writes"])
def test_gaps_that_go_on_are_told_once(name):
    assert told(0, 1, 2, 3, 4, 9, name=name) == [0, 0, 0, GAPS, 0, 0]


def test_the_first_sound_of_a_device_is_no_news():
    assert not any(told(0, 2, 2, 2, 2, 2))


def test_gaps_far_between_are_no_news():
    assert not any(told(0, 1, 2, 3, 4, 5, every=WITHIN_SECS))


def test_who_still_hears_them_is_told_again_later():
    news = GapNews()
    times = [at for at in range(0, 301, 2) if news.look({"underruns": at}, float(at))]
    assert len(times) == 3 and min(b - a for a, b in pairwise(times)) >= REPEAT_SECS


def test_one_gap_that_two_counters_know_is_one():
    news = GapNews()
    assert not any(news.look({"underruns": n, "late_writes": n}, 2.0 * n) for n in range(GAPS))


def test_a_transport_without_counters_tells_nothing():
    assert GapNews().look({"opened": "x"}, 0.0) == 0


@pytest.mark.parametrize(("every", "told_of"), [(9.0, 3), (11.0, 0)])
def test_three_gaps_are_news_within_twenty_seconds(every, told_of):
    assert told(0, 1, 2, 3, every=every)[-1] == told_of
