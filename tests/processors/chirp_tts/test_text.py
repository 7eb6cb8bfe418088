"""Where a reply is cut, language by language."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.processors.chirp_tts.segmenter import CODE, FirstSegment, Place, SpeechSegmenter
from halfcascade.processors.chirp_tts.text import SpeechTextAggregator, split_utf8

# (language, text, segments): the text comes token by token; the end of the reply is not forced.
REPLIES = [
    ("en-US", "Sure! I can help you. What is it?", ["Sure!", "I can help you.", "What is it?"]),
    ("en-US", "Well, I think so.", ["Well, I think so."]),
    (
        "en-US",
        "The store opens at nine, and it closes at six. Dr. Smith is there until 5.30 p.m. on Fridays. Anything else?",
        [
            "The store opens at nine,",
            "and it closes at six.",
            "Dr. Smith is there until 5.30 p.m. on Fridays.",
            "Anything else?",
        ],
    ),
    (
        "en-US",
        "I would start with the blue one because it is cheaper. Then the red one.",
        ["I would start with the blue one", "because it is cheaper.", "Then the red one."],
    ),
    ("en-US", "It costs $1,234.50 in all. Fine?", ["It costs $1,234.50", "in all.", "Fine?"]),
    ("en-US", "Three things:\n- milk\n- bread\n", ["Three things:", "- milk", "- bread"]),
    (
        "ko-KR",
        "네, 알겠습니다. 오늘 서울 날씨는 맑고 기온은 15도 정도입니다. 산책하기 좋겠네요!",
        ["네, 알겠습니다.", "오늘 서울 날씨는 맑고 기온은 15도 정도입니다.", "산책하기 좋겠네요!"],
    ),
    (
        "ko-KR",
        "오늘은 날씨가 아주 좋아서 밖에 나가 산책하면 기분이 좋아질 거예요.",
        ["오늘은 날씨가 아주 좋아서", "밖에 나가 산책하면 기분이 좋아질 거예요."],
    ),
    (
        "ko-KR",
        "안녕하세요, 무엇을 도와드릴까요? 편하게 말씀하세요.",
        ["안녕하세요,", "무엇을 도와드릴까요?", "편하게 말씀하세요."],
    ),
    (
        "ja-JP",
        "はい、わかりました。今日の東京の天気は晴れで、気温は15度くらいです。お出かけ日和ですね！",
        ["はい、わかりました。", "今日の東京の天気は晴れで、気温は15度くらいです。", "お出かけ日和ですね！"],
    ),
    (
        "ja-JP",
        "明日は雨が降りますが、明後日は晴れるでしょう。",
        ["明日は雨が降りますが、", "明後日は晴れるでしょう。"],
    ),
    (
        "cmn-CN",
        "好的，我明白了。今天北京天气晴朗，气温十五度左右。要出门吗？",
        ["好的，我明白了。", "今天北京天气晴朗，气温十五度左右。", "要出门吗？"],
    ),
]


PARTS = [
    "Hello",
    "there",
    ",",
    ".",
    "!",
    "?",
    "…",
    ";",
    ":",
    "```",
    "```py",
    "-",
    "*",
    "**",
    "3.5",
    "Dr.",
    "e.g.",
    "네,",
    "그래서",
    "좋아요.",
    "今日は",
    "、",
    "。",
    "！",
    "😀",
    "(",
    ")",
    '"',
    "'",
    "你好",
    "，",
    "[pause]",
    " ",
    "  ",
    "\n",
    "\n\n",
]


def tokens(text: str) -> list[str]:
    return list(text) if re.search(r"[\u3040-\u9fff]", text) else re.findall(r"\s*\S+|\s+", text)


def cut(segmenter: SpeechSegmenter, parts: list[str]) -> list[str]:
    return [s.text for part in parts for s in segmenter.feed(part)] + [s.text for s in segmenter.flush()]


@pytest.mark.parametrize(("language", "text", "segments"), REPLIES, ids=[f"{r[0]}-{r[1][:16]}" for r in REPLIES])
def test_where_replies_are_cut(language, text, segments):
    found = cut(SpeechSegmenter(language), tokens(text))
    assert "".join(found) == text
    assert [segment.strip() for segment in found if segment.strip()] == segments


@pytest.mark.parametrize(
    ("language", "text", "spoken"),
    [
        ("en-US", "I found three good pla", "I found three good"),
        ("en-US", "It depends, of cour", "It depends,"),
        ("en-US", "Hm", None),
        ("en-US", "See Dr.", None),
        ("en-US", "He lives in the ", "He lives"),
        ("it-IT", "Il sig. Rossi arriva alle ", "Il sig. Rossi arriva"),
        ("th-TH", "ผมคิดว่าคุณไปได้ครับ", "ผมคิดว่าคุณไป"),
        ("ko-KR", "가까운 역 근처에 지", "가까운 역 근처에"),
        ("ko-KR", "네", None),
        ("ja-JP", "今日の東京の天", "今日の東京の"),
        ("cmn-CN", "今天北京", "今天"),
        ("cmn-CN", "今", None),
    ],
)
def test_what_is_spoken_when_time_is_up(language, text, spoken):
    segmenter = SpeechSegmenter(language)
    assert not segmenter.feed(text)
    segment = segmenter.force()
    assert (segment.text.strip() if segment else None) == spoken


def test_a_sentence_alone_is_spoken_without_waiting_for_more():
    segmenter = SpeechSegmenter()
    assert not segmenter.feed("Certainly.")
    assert segmenter.seems_over
    assert segmenter.force(Place.PHRASE) is None
    assert segmenter.force(Place.SENTENCE).text == "Certainly."


@pytest.mark.parametrize(
    "text",
    ["We use Node.", "Go to https://www.", "Write to john.doe@example.", "It is No.", "It costs 5.", "He is J."],
)
def test_a_full_stop_that_may_not_end_a_sentence_is_waited_for(text):
    segmenter = SpeechSegmenter()
    assert not segmenter.feed(text)
    assert not segmenter.seems_over or text == "We use Node."


def test_later_clauses_are_cut_only_on_demand():
    segmenter = SpeechSegmenter()
    assert segmenter.feed("Sure! ")
    assert not segmenter.feed("When spring finally arrived, they decided to build a lon")
    assert segmenter.force().text == "When spring finally arrived, "
    assert segmenter.force().text.strip() == "they decided"
    assert segmenter.force().text.strip() == "to build"
    assert segmenter.awaits_more


def test_fenced_code_is_a_segment_of_its_own():
    segmenter = SpeechSegmenter()
    text = "Try this:\n```python\nprint('Hi. There!')\n```\nThat is it."
    segments = [s for part in tokens(text) for s in segmenter.feed(part)] + segmenter.flush()
    assert "".join(s.text for s in segments) == text
    assert [s.text.strip() for s in segments if s.kind == CODE] == ["```python\nprint('Hi. There!')\n```"]
    assert [s.text.strip() for s in segments if s.kind != CODE] == ["Try this:", "That is it."]


def test_a_sentence_without_end_is_cut_at_some_length():
    segments = cut(SpeechSegmenter(), tokens("word " * 400))
    assert max(map(len, segments)) <= 405


def test_a_new_reply_begins_with_an_early_segment_again():
    segmenter = SpeechSegmenter()
    for _ in range(2):
        assert segmenter.feed("That depends on many things, and more of")[0].text == "That depends on many things, "
        segmenter.flush()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PARTS), max_size=40),
    st.sampled_from(["en-US", "ko-KR", "ja-JP", "cmn-CN", "de-DE"]),
    st.sets(st.integers(0, 39), max_size=6),
)
def test_no_character_is_lost_added_or_moved(parts, language, forced):
    segmenter, out = SpeechSegmenter(language), ""
    for number, part in enumerate(parts):
        out += "".join(s.text for s in segmenter.feed(part))
        if number in forced and (segment := segmenter.force()):
            assert segment.text.strip()
            out += segment.text
    assert out + "".join(s.text for s in segmenter.flush()) == "".join(parts)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200), st.integers(4, 60))
def test_split_parts_fit_and_join(text, limit):
    text = text.encode(errors="ignore").decode()
    parts = split_utf8(text, limit)
    assert "".join(parts) == text
    assert all(0 < len(part.encode()) <= limit for part in parts)


def test_long_korean_text_is_split_after_sentences():
    text = "오늘은 날씨가 참 좋습니다. " * 300
    parts = split_utf8(text, 4500)
    assert all(part.strip().endswith("좋습니다.") for part in parts)
    assert len(parts) == -(-len(text.encode()) // 4500)


async def test_the_aggregator_hands_segments_to_pipecat():
    aggregator = SpeechTextAggregator("en-US", FirstSegment())
    segments = [a async for a in aggregator.aggregate("It depends on the weather, and on")]
    assert [(a.text, str(a.type)) for a in segments] == [("It depends on the weather,", "sentence")]
    assert aggregator.text.text == "and on"
    assert (await aggregator.flush()).text == "and on"
    assert await aggregator.flush() is None
    [a async for a in aggregator.aggregate("left over")]
    await aggregator.handle_interruption()
    assert await aggregator.flush() is None
