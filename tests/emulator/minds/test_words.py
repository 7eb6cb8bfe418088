import pytest

from halfcascade.emulator.minds.words import count_syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("the", 1),
        ("take", 1),
        ("hello,", 2),
        ("beautiful", 3),
        ("21", 2),
        ("안녕하세요", 5),
        ("駅", 1),
        ("--", 0),
        ("hm", 1),
    ],
)
def test_syllables(word, syllables):
    assert count_syllables(word) == syllables
