from pathlib import Path

import numpy as np
import pytest
import soundfile
from google.api_core import exceptions as google
from google.cloud import texttospeech_v1 as tts

from halfcascade.processors.alone import Speech, synthesize, synthesize_stream
from halfcascade.processors.chirp_tts.batch import cannot_stream
from halfcascade.processors.chirp_tts.errors import SynthesisError
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.google_clients import texttospeech_client


async def test_a_text_becomes_speech_in_a_file(google_emulator, tmp_path):
    speech = await synthesize("Hello there. It will be sunny today.")
    speech.save(tmp_path / "hello.wav")
    samples, rate = soundfile.read(tmp_path / "hello.wav", dtype="int16")
    assert rate == speech.sample_rate == 24_000
    assert len(samples) / rate == pytest.approx(speech.seconds)
    assert 1.0 < speech.seconds < 10.0
    assert np.abs(samples).max() > 1_000


async def test_sentences_are_spoken_in_order_and_as_they_come(google_emulator):
    chunks = [chunk async for chunk in synthesize_stream("One here. Two here. Three here.")]
    said = [entry.data["text"] for entry in google_emulator.log.find("tts", "text")]
    assert " ".join(said) == "One here. Two here. Three here."
    assert len(chunks) >= 3


async def test_batch_gives_what_streaming_gives(google_emulator):
    text = "It will be sunny today."
    streamed, whole = await synthesize(text), await synthesize(text, batch=True)
    assert whole.seconds == pytest.approx(streamed.seconds, abs=0.1)
    assert google_emulator.log.find("tts", "speech")


async def test_a_long_text_is_sent_in_requests_google_takes(google_emulator):
    # The server refuses what is longer than one request may be.
    text = "안녕하세요, 오늘은 날씨가 좋습니다. " * 100
    assert len(text.encode()) > 5_000
    speech = await synthesize(text, language="ko-KR", voice="Kore", batch=True)
    assert speech.seconds > 60.0


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        (" \n ", {}, "nothing to say"),
        ("Hello.", {"voice": "Nobody"}, "Nobody"),
        ("Hello.", {"language": "xx"}, "xx"),
        ("Hello.", {"speaking_rate": 9.0}, "0.25 to 2"),
        ("Hello.", {"language": "ko-KR", "voice": "en-US-Chirp3-HD-Charon"}, "ko-KR"),
    ],
)
async def test_what_makes_no_sense_is_one_line(google_emulator, text, options, words):
    with pytest.raises(ConfigurationError, match=words) as raised:
        await synthesize(text, **options)
    assert "\n" not in str(raised.value)


async def test_a_refusal_is_one_line(google_emulator_factory):
    await google_emulator_factory(faults=[])
    with pytest.raises(SynthesisError) as raised:
        await synthesize("Hello.", language="zz-ZZ")
    assert "\n" not in str(raised.value)


UNWRITABLE = {
    "folder.wav": "Is a directory",
    f"{'a' * 300}.wav": "File name too long",
    "sound": "names no format of sound: name a file that ends in .wav",
    "sound.mp4": "names no format of sound",
    "sound.raw": "names no format of sound",
}


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"There is no folder .*: make it first"):
        Speech(b"\0\0").save(tmp_path / "no" / "such.wav")
    (tmp_path / "folder.wav").mkdir()
    for name, told in UNWRITABLE.items():
        with pytest.raises(ConfigurationError, match=told) as error:
            Speech(b"\0\0").save(tmp_path / name)
        assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.wav"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named_as_what_it_is(tmp_path):
    (tmp_path / "full.wav").symlink_to("/dev/full")
    with pytest.raises(ConfigurationError, match=r"full\.wav cannot be written \(No space left on device\)"):
        Speech(b"\0\0").save(tmp_path / "full.wav")


@pytest.mark.parametrize("ending", ["wav", "WAV", "flac", "ogg", "mp3"])
def test_the_ending_decides_the_format(tmp_path, ending):
    file = tmp_path / f"a.{ending}"
    Speech(b"\0\0" * 2400).save(file)
    assert soundfile.info(file).format == ending.upper()


class _BatchOnly:
    """A client whose voice does not stream."""

    def __init__(self, client):
        self._client = client
        self.refused = 0
        self.transport = client.transport

    async def streaming_synthesize(self, requests):
        self.refused += 1
        raise google.InvalidArgument("Currently, only Chirp 3: HD voices are supported for streaming synthesis.")

    async def synthesize_speech(self, request: tts.SynthesizeSpeechRequest, timeout: float):  # noqa: ASYNC109 Google's own
        return await self._client.synthesize_speech(request, timeout=timeout)


async def test_a_voice_that_does_not_stream_is_asked_for_whole_answers(google_emulator):
    client = _BatchOnly(texttospeech_client())
    speech = await synthesize("One here. Two here.", client=client)
    assert speech.seconds > 0.5
    assert client.refused == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (google.MethodNotImplemented("no"), True),
        (google.InvalidArgument("only Chirp 3: HD voices are supported for streaming synthesis."), True),
        (google.InvalidArgument("The voice does not exist."), False),
        (google.ServiceUnavailable("streaming synthesis is down"), False),
        (TimeoutError(), False),
    ],
)
def test_only_a_refusal_to_stream_is_one(error, expected):
    assert cannot_stream(error) is expected
