"""A listening sound in a pause of the user's turn, over the wires: it is heard, and nobody's turn."""

import numpy as np
import pytest
import soundfile

from halfcascade.emulator.server import GoogleEmulator
from halfcascade.processors.language import phrases
from tests.bot.support import DATA, RATE, recording, recordings_for, run_bot

SCENARIO = {
    "recordings": recordings_for("unfinished", "mid_pause"),
    "replies": [{"match": "table", "text": "A table for four it is."}],
}
pytestmark = pytest.mark.slow


def spoken(name: str) -> np.ndarray:
    """A recording without the silence around it."""
    entry = recording(name)
    sound = soundfile.read(DATA / entry["file"], dtype="int16")[0]
    return sound[round(entry["start"] * RATE) : round(entry["end"] * RATE)]


def silence(secs: float) -> np.ndarray:
    return np.zeros(round(secs * RATE), dtype=np.int16)


async def test_a_turn_with_a_listening_sound_is_one_turn_with_one_answer(tmp_path):
    # "So what I wanted to ask you is, I would like to book a table for ... four people on Friday evening."
    parts = [silence(1.5), spoken("unfinished"), silence(0.25), spoken("mid_pause"), silence(4.0)]
    soundfile.write(tmp_path / "user.wav", np.concatenate(parts), RATE)
    async with GoogleEmulator(scenario=SCENARIO) as google:
        variables = {**google.env, "HALFCASCADE_LISTENING": "true"}
        talk = await run_bot(tmp_path, "--backend", "google", "--user-audio", "user.wav", **variables)
    assert talk.code == 0, talk.output
    made = talk.of_type("listening_sound")
    assert [event["text"] in phrases("en-US").listening for event in made] == [True]
    at = made[0]["t"]
    # Its sound is in the recording, in the pause.
    sound, rate = talk.sound
    bot = sound[round((at - 0.05) * rate) : round((at + 0.8) * rate), 1]
    assert np.abs(bot).max() > 0.01
    # It took no turn, interrupted nobody, and nothing was made of it.
    assert len(talk.of_type("turn_ended")) == len(talk.of_type("turn_sent")) == 1
    assert talk.of_type("turn_ended")[0]["t"] > at
    assert not talk.of_type("interrupted", "turn_reopened", "backchannel")
    assert len(talk.of_type("speaking_started")) == len(talk.of_type("reply_started")) == 1
    assert made[0]["text"] not in talk.transcript
    assert talk.transcript.count("A table for four it is.") == 1
    assert talk.metrics["listening_sounds"] == 1
    assert talk.metrics["turns"][0]["stages_ms"]["heard"] > 0
