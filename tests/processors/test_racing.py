"""Attempts side by side: which one is taken, and that no other goes on."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.bot.replay import virtual_time
from halfcascade.processors.racing import first_through

EVERY = 0.8


class Attempts:
    """Attempts of which each gets through, ends or hangs as is said.

    Parameters:
        plan: For each attempt seconds to getting through and then to its end; None hangs for ever. The last counts for
            all others.
    """

    def __init__(self, *plan: tuple[float | None, float | None]):
        self.plan = plan
        self.begun: list[float] = []
        self.through: list[int] = []
        self.cancelled: list[int] = []

    async def __call__(self, claim):
        number = len(self.begun)
        self.begun.append(asyncio.get_running_loop().time())
        reach, end = self.plan[min(number, len(self.plan) - 1)]
        try:
            await asyncio.sleep(1e6 if reach is None else reach)
            claim()
            self.through.append(number)
            await asyncio.sleep(1e6 if end is None else end)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        return number


def hold(attempts: Attempts, limit: float = 10.0) -> tuple[int | None, float]:
    """Race them; which won, and after how many seconds."""

    async def race() -> tuple[int | None, float]:
        loop = asyncio.get_running_loop()
        began, won = loop.time(), None
        try:
            async with asyncio.timeout(limit):
                won = await first_through(attempts, EVERY)
        except TimeoutError:
            pass
        assert len(asyncio.all_tasks()) == 1, "an attempt goes on behind"
        return won, loop.time() - began

    return virtual_time.run(race())


def test_an_attempt_that_hangs_is_overtaken_by_one_that_began_later():
    attempts = Attempts((None, None), (0.1, 0.2))
    won, secs = hold(attempts)
    assert (won, round(secs, 3)) == (1, 1.1)
    assert attempts.cancelled == [0]


def test_a_quick_network_sees_one_attempt():
    assert hold(Attempts((0.1, 0.3))) == (0, pytest.approx(0.4, abs=1e-3))


def test_whoever_gets_through_is_given_time_and_nobody_else_gets_through():
    attempts = Attempts((0.7, 5.0), (0.05, 0.05))
    assert hold(attempts)[0] == 0
    assert attempts.through == [0] and len(attempts.begun) == 1


def test_a_slow_network_is_not_given_up_for_a_new_attempt():
    attempts = Attempts((2.5, 0.5))
    assert hold(attempts)[0] == 0
    assert attempts.cancelled == [1, 2, 3]


def test_the_first_answer_counts_even_if_it_is_no():
    async def attempt(claim):
        attempts.append(claim)
        if len(attempts) == 1:
            await asyncio.sleep(1e6)
        raise ConnectionRefusedError("no")

    attempts: list[object] = []
    with pytest.raises(ConnectionRefusedError):
        virtual_time.run(first_through(attempt, EVERY))
    assert len(attempts) == 2


def test_nothing_is_left_when_time_is_up():
    attempts = Attempts((None, None))
    assert hold(attempts, limit=2.0) == (None, pytest.approx(2.0, abs=1e-3))
    assert attempts.cancelled == [0, 1, 2]


TIMES = st.one_of(st.none(), st.sampled_from((0.0, 0.1, 0.8, 1.6, 3.0)))


@given(st.lists(st.tuples(TIMES, st.sampled_from((0.0, 0.3, 2.0))), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_one_at_most_gets_through(plan):
    attempts = Attempts(*plan)
    won, secs = hold(attempts)
    assert len(attempts.through) <= 1
    ends = [EVERY * n + reach + end for n, (reach, end) in enumerate(plan) if reach is not None]
    assert (won is None) == (not attempts.through and secs >= 9.9) or won == attempts.through[0]
    if ends and won is not None:
        assert won in attempts.through
