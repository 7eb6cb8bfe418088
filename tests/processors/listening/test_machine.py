"""When listening sounds are made: by the rules, under any order of events."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from halfcascade.processors.language import phrases
from halfcascade.processors.listening import ListeningMachine, ListeningParams

PARAMS = ListeningParams()
SECS = 0.4
SURE = 0.9


def machine(locale: str = "en-US", params: ListeningParams = PARAMS) -> ListeningMachine:
    found = ListeningMachine(locale, params)
    found.ready(dict.fromkeys(found.sounds, SECS))
    return found


def speak(found: ListeningMachine, begin: float, end: float, goes_on: float = SURE) -> None:
    """The user speaks, then pauses, which is judged at once; without anything more the turn ends 1.6 s later."""
    found.turn_open()
    found.user_sounds(begin)
    found.user_silent(end)
    found.judged(goes_on, end + 1.6)


def test_a_pause_that_is_judged_unfinished_gets_a_sound_and_only_one():
    found = machine()
    speak(found, 10.0, 14.0)
    assert found.deadline == 14.0 + PARAMS.after
    assert found.tick(14.3) is None
    assert found.tick(14.36) in phrases("en-US").listening
    assert found.deadline is None and found.tick(14.9) is None


def test_the_newest_verdict_counts():
    found = machine()
    speak(found, 10.0, 14.0)
    found.judged(0.3, 14.5)
    assert found.deadline is None and found.tick(14.4) is None


def test_what_was_judged_of_an_earlier_pause_tells_nothing_of_this_one():
    found = machine()
    speak(found, 10.0, 14.0)
    found.user_sounds(14.2)
    found.user_silent(14.6)
    assert found.tick(15.0) is None
    found.judged(SURE, 16.2)
    assert found.tick(15.0)


@pytest.mark.parametrize(
    ("event", "what"),
    [
        ("user_sounds", (14.1,)),
        ("turn_over", ()),
        ("bot_sounds", (True,)),
        ("judged", (SURE, 14.0 + PARAMS.after + SECS)),
    ],
)
def test_what_keeps_it_silent(event, what):
    found = machine()
    speak(found, 10.0, 14.0)
    getattr(found, event)(*what)
    assert found.deadline is None and found.tick(14.4) is None


def test_a_user_who_has_said_little_is_only_listened_to():
    found = machine()
    speak(found, 10.0, 10.0 + PARAMS.speech - 0.1)
    assert found.tick(13.0) is None


def test_a_turn_that_was_not_over_is_one_turn():
    for again in (False, True):
        found = machine()
        speak(found, 10.0, 10.0 + PARAMS.speech - 0.5)
        found.turn_over()
        found.turn_open(again=again)
        speak(found, 13.0, 14.0)
        assert (found.tick(14.4) is not None) == again


def test_there_is_time_between_two_and_they_differ():
    found, made = machine(), []
    for number in range(40):
        at = 4.4 * number
        speak(found, at, at + 3.0)
        if text := found.tick(at + 3.0 + PARAMS.after):
            made.append((at, text))
        found.user_sounds(at + 4.2)
    times = [at for at, _ in made]
    assert len(made) > 10
    assert min(b - a for a, b in itertools.pairwise(times)) >= PARAMS.every
    assert all(a[1] != b[1] for a, b in itertools.pairwise(made))


def test_none_in_a_language_without_and_none_that_could_not_be_made():
    assert machine("sv-SE").sounds == ()
    for found in (machine("sv-SE"), ListeningMachine("en-US")):
        speak(found, 10.0, 14.0)
        assert found.deadline is None and found.tick(14.4) is None


def test_the_user_who_goes_on_stops_it():
    found = machine()
    speak(found, 10.0, 14.0)
    found.tick(14.4)
    assert found.user_sounds(14.5)
    found = machine()
    speak(found, 10.0, 14.0)
    found.tick(14.4)
    assert not found.user_sounds(15.2)


@pytest.mark.parametrize(("resumes", "sounds"), [(0.1, PARAMS.disturbs), (SECS + 0.5, 10)])
def test_where_every_sound_brings_one_back_no_more_are_made(resumes, sounds):
    """An echo that nobody cancels, or a user whom they throw off; one who goes on after them is neither."""
    found, made = machine(), 0
    for number in range(10):
        at = 20.0 * number
        speak(found, at, at + 4.0)
        made += found.tick(at + 4.4) is not None
        found.user_sounds(at + 4.4 + resumes)
    assert made == sounds


EVENTS = st.lists(
    st.tuples(
        st.floats(0.01, 3.0),
        st.one_of(
            st.sampled_from(
                [
                    ("sounds",),
                    ("silent",),
                    ("open", False),
                    ("open", True),
                    ("over",),
                    ("bot", True),
                    ("bot", False),
                    ("tick",),
                ]
            ),
            st.tuples(st.just("judged"), st.floats(0.0, 1.0), st.floats(0.0, 2.0)),
        ),
    ),
    min_size=5,
    max_size=80,
)


@given(EVENTS)
def test_under_any_order_of_events_every_rule_holds(events):
    params = ListeningParams(speech=1.0, every=4.0)
    found, now = machine(params=params), 0.0
    turn = bot = False
    sounding_since = silent_since = judged = made_at = None
    made_in_pause, spoken = False, 0.0
    for wait, (kind, *what) in events:
        # Time passes as it does for the shell, which wakes at the deadline.
        due = found.deadline
        woken = [max(now, due)] if due is not None and due <= now + wait else []
        now += wait
        for at in [*woken, *([now] if kind == "tick" else [])]:
            if found.tick(at) is None:
                continue
            assert turn and not bot and not made_in_pause
            assert sounding_since is None and at >= silent_since + params.after
            assert judged and judged[0] >= params.goes_on and at + SECS + params.room <= judged[1]
            assert spoken >= params.speech - 1e-9
            assert made_at is None or at >= made_at + SECS + params.every
            made_at, made_in_pause, spoken = at, True, 0.0
        match kind:
            case "sounds":
                found.user_sounds(now)
                if sounding_since is None:
                    sounding_since, judged, made_in_pause = now, None, False
            case "silent":
                found.user_silent(now)
                if sounding_since is not None:
                    spoken += now - sounding_since
                    sounding_since, silent_since = None, now
            case "open":
                found.turn_open(again=what[0])
                spoken = spoken if turn or what[0] else 0.0
                turn, bot = True, False
            case "over":
                found.turn_over()
                turn, judged = False, None
            case "bot":
                found.bot_sounds(what[0])
                bot = what[0]
            case "judged":
                found.judged(what[0], now + what[1])
                judged = (what[0], now + what[1])
