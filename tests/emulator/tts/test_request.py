import wave
from io import BytesIO

import pytest
from google.cloud.texttospeech_v1.types import cloud_tts as tts

from halfcascade.emulator.actions import RequestError
from halfcascade.emulator.limits import TtsLimits
from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.tts.catalogue import LOCALES, NAMES, list_voices
from halfcascade.emulator.tts.request import Pause, parse_batch_config, parse_batch_input
from tests.emulator.tts.requests import batch_request

SPEAKS = parse_batch_config(batch_request()._pb)


def test_thirty_voices_in_every_locale():
    assert len(NAMES) == len(set(NAMES)) == 30
    assert {"en-US", "en-GB", "ko-KR", "ja-JP"} <= set(LOCALES)
    assert len(list_voices("").voices) == 38 * len(LOCALES)


@pytest.mark.parametrize(("language", "locales"), [("ko-KR", {"ko-KR"}), ("fr", {"fr-FR", "fr-CA"}), ("xx", set())])
def test_voices_are_filtered_by_language(language, locales):
    voices = list_voices(language).voices
    assert {code for voice in voices for code in voice.language_codes} == locales
    assert len(voices) == 38 * len(locales)
    for voice in voices:
        assert voice.name.startswith((f"{voice.language_codes[0]}-Chirp3-HD-", f"{voice.language_codes[0]}-"))
        assert voice.natural_sample_rate_hertz == 24_000
        assert voice.ssml_gender in (tts.SsmlVoiceGender.MALE, tts.SsmlVoiceGender.FEMALE)


def test_linear16_has_a_wav_header_and_pcm_has_none():
    pcm = bytes(2 * SPEAKER_RATE)
    with wave.open(BytesIO(parse_batch_config(batch_request()._pb).encode_whole(pcm))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (24_000, 1, 24_000)
    assert parse_batch_config(batch_request(audio_encoding="PCM")._pb).encode_whole(pcm) == pcm


def test_batch_speaks_older_voices_too():
    voice = parse_batch_config(batch_request(voice="ko-KR-Neural2-A", language_code="ko-KR")._pb)
    assert voice.request.language_code == "ko-KR"


def test_batch_without_a_name_takes_a_voice_of_the_language():
    assert parse_batch_config(batch_request(voice="", language_code="ja-JP")._pb).request.voice.startswith("ja-JP-")


@pytest.mark.parametrize(
    "options",
    [
        {"audio_encoding": 0},
        {"speaking_rate": 3.0},
        {"pitch": 2.0},
        {"language_code": "xx-XX", "voice": ""},
        {"language_code": ""},
        {"audio_encoding": "OGG_OPUS", "sample_rate_hertz": 44_100},
    ],
)
def test_bad_batch_requests_are_refused(options):
    with pytest.raises(RequestError):
        parse_batch_config(batch_request(**options)._pb)


def test_ssml_is_reduced_to_texts_and_pauses():
    source = tts.SynthesisInput(ssml='<speak>Tom &amp; <emphasis>Kim</emphasis><break time="750ms"/>left.</speak>')
    assert parse_batch_input(source._pb, SPEAKS, TtsLimits()) == ["Tom &  Kim", Pause(0.75), "left."]
    with pytest.raises(RequestError):
        parse_batch_input(tts.SynthesisInput(ssml="no markup")._pb, SPEAKS, TtsLimits())


def test_markup_pauses_in_batch():
    source = tts.SynthesisInput(markup="One.[pause]Two.")
    assert parse_batch_input(source._pb, SPEAKS, TtsLimits()) == ["One.", Pause(0.5), "Two."]


@pytest.mark.parametrize("source", [tts.SynthesisInput(), tts.SynthesisInput(text="x" * 5_001)])
def test_missing_or_long_input_is_refused(source):
    with pytest.raises(RequestError):
        parse_batch_input(source._pb, SPEAKS, TtsLimits())
