"""When openers are said: by the rules, under any order of events."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.language import known, language, phrases
from halfcascade.processors.openers.machine import OpenerMachine, OpenerMode, OpenerParams, turn_kind

PARAMS = OpenerParams()


def machine(locale: str = "en-US", mode: OpenerMode = OpenerMode.AUTO) -> OpenerMachine:
    found = OpenerMachine(locale, OpenerParams(mode=mode))
    found.ready(frozenset(found.openers))
    return found


def sent(found: OpenerMachine, at: float, text: str = "What is that?") -> None:
    found.turn_open()
    found.turn_over()
    found.turn_sent(text, at)


def answered(found: OpenerMachine, took: list[float]) -> None:
    for number, secs in enumerate(took):
        at = -1000.0 + 10 * number
        sent(found, at)
        found.answer_came(at + secs)


def test_a_slow_answer_is_preceded_by_an_opener_that_fits():
    found = machine()
    sent(found, 10.0)
    assert found.deadline == 10.0 + PARAMS.after
    assert found.tick(10.4) is None
    assert found.tick(10.5) in phrases("en-US").openers.question


def test_none_is_said_once_the_answer_is_there():
    found = machine()
    sent(found, 10.0)
    found.answer_came(10.3)
    assert found.deadline is None and found.tick(11.0) is None


def test_none_is_said_when_answers_use_to_come_soon():
    found = machine()
    answered(found, [0.6] * 10)
    sent(found, 10.0)
    assert found.tick(10.5) is None
    # This one is an exception: nobody knows how long it takes.
    assert found.tick(10.7)


def test_one_is_said_when_answers_use_to_take_long():
    found = machine()
    answered(found, [1.4, 1.6, 2.0])
    sent(found, 10.0)
    assert found.tick(10.5)


def test_not_in_two_turns_that_follow_each_other_unless_always():
    for mode, expected in ((OpenerMode.AUTO, [True, False, True, False]), (OpenerMode.ALWAYS, [True] * 4)):
        found, said = machine(mode=mode), []
        for turn in range(4):
            sent(found, 10.0 * turn)
            said.append(bool(found.tick(10.0 * turn + 0.5)))
            found.answer_came(10.0 * turn + 2.0)
        assert said == expected


def test_never_the_same_twice_in_a_row():
    found, said = machine(mode=OpenerMode.ALWAYS), []
    for turn in range(20):
        sent(found, 10.0 * turn)
        said.append(found.tick(10.0 * turn + 0.5))
        found.answer_came(10.0 * turn + 2.0)
    assert all(first != second for first, second in itertools.pairwise(said))


def test_a_long_silence_after_one_brings_another_up_to_the_limit():
    found = OpenerMachine("en-US", OpenerParams(another_after=0.5, most=2))
    found.ready(frozenset(found.openers))
    sent(found, 10.0)
    assert found.tick(10.5)
    found.bot_sounds(True, 10.6)
    assert found.deadline is None
    found.bot_sounds(False, 11.5)
    assert found.tick(11.9) is None
    assert found.tick(12.1)
    found.bot_sounds(True, 12.2)
    found.bot_sounds(False, 13.0)
    assert found.tick(20.0) is None


def test_an_opener_lasts_about_as_long_as_the_answer_will_take_yet():
    """ "Hm." before an answer that comes soon, a longer one before one that will not."""
    for took, expected in ((0.75, "Hm."), (3.0, "Let me think.")):
        found = machine(mode=OpenerMode.ALWAYS)
        answered(found, [took] * 5)
        sent(found, 10.0, "I like it.")
        assert found.tick(10.5) == expected


def test_the_second_sign_of_life_says_that_it_takes_a_moment_whatever_was_said():
    found = machine()
    sent(found, 10.0, "I like it.")
    said = [found.tick(10.5)]
    for number in range(PARAMS.most - 1):
        found.bot_sounds(True, 11.0 + number)
        found.bot_sounds(False, 11.8 + number)
        said.append(found.tick(12.0 + number))
    known = phrases("en-US").openers
    assert said[0] in known.statement and set(said[1:]) <= {*known.statement, *known.request}
    assert len(set(said)) == len(said)


@pytest.mark.parametrize("event", ["user_sounds", "turn_open", "interrupted", "tool_called", "bot_sounds"])
def test_what_keeps_it_silent(event):
    found = machine()
    sent(found, 10.0)
    {
        "user_sounds": lambda: found.user_sounds(True),
        "turn_open": found.turn_open,
        "interrupted": found.interrupted,
        "tool_called": found.tool_called,
        "bot_sounds": lambda: found.bot_sounds(True, 10.1),
    }[event]()
    assert found.deadline is None and found.tick(12.0) is None


def test_a_turn_that_may_go_on_is_waited_for():
    found = machine()
    found.turn_sent("What is", 10.0)
    assert found.tick(11.0) is None
    found.turn_over()
    assert found.tick(11.0)


def test_only_what_is_at_hand_is_said():
    found = OpenerMachine("en-US")
    sent(found, 10.0)
    assert found.tick(11.0) is None
    found.ready(frozenset({phrases("en-US").openers.question[1]}))
    assert found.tick(11.0) == phrases("en-US").openers.question[1]


def test_a_language_without_openers_says_none():
    found = machine("sv-SE", OpenerMode.ALWAYS)
    assert found.openers == ()
    sent(found, 10.0)
    assert found.tick(11.0) is None


def test_off_is_off():
    found = machine(mode=OpenerMode.OFF)
    assert found.openers == ()
    sent(found, 10.0)
    assert found.deadline is None and found.tick(99.0) is None


@pytest.mark.parametrize(
    ("locale", "text", "kind"),
    [
        ("en-US", "Where is that?", "question"),
        ("en-US", "what is the time", "question"),
        ("en-US", "Tell me a story.", "request"),
        ("en-US", "Set a timer, please.", "request"),
        ("en-US", "I like it here.", "statement"),
        ("ko-KR", "날씨 알려 주세요.", "request"),
        ("ko-KR", "날씨 어때요?", "question"),
        ("ja-JP", "教えてください。", "request"),
        ("sv-SE", "", "statement"),
    ],
)
def test_kinds_of_turns(locale, text, kind):
    assert turn_kind(text, locale) == kind


def test_openers_are_short_and_end_like_a_sentence():
    for code in known():
        openers = language(code).phrases.openers
        for text in (*openers.question, *openers.request, *openers.statement):
            assert len(text) <= 30, text


EVENTS = ["sent", "over", "open", "sound", "quiet", "bot", "bot_quiet", "tool", "answer", "interrupted", "tick", "tick"]


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.floats(0.0, 1.5)), max_size=60),
    st.sampled_from([OpenerMode.AUTO, OpenerMode.ALWAYS]),
)
def test_no_order_of_events_breaks_a_rule(events, mode):
    found, now, last, said = machine(mode=mode), 0.0, "", 0
    user = bot = over = tool = False
    sent_at = None
    for event, secs in events:
        now += secs
        if event == "sent":
            said, tool, sent_at = (said if sent_at is not None else 0), False, now
            found.turn_sent("What?", now)
        elif event == "over":
            over = True
            found.turn_over()
        elif event in ("open", "interrupted"):
            over, sent_at = over and event != "open", None
            found.turn_open() if event == "open" else found.interrupted()
        elif event in ("sound", "quiet"):
            user = event == "sound"
            found.user_sounds(user)
        elif event in ("bot", "bot_quiet"):
            bot = event == "bot"
            found.bot_sounds(bot, now)
        elif event == "tool":
            tool = True
            found.tool_called()
        elif event == "answer":
            sent_at = None
            found.answer_came(now)
        elif (text := found.tick(now)) is not None:
            assert sent_at is not None and over and not user and not bot and not tool
            assert now - sent_at >= PARAMS.after - 1e-9
            assert text != last
            last, said = text, said + 1
            assert said <= PARAMS.most
