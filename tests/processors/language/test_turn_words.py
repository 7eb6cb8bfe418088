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
