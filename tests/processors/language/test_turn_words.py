"""What the lists know of a listener's words and of how Korean sentences end."""

import pytest

from halfcascade.processors.language import SentenceEnd, turn_words


@pytest.mark.parametrize(
    ("text", "language", "listener"),
    [
        ("That sounds really good.", "en-US", True),
        ("Oh, that must be tough.", "en-US", True),
        ("Well, how neat!", "en-US", True),
        ("I can imagine.", "en-US", True),
        ("That's not right.", "en-US", False),
        ("No.", "en-US", False),
        ("How do I get there?", "en-US", False),
        ("That sounds like the wrong address.", "en-US", False),
    ],
)
def test_what_listeners_say_of_what_they_are_told_is_told_from_what_stops_the_bot(text, language, listener):
    assert turn_words(language).is_backchannel(text) is listener


@pytest.mark.parametrize(
    "text", ["어제 잘 잤니?", "벌써 다 봤나", "밥은 먹었니", "그 사람 이사 갔대", "우리 그건 하지 말자"]
)
def test_plain_korean_questions_reports_and_suggestions_are_closed(text):
    assert turn_words("ko-KR").sentence_end(text) is SentenceEnd.CLOSED


@pytest.mark.parametrize(
    ("text", "end"),
    [
        # An ending begins within a syllable: the final consonant before it tells it from "since".
        ("그게 뭡니까", SentenceEnd.CLOSED),
        ("사실이 아닙니까?", SentenceEnd.CLOSED),
        ("비가 오니까", SentenceEnd.OPEN),
        ("회의가 언제니", SentenceEnd.CLOSED),
        ("가만히 보니", SentenceEnd.HANGING),
        ("메일을 보여라", SentenceEnd.CLOSED),
        ("문 좀 열어 주렴", SentenceEnd.CLOSED),
        # What only an ending can be is none as a word of its own.
        ("그 다음에 또 다", SentenceEnd.OPEN),
        ("그러니까 아", SentenceEnd.OPEN),
        ("지금 가야", SentenceEnd.HANGING),
        ("제 거야", SentenceEnd.CLOSED),
        # Negation begins with an ending that asks behind a question word.
        ("지금 몇 시지", SentenceEnd.CLOSED),
        ("그렇게 어렵지", SentenceEnd.HANGING),
        ("아까 얘기했지", SentenceEnd.CLOSED),
        ("시간이 얼마나", SentenceEnd.OPEN),
        # Something may trail behind the end of a sentence, and what announces is an end behind a sentence only.
        ("정말 맛있네요 진짜", SentenceEnd.CLOSED),
        ("오늘 어디 가세요 혹시", SentenceEnd.CLOSED),
        ("혹시", SentenceEnd.OPEN),
        ("맛있네요 그래서", SentenceEnd.OPEN),
        ("저기 있잖아요", SentenceEnd.OPEN),
        ("거기 예전에 우리가 갔던 데 있잖아요", SentenceEnd.CLOSED),
    ],
)
def test_korean_sentences_end_where_people_end_them(text, end):
    assert turn_words("ko-KR").sentence_end(text) is end


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("So where are you from", False),
        ("And what kind of music do you listen to", False),
        ("Tell me how to", True),
        ("I went there from", True),
        ("Yeah, I think so", False),
        ("They're coming too, aren't they", False),
        ("We talked for a while", False),
        ("We talked for a", True),
        ("Well, it's", True),
        ("And that's", True),
    ],
)
def test_english_sentences_end_where_people_end_them(text, is_open):
    assert turn_words("en-US").is_open_ended(text) is is_open
