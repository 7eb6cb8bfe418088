import numpy as np
import pytest
import soundfile

from halfcascade.processors.alone import transcribe
from halfcascade.processors.errors import ConfigurationError
from tests.bot.support import DATA, recording, recordings_for


def plain(text: str) -> str:
    return text.lower().strip(" .?!")


async def test_a_recording_becomes_words_with_times(google_emulator_factory):
    await google_emulator_factory(scenario={"recordings": recordings_for("weather")}, profile="reference")
    known = recording("weather")
    heard = [words async for words in transcribe(DATA / known["file"])]
    finals = [words for words in heard if words.final]
    assert plain(" ".join(words.text for words in finals)) == "what will the weather be like tomorrow morning"
    assert any(not words.final for words in heard)
    first, last = known["words"][0], known["words"][-1]
    assert finals[0].start == pytest.approx(first["start"], abs=0.4)
    assert finals[-1].end == pytest.approx(last["end"], abs=0.5)
    assert all(words.start <= words.end for words in heard)


async def test_audio_may_come_piece_by_piece(google_emulator_factory):
    await google_emulator_factory(scenario={"recordings": recordings_for("weather")})
    samples, _ = soundfile.read(DATA / recording("weather")["file"], dtype="int16")

    async def microphone():
        for at in range(0, len(samples), 320):
            yield samples[at : at + 320].tobytes()

    finals = [words.text async for words in transcribe(microphone()) if words.final]
    assert plain(" ".join(finals)) == "what will the weather be like tomorrow morning"


async def test_silence_has_no_words(google_emulator):
    assert [words async for words in transcribe(np.zeros(8_000, dtype=np.int16))] == []


@pytest.mark.parametrize("content", [None, b"", b"hello", b"RIFF\0\0\0\0WAVE"])
async def test_what_is_no_sound_is_one_line(google_emulator, tmp_path, content):
    path = tmp_path / "x.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"x\.wav") as raised:
        async for _ in transcribe(path):
            pass
    assert "\n" not in str(raised.value)


async def test_a_model_that_is_refused_is_one_line(google_emulator):
    with pytest.raises(ConfigurationError, match="not served"):
        async for _ in transcribe(np.zeros(8_000, dtype=np.int16), location="global"):
            pass


async def test_audio_that_breaks_off_is_one_line(google_emulator):
    async def broken():
        yield bytes(640)
        raise OSError("unplugged")

    with pytest.raises(ConfigurationError, match="unplugged"):
        async for _ in transcribe(broken()):
            pass


@pytest.mark.parametrize("silence", [0.0, 0.05, 0.15])
async def test_a_recording_that_begins_with_its_first_word_is_heard(google_emulator_factory, silence):
    known = recording("yes")
    samples, rate = soundfile.read(DATA / known["file"], dtype="int16")
    word = known["words"][0]
    cut = samples[round((word["start"] - silence) * rate) : round((word["end"] + 0.05) * rate)]
    audio = {"audio": str(DATA / known["file"]), "words": known["words"]}
    await google_emulator_factory(scenario={"recordings": [audio]})
    finals = [words async for words in transcribe(cut) if words.final]
    assert [plain(words.text) for words in finals] == ["yes"]
    assert 0.0 <= finals[0].start < finals[0].end
