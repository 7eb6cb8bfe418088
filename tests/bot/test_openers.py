"""An opener before a slow answer, and a reply without words, over the wires."""

import pytest

from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.language import phrases
from tests.bot.support import recordings_for, run_bot, user_audio

SCENARIO = {
    "recordings": recordings_for("weather", "question"),
    "replies": [
        {"match": "weather", "text": "It will be sunny all day.", "first_token": 2.0},
        {"match": "moon", "text": "👍"},
    ],
}
pytestmark = pytest.mark.slow


async def test_a_slow_answer_is_announced_and_a_reply_without_words_ends_its_turn(tmp_path):
    user_audio(tmp_path / "user.wav", (0.0, "weather"), (9.0, "question"), tail=4.0)
    async with GoogleEmulator(scenario=SCENARIO) as google:
        variables = {**google.env, "HALFCASCADE_OPENERS": "always"}
        talk = await run_bot(tmp_path, "--backend", "google", "--user-audio", "user.wav", **variables)
    assert talk.code == 0, talk.output
    openers = phrases("en-US").openers
    said = {*openers.question, *openers.request, *openers.statement}
    texts = [event["text"] for event in talk.of_type("reply_text")]
    assert texts[0] in said
    assert "*(while the answer was on its way)*" in talk.transcript
    assert "It will be sunny all day." in talk.transcript
    assert "👍" in talk.transcript and "*(interrupted)*" not in talk.transcript
    first = talk.metrics["turns"][0]
    assert first["opener"] is True
    assert first["stages_ms"]["heard"] + 500 < first["stages_ms"]["answer_heard"]
