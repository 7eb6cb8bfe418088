"""What the voice is given to say."""

import pytest

from halfcascade.processors.chirp_tts.text_clean import speakable, speakable_markup, without_pause_tags


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Hello** and _world_", "Hello and world"),
        ("**Half of it", "Half of it"),
        ("## A title", "A title"),
        ("- an item", "an item"),
        ("Use `pip` now.", "Use pip now."),
        ("See [the page](https://example.com/a?b=1).", "See the page."),
        ("Go to https://www.example.com/very/long?q=1.", "Go to example.com."),
        ("Write to me@example.com today", "Write to me@example.com today"),
        ("Great! 🎉🎉 Let's go 👩‍👩‍👧", "Great! Let's go"),
        ("🎉", ""),
        ("...", ""),
        ("It costs $42.50, or 1,234 €.", "It costs $42.50, or 1,234 €."),
        ("25 °C and 30%", "25 °C and 30%"),
        ("<b>bold</b> text", "bold text"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a b \n\n 1 2"),
        ("네, **알겠습니다** 😀.", "네, 알겠습니다."),
        ("はい😀、わかりました。", "はい 、わかりました。"),
        ("a < b", "a b"),
    ],
)
async def test_speakable(written, spoken):
    assert await speakable(written, "sentence") == spoken


async def test_pause_tags_are_the_only_brackets_of_markup():
    text = "Let me think [pause long] **yes** [1]. [pause]"
    assert await speakable_markup(text, "sentence") == "Let me think [pause long] yes 1. [pause]"
    assert without_pause_tags("Let me think [pause long] yes. [pause short]") == "Let me think yes."
