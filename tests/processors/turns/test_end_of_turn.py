"""The judge of a turn's end, alone: what it makes of evidence, in any order, and what it never does."""

import itertools
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.language import SentenceEnd, turn_words
from halfcascade.processors.turns.end_of_turn import EndOfTurnJudge, EndOfTurnParams, UserPauses

PARAMS = EndOfTurnParams()
LIMIT = PARAMS.longest_wait_secs
TEXTS = [
    "",
    "Yes",
    "Tell me a",
    "If it rains tomorrow",
    "Where is it",
    "만약에 비가 오면",
    "비가 와요",
    "my number is 5 5 5",
    "Seoul",
    "내일 아침",
]
shares = st.floats(0.0, 1.0)


words_of = cache(turn_words)


def judge(language: str = "en-US", *, answers: bool = False) -> EndOfTurnJudge:
    made = EndOfTurnJudge(words_of(language), PARAMS)
    made.begin(answers=answers)
    made.speech(10.0)
    made.silence(12.0)
    return made


def wait(
    text: str,
    *,
    sound: float | None = 0.9,
    ends: float | None = None,
    language: str = "en-US",
    answers: bool = False,
) -> float:
    made = judge(language, answers=answers)
    made.said(text)
    if sound is not None:
        made.sounded(sound)
    if ends is not None:
        made.text_ends(text, ends)
    return made.wait_secs


