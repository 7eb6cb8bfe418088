import numpy as np
import pytest

from halfcascade.transports.local.aec import EchoCanceller
from halfcascade.transports.local.linear import LinearCanceller, LinearJudge
from tests.transports.local.test_aec import (
    RATE,
    at_level,
    cancel,
    late,
    loudness,
    recording,
    speech_starts,
    through_room,
)

FRAME = RATE // 100


def frames(audio):
    return (audio[: len(audio) // FRAME * FRAME].astype(np.float32) / 32768).reshape(-1, FRAME)


def leave(canceller, near, far):
    rest = [canceller.process(*pair) for pair in zip(frames(near), frames(far), strict=True)]
    return np.rint(np.concatenate(rest) * 32768).astype(np.int16)


def decibels(ratio):
    return 10 * np.log10(ratio)


@pytest.fixture(scope="module")
def bot():
    return at_level(recording("reading")[: 14 * RATE], -20)


def with_user(echo, name, at_secs, dbfs=-26):
    """The echo with somebody talking over it, and where."""
    user, start = at_level(recording(name), dbfs), round(at_secs * RATE)
    mixed = echo.astype(int)
    mixed[start : start + len(user)] += user
    return np.clip(mixed, -32768, 32767).astype(np.int16), slice(start, start + len(user)), user


def test_it_learns_the_room_and_leaves_the_user_as_he_is(bot):
    echo = through_room(bot, gain_db=-6)
    near, where, user = with_user(echo, "question", 9.0)
    rest = leave(LinearCanceller(FRAME, RATE), near, bot)
    before = slice(5 * RATE, 9 * RATE)
    assert loudness(echo[before]) - loudness(rest[before]) > 18
    error = rest[where].astype(float) - user
    assert decibels(np.mean(user.astype(float) ** 2) / np.mean(error**2)) > 12


def test_without_a_reference_it_changes_nothing():
    user = at_level(recording("question"), -26)
    rest = leave(LinearCanceller(FRAME, RATE), user, np.zeros_like(user))
    assert np.array_equal(rest, user[: len(rest)])


def test_without_an_echo_it_changes_next_to_nothing(bot):
    near, where, user = with_user(np.random.default_rng(1).normal(0, 10, len(bot)), "question", 4.0)
    rest = leave(LinearCanceller(FRAME, RATE), near, bot)
    assert loudness(rest[where]) == pytest.approx(loudness(user), abs=1.0)


def judged(judge, frames_of_levels):
    """Whether the judge hears somebody, after each of so many frames of (near, rest, echo, alone)."""
    heard = []
    for near, rest, echo, alone in frames_of_levels:
        heard.append(judge.somebody(near, rest, echo, 1e-6))
        judge.learn(near, rest, alone)
    return heard


ECHO = 1e-3


def test_a_filter_that_has_learned_nothing_is_not_believed():
    assert not any(judged(LinearJudge(), [(ECHO, 0.5 * ECHO, 0.5 * ECHO, 1e-7)] * 5))


def test_what_exceeds_the_usual_rest_is_somebody():
    judge = LinearJudge()
    heard = judged(judge, [(ECHO, ECHO / 300, ECHO, 1e-7)] * 300)
    assert not any(heard[30:])
    assert judge.erle_db == pytest.approx(decibels(300), abs=3)
    assert judged(judge, [(2 * ECHO, ECHO, ECHO, 1e-5)] * 5)[-1]
    assert judged(judge, [(ECHO, ECHO / 300, ECHO, 1e-7)] * 10)[-1] is False, "and no longer when he has ended"


def test_a_user_who_talks_long_is_not_taken_for_the_rest():
    judge = LinearJudge()
    judged(judge, [(ECHO, ECHO / 300, ECHO, 1e-7)] * 300)
    # 8 dB below the bot, so that AEC3 alone suppresses him as it does the bot.
    assert all(judged(judge, [(1.16 * ECHO, 0.16 * ECHO, ECHO, 0.009 * ECHO)] * 200)[5:])


def test_a_filter_that_adds_an_echo_is_soon_mistrusted_then_given_up():
    judge = LinearJudge()
    judged(judge, [(ECHO, ECHO / 300, ECHO, 1e-7)] * 300)
    heard = judged(judge, [(ECHO, 2 * ECHO, ECHO, 1e-7)] * 30)
    assert not any(heard[15:])
    assert judge.lost


@pytest.mark.parametrize("echo_dbfs", [-26, -18])
def test_a_user_over_the_bot_keeps_his_loudness(bot, echo_dbfs):
    near, where, user = with_user(at_level(through_room(bot), echo_dbfs), "question", 9.0)
    canceller = EchoCanceller(RATE)
    out = cancel(canceller, near, bot)
    assert loudness(out[where]) > loudness(user) - 3, "AEC3 alone takes 5 to 9 dB"
    assert canceller.stats.linear_db > 15
    starts = speech_starts(out)
    assert len(starts) == 1
    assert 9.0 < starts[0] < 9.6


@pytest.mark.parametrize("shift_secs", [0.02, 0.15])
def test_an_echo_that_comes_later_than_before_is_learned_anew(bot, shift_secs):
    """A Bluetooth loudspeaker, a sound server under another load."""
    far = np.concatenate([bot, bot])
    echo = through_room(far, gain_db=-6)
    echo = np.concatenate([echo[: len(bot)], late(echo[len(bot) :], shift_secs)])
    out = cancel(EchoCanceller(RATE), echo, far)
    again = len(bot) + 3 * RATE
    assert [at for at in speech_starts(out) if at > again / RATE] == []
    assert loudness(echo[again:]) - loudness(out[again:]) > 20


def test_other_devices_are_learned_from_the_beginning(bot):
    canceller = EchoCanceller(RATE)
    echo = through_room(bot)
    cancel(canceller, echo[: 6 * RATE], bot[: 6 * RATE])
    assert canceller.stats.linear_db > 10
    canceller.restart()
    cancel(canceller, echo[: RATE // 10], bot[: RATE // 10])
    assert canceller.stats.linear_db > 10, "the same devices have the same room"
    canceller.move()
    cancel(canceller, echo[: RATE // 10], bot[: RATE // 10])
    assert canceller.stats.linear_db is None
