"""When pending text is cut by the clock: early at ends of phrases, in mid-phrase only when waiting is of no use."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.cuts import Pace, cut_reply, mid_phrase_cuts, row
from halfcascade.processors.chirp_tts.pace import CutClock
from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Place, SpeechSegmenter
from tests.processors.chirp_tts.corpus import REPLIES

FIRST = FirstSegment()


def first_cut(locale: str, deltas: list[tuple[float, str]], first: FirstSegment = FIRST) -> tuple[float, str]:
    """When the first segment is cut, and what it is."""
    segmenter = SpeechSegmenter(locale, first)
    clock = CutClock(segmenter, first)
    for number, (now, delta) in enumerate(deltas):
        until = deltas[number + 1][0] if number + 1 < len(deltas) else 1e9
        if segments := segmenter.feed(delta):
            return now, segments[0].text
        clock.text_came(now)
        while (due := clock.due()) is not None and due.at < until:
            clock.tried(due)
            if (segment := segmenter.force(due.place)) is not None:
                return max(now, due.at), segment.text
    raise AssertionError("never cut")


@pytest.mark.parametrize(
    ("locale", "deltas", "at", "text"),
    [
        # A phrase that surely ends is cut at once, the best place of all that has come.
        ("en-US", [(0.0, "The race is "), (0.1, "long.")], 0.0, "The race "),
        ("en-US", [(0.0, "Well, it depends on the")], 0.0, "Well, "),
        ("en-US", [(0.0, "The store opens at nine, and it")], 0.0, "The store opens at nine, "),
        ("ko-KR", [(0.0, "한강은 서울을 동")], 0.0, "한강은 서울을 "),
        # A mark that stands in no number or name ends a sentence at once; a full stop has to settle.
        ("en-US", [(0.0, "Hello there!")], 0.0, "Hello there!"),
        ("en-US", [(0.0, "Welcome back.")], FIRST.settle, "Welcome back."),
        ("en-US", [(0.0, "Pi is 3."), (0.3, "14, about.")], 0.3, "Pi is 3.14,"),
        # Inside a quotation it does not.
        ("en-US", [(0.0, '"Who is it?'), (0.1, '" he asked.')], 0.1 + FIRST.settle, '"Who is it?" he asked.'),
        # Nothing ends: the wait is over when a lot has come, or time is up.
        ("en-US", [(0.0, "Honey never "), (0.1, "spoils any children's appetite")], 0.1, None),
        ("en-US", [(0.0, "Honey never ")], FIRST.wait, None),
    ],
)
def test_when_the_first_segment_is_cut(locale, deltas, at, text):
    found = first_cut(locale, deltas)
    assert found[0] == pytest.approx(at)
    if text is not None:
        assert found[1].strip() == text.strip()


@pytest.mark.parametrize(
    ("earlier", "delta", "spoken"),
    [
        # Deltas that all began with a space: the last word is whole, and tells that a phrase ended before it.
        ([" one", " two", " three", " four", " five", " six", " seven."], "Octopuses have", "Octopuses "),
        ([" one", " two", " three", " four", " five", " six", " seven."], "Hey, nice", "Hey, "),
        ([" one", " two", " three", " four", " five", " six", " seven."], "Hey,", "Hey,"),
        # So is a full stop at its end, unless it may belong to a number or an abbreviation.
        ([" one", " two", " three", " four", " five", " six", " seven."], "Welcome back.", "Welcome back."),
        ([" one", " two", " three", " four", " five", " six", " seven."], "See Dr.", None),
        ([" one", " two", " three", " four", " five", " six", " seven."], "It is 5.", None),
        # Not after the first deltas of a talk, nor of a model that splits words.
        ([" one", " two."], "Octopuses have", None),
        ([" one", " two."], "Use Node.", None),
        ([" one", " two", " three", " four", " five", " six", "ty", " seven."], "Octopuses have", None),
        ([" one", " two", " three", " four", " five", " six", " 1", "000."], "Octopuses have", None),
    ],
)
def test_the_last_word_is_known_to_be_whole_once_deltas_have_been(earlier, delta, spoken):
    segmenter = SpeechSegmenter("en-US")
    for text in earlier:
        segmenter.feed(text)
    segmenter.flush()
    segmenter.feed(delta)
    segment = segmenter.force(Place.PHRASE)
    assert (segment.text if segment else None) == spoken


@pytest.mark.parametrize("seasoned", [True, False])
@pytest.mark.parametrize("profile", ["reference", "observed"])
def test_first_segments_seldom_end_in_mid_phrase_and_later_ones_never(profile, seasoned):
    found = row(REPLIES, FIRST, replace(Pace.of(profile), seasoned=seasoned))
    assert found["first_mid_phrase"] <= 0.05
    assert found["later_mid_phrase"] == 0.0
    assert found["gaps"] == 0.0


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(REPLIES),
    st.floats(20.0, 400.0),
    st.integers(1, 40),
    st.floats(0.05, 0.8),
    st.sampled_from([FIRST, FirstSegment.fast(), FirstSegment(wait=0.0), FirstSegment(enough=3.0)]),
)
def test_no_character_is_lost_at_any_pace(reply, chars_per_second, delta_chars, first_audio, first):
    locale, text = reply
    cut = cut_reply(locale, text, first, Pace(chars_per_second, delta_chars, first_audio))
    assert "".join(segment.text for segment in cut.segments) == text
    assert cut.at == sorted(cut.at)
    assert len(mid_phrase_cuts(locale, text, cut)) == len(cut.segments)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["so ", "the", " house", ", ", ".", "\n"]), st.floats(0.0, 0.5)), max_size=20)
)
def test_the_clock_never_asks_for_the_past_again_without_new_text(steps):
    segmenter, now = SpeechSegmenter("en-US"), 0.0
    clock = CutClock(segmenter, FIRST)
    for text, passes in steps:
        segmenter.feed(text)
        clock.text_came(now)
        asked: list[Place] = []
        while (due := clock.due(now)) is not None and due.at <= now + passes:
            assert due.place not in asked
            asked.append(due.place)
            clock.tried(due)
        now += passes


def test_a_model_that_is_taken_to_end_its_pieces_with_words_is_believed_until_it_splits_one():
    known = SpeechSegmenter("en-US", FirstSegment(whole_words=True))
    known.feed("I would like that,")
    assert known.force(Place.PHRASE) is not None
    known.reset()
    known.feed("I would li")
    known.feed("ke that,")
    assert known.force(Place.PHRASE) is None
    known.reset()
    known.feed("I would like that,")
    assert known.force(Place.PHRASE) is None


def test_a_word_with_a_space_behind_it_is_whole_whatever_the_model_does():
    for text, enough in (("one two three four", False), ("one two three four ", True)):
        segmenter = SpeechSegmenter("en-US", FirstSegment(enough=4.0))
        segmenter.feed(text)
        assert segmenter.has_enough is enough