evidence = st.lists(
    st.one_of(
        st.tuples(st.just("said"), st.sampled_from(TEXTS)),
        st.tuples(st.just("sounded"), shares),
        st.tuples(st.just("text_ends"), st.sampled_from(TEXTS), shares),
        st.tuples(st.just("asked"), st.sampled_from(TEXTS), st.floats(9.0, 20.0)),
        st.tuples(st.just("speech"), st.floats(10.0, 20.0)),
        st.tuples(st.just("silence"), st.floats(10.0, 20.0)),
        st.tuples(st.just("reopen"), st.floats(10.0, 20.0)),
        st.tuples(st.just("end")),
        st.tuples(st.just("begin")),
        st.tuples(st.just("answer")),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(evidence, st.sampled_from(["en-US", "ko-KR", "ja-JP", "sv-SE", "auto"]))
def test_every_silence_ends_the_turn_within_the_limit(steps, language):
    made = EndOfTurnJudge(words_of(language), PARAMS)
    for name, *arguments in steps:
        if name == "answer":
            made.begin(answers=True)
        else:
            getattr(made, name)(*arguments)
        assert 0.0 <= made.wait_secs <= LIMIT
        assert 0.0 <= made.goes_on <= 1.0
    made.silence(30.0)
    assert made.ends_at is not None
    assert 30.0 <= made.ends_at <= 30.0 + LIMIT


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(TEXTS), shares, shares, st.booleans())
def test_the_order_in_which_evidence_comes_changes_nothing(text, sound, ends, answers):
    ways = []
    steps = [("said", text), ("sounded", sound), ("text_ends", text, ends), ("text_ends", "something else", 0.5)]
    for order in itertools.permutations(steps):
        made = judge(answers=answers)
        for name, *arguments in order:
            getattr(made, name)(*arguments)
        ways.append((made.goes_on, made.wait_secs, made.ends_at))
    assert len(set(ways)) == 1


@settings(deadline=None)
@given(st.sampled_from(TEXTS), shares, shares, shares)
def test_surer_evidence_never_waits_longer(text, sound, less, more):
    less, more = sorted((less, more))
    assert wait(text, sound=sound, ends=more) <= wait(text, sound=sound, ends=less)
    assert wait(text, sound=more) <= wait(text, sound=less)
    assert wait(text, sound=more, answers=True) <= wait(text, sound=more)
    assert wait(text, sound=less, ends=less, answers=True) <= wait(text, sound=less, ends=less)


@pytest.mark.parametrize(
    ("text", "ends"),
    [("Which one is cheaper", 0.4), ("I don't think that's right", 0.5), ("Yes", 0.02), ("What did you just say", 0.5)],
)
def test_words_that_surely_end_do_not_wait_whatever_they_sound_like(text, ends):
    assert wait(text, sound=0.3, ends=ends) == 0.0


@pytest.mark.parametrize("text", ["If it rains tomorrow", "When I was in Paris last year", "My number is 5 5 5"])
def test_words_that_surely_go_on_wait_whatever_they_sound_like(text):
    assert wait(text, sound=0.97, ends=0.01) == LIMIT


def test_between_both_the_wait_is_graded():
    waits = [wait("I was born in the south", sound=0.9, ends=ends) for ends in (0.4, 0.1, 0.05, 0.04, 0.01)]
    assert waits == sorted(waits)
    assert waits[0] == 0.0
    assert 0.0 < waits[2] < LIMIT
    assert waits[-1] == LIMIT


@pytest.mark.parametrize(
    ("text", "shortest", "longest"),
    [
        ("불 좀 꺼 줘", 0.0, 0.0),
        ("그래서 어떻게 됐어", 0.0, 0.0),
        ("오늘은 날씨가 좋네요", 0.0, 0.0),
        ("만약에 비가 오면", LIMIT, LIMIT),
        ("날씨가 좋은데", LIMIT, LIMIT),
        ("친구하고", LIMIT, LIMIT),
    ],
)
def test_korean_endings(text, shortest, longest):
    assert shortest <= wait(text, sound=0.9, language="ko-KR") <= longest


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Seoul", "en-US"), ("two tickets", "en-US"), ("a cheap one", "en-US"), ("uh huh", "en-US"),
        ("서울", "auto"),
    ],
)  # fmt: skip
def test_few_words_that_answer_a_question_do_not_wait_long(text, language):
    assert wait(text, sound=0.5, language=language) > 1.2
    assert wait(text, sound=0.5, language=language, answers=True) <= 0.6
    assert wait(text, sound=0.9, language=language, answers=True) <= 0.2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("서울", "ko-KR"), ("내일 아침", "ko-KR"), ("따뜻한 커피", "ko-KR"), ("京都", "ja-JP"),
        ("비가 와서 네", "ko-KR"), ("그게 조금 걱정이 되고 네", "ko-KR"),
    ],
)  # fmt: skip
def test_where_ends_are_marked_what_may_be_all_waits_less_than_what_is_open(text, language):
    assert 0.4 <= wait(text, sound=0.5, language=language) <= 0.6
    assert wait(text, sound=0.9, language=language) <= 0.2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("my number is five five five", "en-US"), ("five five five", "en-US"), ("it's at", "en-US"), ("well", "en-US"),
        ("the", "en-US"), ("음 그게", "ko-KR"), ("저는", "ko-KR"), ("저는 서울", "ko-KR"), ("네 서울", "ko-KR"),
        ("지금 가야", "ko-KR"), ("공일공", "ko-KR"), ("서울에서 오는 기차 표", "ko-KR"),
        ("京都から東京までの切符", "ja-JP"),
    ],
)  # fmt: skip
def test_an_answer_that_is_still_being_given_waits_as_ever(text, language):
    assert wait(text, sound=0.5, language=language, answers=True) > 1.2


def test_a_turn_that_is_taken_up_again_answers_what_it_did():
    made = judge(answers=True)
    made.end()
    made.begin()
    made.reopen(13.0)
    made.silence(14.0)
    made.said("Two tickets")
    made.sounded(0.9)
    assert made.wait_secs < wait("Two tickets")
    made.end()
    made.begin()
    made.silence(20.0)
    made.said("Two tickets")
    made.sounded(0.9)
    assert made.wait_secs >= wait("Two tickets")


def test_before_smart_turn_has_answered_the_wait_is_the_longest():
    assert wait("Which one is cheaper", sound=None, ends=0.9) == LIMIT


def test_a_language_model_that_is_asked_is_waited_for_but_not_for_long():
    made = judge()
    made.sounded(0.9)
    made.said("Which one is cheaper")
    made.asked("Which one is cheaper", 12.3)
    assert made.ends_at == pytest.approx(12.3 + PARAMS.model_secs)
    made.text_ends("Which one is cheaper", 0.5)
    assert made.ends_at == 12.0
    # What was asked about words that have changed since holds nothing up.
    made.asked("Which one", 12.3)
    assert made.ends_at == 12.0


