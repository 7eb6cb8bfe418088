"""Whole replies of many kinds and languages: every character is spoken, shown or silent, however they are split."""

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.chirp_tts.segmenter import FirstSegment, Segment, SpeechSegmenter
from halfcascade.processors.chirp_tts.text import SpeechTextAggregator
from halfcascade.processors.language import is_unspaced, language, normalize, word_spans
from halfcascade.processors.language.marks import ends_clause, ends_sentence
from halfcascade.processors.written import speakable
from tests.processors.chirp_tts.corpus import REPLIES


def cut(locale: str, parts: list[str], first: FirstSegment | None = None) -> list[Segment]:
    segmenter = SpeechSegmenter(locale, first)
    return [segment for part in parts for segment in segmenter.feed(part)] + segmenter.flush()


def account(locale: str, segments: list[Segment]) -> list[tuple[str, str, str]]:
    """What becomes of each segment: how it ends or what it shows, what is written, what is said."""
    return [
        (s.kind, s.text.strip(), speakable(s.text, locale) if s.kind in ("clause", "sentence") else "")
        for s in segments
        if s.text.strip()
    ]


def split(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted({place % (len(text) + 1) for place in places}), len(text)]
    return [text[start:end] for start, end in itertools.pairwise(edges)]


def test_there_are_enough_replies():
    assert len(REPLIES) >= 300


@pytest.mark.parametrize("size", [1, 2, 3, 12])
def test_every_reply_split_evenly_is_cut_the_same(size):
    for locale, text in REPLIES:
        whole = cut(locale, [text])
        assert "".join(s.text for s in whole) == text
        parts = [text[i : i + size] for i in range(0, len(text), size)]
        assert account(locale, cut(locale, parts)) == account(locale, whole), text


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(REPLIES), st.lists(st.integers(0, 500), max_size=25))
def test_every_reply_split_anywhere_is_cut_the_same(reply, places):
    locale, text = reply
    segments = cut(locale, split(text, places))
    assert "".join(s.text for s in segments) == text
    assert account(locale, segments) == account(locale, cut(locale, [text]))


# What a voice is not to say letter by letter, or at all: schemes and paths, markup, what is shown.
_UNSAID = re.compile(
    r"```.*?```|\$\$.*?\$\$|^\|.*\|$|https?://\S+|\]\([^)]*\)|docs\.example\.com/ko|<[^<> ]*>", re.S | re.M
)


def test_no_letter_of_the_text_is_left_out():
    for locale, text in REPLIES:
        said = "".join(spoken for _, _, spoken in account(locale, cut(locale, [text])))
        said_letters = re.sub(r"[\d\W_]", "", said.casefold())
        place = 0
        for letter in re.sub(r"[\d\W_]", "", _UNSAID.sub("", text).casefold()):
            place = said_letters.find(letter, place) + 1
            assert place, (text, said)


def test_nothing_said_holds_markup():
    for locale, text in REPLIES:
        for _, _, said in account(locale, cut(locale, [text])):
            if language(locale).signs:
                assert not re.search(r"[*_`#<>{}|\\^]|https?:|\]\(|[\U0001f300-\U0001faff]", said), (text, said)


def natural(locale: str, before: str, after: str) -> bool:
    """Whether a speaker might draw breath between two parts of a sentence."""
    if ends_sentence(before, language(locale).marks) or ends_clause(before) or before.rstrip(" ").endswith("\n"):
        return True
    known = language(locale)
    last, first = word_spans(before)[-1], word_spans(after)[0]
    opens = normalize(after[first[0] : first[1]])
    said = before[last[0] : last[1]]
    listed = opens in known.before or opens in known.phrase_before
    return listed or said.endswith((*known.after, *known.phrase_after, "\0")) or is_unspaced(before)


def test_first_segments_end_where_a_speaker_would_pause():
    for locale, text in REPLIES:
        segments = cut(locale, [text[i : i + 12] for i in range(0, len(text), 12)])
        for before, after in itertools.pairwise(segments):
            if before.kind == "clause" and after.kind in ("clause", "sentence"):
                assert natural(locale, before.text, after.text), (before.text, after.text)


def test_later_segments_are_whole_sentences():
    for locale, text in REPLIES:
        for segment in cut(locale, [text[i : i + 12] for i in range(0, len(text), 12)])[1:]:
            assert segment.kind != "clause", (text, segment)


@pytest.mark.parametrize("locale", ["en-US", "ko-KR", "ja-JP"])
def test_five_thousand_characters_without_a_mark_are_cut_between_words(locale):
    word = {"en-US": "word ", "ko-KR": "단어 ", "ja-JP": "言葉"}[locale]
    text = (word * 5000)[:5000]
    segments = cut(locale, [text[i : i + 12] for i in range(0, len(text), 12)])
    assert "".join(s.text for s in segments) == text
    assert max(len(s.text) for s in segments) <= 420
    assert all(s.text.endswith(word.strip()) or s.text.endswith(" ") for s in segments[:-1])


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Try this:\n```py\nprint(1)\n", ["sentence", "code"]),
        ("~~~\nx. y\n~~~\nDone.", ["code", "sentence"]),
        ("Look: ![a cat](https://x.com/a.png) nice.", ["sentence", "picture", "sentence"]),
        ("So $$x^2$$ it is.", ["sentence", "formula", "sentence"]),
        ("Yes. <!-- no. no -->Really.", ["sentence", "silent", "sentence"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n\nOne row.", ["table", "sentence"]),
        ("Pipe a | b is no table.", ["sentence"]),
        ("It costs $$$ a lot.", ["sentence", "formula"]),
    ],
)
def test_what_is_shown(text, kinds):
    segments = cut("en-US", list(text))
    assert "".join(s.text for s in segments) == text
    assert [s.kind for s in segments if s.text.strip()] == kinds


async def test_the_end_of_a_reply_may_be_several_segments():
    aggregator = SpeechTextAggregator("en-US")
    assert [a.text async for a in aggregator.aggregate("Look: $$x^2")] == ["Look:"]
    assert [(a.text, str(a.type)) for a in aggregator.finish()] == [("$$x^2", "formula")]
    assert [a async for a in aggregator.aggregate("Yes. ")] == []
    assert [(a.text, str(a.type)) for a in aggregator.finish()] == [("Yes.", "sentence")]