def test_a_turn_that_has_lasted_too_long_ends_with_the_next_silence():
    made = EndOfTurnJudge(turn_words("en-US"), PARAMS)
    made.begin()
    made.speech(0.0)
    for at in range(10, 200, 10):
        made.silence(at)
        made.sounded(0.0)
        made.said("and then the")
        expected = 0.0 if at > PARAMS.longest_turn_secs else LIMIT
        assert made.wait_secs == expected
        made.speech(at + 1.4)


def test_the_end_of_a_text_is_marked_by_words_not_by_the_recognizers_punctuation():
    words = turn_words("en-US")
    for text in ("Tell me a", "If you", "so", "My number is 555"):
        ends = {words.sentence_end(text + mark) for mark in ("", ".", "?", "!", " .")}
        assert len(ends) == 1, (text, ends)
        assert ends <= {SentenceEnd.OPEN, SentenceEnd.READING_OUT}
    assert words.sentence_end("It starts at 10:30.") is SentenceEnd.UNKNOWN


def test_who_pauses_often_is_waited_for_longer_and_who_pauses_briefly_is_not_kept_waiting():
    often, seldom, brief = UserPauses(), UserPauses(), UserPauses()
    for _ in range(10):
        often.went_on(1.3)
        often.ended()
        seldom.ended()
        brief.went_on(0.5)
    assert often.log_odds > 0 > seldom.log_odds
    assert often.longest_wait(LIMIT) == LIMIT
    assert 1.0 <= brief.longest_wait(LIMIT) < LIMIT
    # One unusually long pause counts.
    brief.went_on(1.4)
    assert brief.longest_wait(LIMIT) == LIMIT


def test_a_turn_that_is_taken_up_again_was_a_pause():
    made = judge()
    made.end()
    made.reopen(13.5)
    made.speech(13.5)
    assert made.pauses.log_odds > UserPauses().log_odds


def test_what_sound_and_lists_are_sure_of_does_not_wait_for_the_language_model():
    for text, sound, waits in (("Play some music", 0.98, False), ("Play some music", 0.8, True), ("Yes", 0.3, False)):
        made = judge()
        made.said(text)
        made.sounded(sound)
        made.asked(text, 12.5)
        assert made.ends_at == (12.5 + PARAMS.model_secs if waits else 12.0), text


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("If it rains tomorrow", SentenceEnd.DEPENDENT),
        ("So if it rains tomorrow", SentenceEnd.DEPENDENT),
        ("When I was in Paris last year I lost my passport", SentenceEnd.DEPENDENT),
        ("As soon as she arrives", SentenceEnd.DEPENDENT),
        ("When is the next bus", SentenceEnd.UNKNOWN),
        ("Play some music", SentenceEnd.FRAGMENT),
        ("Because of the", SentenceEnd.OPEN),
    ],
)
def test_a_clause_that_another_has_to_follow_is_told_apart(text, end):
    assert words_of("en-US").sentence_end(text) is end


def test_a_language_model_that_is_asked_late_does_not_lengthen_the_longest_wait():
    made = judge()
    made.said("I was born in the south")
    made.sounded(0.5)
    made.asked("I was born in the south", 12.0 + LIMIT - 0.05)
    assert made.ends_at == 12.0 + LIMIT


def test_how_speech_sounded_tells_nothing_of_what_follows_it():
    made = judge()
    made.said("Which one is cheaper")
    made.text_ends("Which one is cheaper", 0.9)
    made.sounded(0.9)
    assert made.wait_secs == 0.0
    made.speech(12.5)
    made.silence(13.0)
    assert made.wait_secs == LIMIT


def test_an_end_that_was_none_counts_as_a_pause_alone():
    reopened, paused = UserPauses(), UserPauses()
    reopened.ended()
    reopened.reopened(1.0)
    paused.went_on(1.0)
    assert reopened.log_odds == paused.log_odds
