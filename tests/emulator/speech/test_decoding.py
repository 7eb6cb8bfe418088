import io

import numpy as np
import pytest
import soundfile
import soxr
from google.cloud.speech_v2.types import cloud_speech as speech
from hypothesis import given, settings
from hypothesis import strategies as st

from halfcascade.emulator.actions import RequestError
from halfcascade.emulator.minds.base import LISTENER_RATE
from halfcascade.emulator.speech.config import make_decoders
from halfcascade.emulator.speech.decoding import ALAW_TABLE, MULAW_TABLE, AutoDecoder, RawDecoder
from tests.emulator.speech.requests import recognition_config


def tone(rate: int, seconds: float = 0.5, hertz: float = 440.0) -> np.ndarray:
    return (8_000 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype("<i2")


def decode(decoder, data: bytes, piece: int) -> np.ndarray:
    pcm = b"".join(decoder.decode(data[start : start + piece]) for start in range(0, len(data), piece))
    return np.frombuffer(pcm + decoder.flush(), "<i2").astype(float)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def test_g711_tables_hold_the_standards_values():
    # ITU-T G.711: the loudest, the quietest and a middle code of each law.
    assert [MULAW_TABLE[code] for code in (0x00, 0x7F, 0x80, 0xFF, 0x0F)] == [-32_124, 0, 32_124, 0, -16_764]
    assert [ALAW_TABLE[code] for code in (0x2A, 0xAA, 0xD5, 0x55)] == [-32_256, 32_256, 8, -8]


@given(st.lists(st.integers(1, 999), min_size=1, max_size=8))
@settings(max_examples=30)
def test_samples_survive_any_cutting(cuts):
    samples = tone(LISTENER_RATE, 0.05)
    decoder, data, pcm = RawDecoder("LINEAR16", LISTENER_RATE, 1), samples.tobytes(), b""
    for cut in cuts:
        pcm += decoder.decode(data[:cut])
        data = data[cut:]
    assert pcm + decoder.decode(data) == samples.tobytes()


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_any_rate_becomes_the_listeners_rate(rate):
    heard = decode(RawDecoder("LINEAR16", rate, 1), tone(rate).tobytes(), 641)
    assert abs(len(heard) - LISTENER_RATE // 2) <= 2
    assert likeness(heard, tone(LISTENER_RATE).astype(float)) > 0.99


def test_first_of_several_channels_is_heard():
    left = tone(LISTENER_RATE)
    stereo = np.stack([left, np.zeros_like(left)], axis=1)
    assert decode(RawDecoder("LINEAR16", LISTENER_RATE, 2), stereo.tobytes(), 999).tolist() == left.tolist()


@pytest.mark.parametrize(("encoding", "table"), [("MULAW", MULAW_TABLE), ("ALAW", ALAW_TABLE)])
def test_companded_samples_are_expanded(encoding, table):
    codes = np.arange(256, dtype=np.uint8)
    assert decode(RawDecoder(encoding, LISTENER_RATE, 1), codes.tobytes(), 50).tolist() == table.tolist()


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "ULAW"),
        ("WAV", "ALAW"),
        ("FLAC", "PCM_16"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_containers_are_detected(container, codec):
    file = io.BytesIO()
    soundfile.write(file, tone(24_000), 24_000, format=container, subtype=codec)
    heard = decode(AutoDecoder(), file.getvalue(), 700)
    expected = tone(LISTENER_RATE).astype(float)
    assert abs(len(heard) - len(expected)) < LISTENER_RATE * 0.1  # Lossy codecs pad.
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(np.sqrt(np.mean(expected**2)), rel=0.1)


def test_wav_is_heard_as_it_comes_even_with_other_chunks_before_the_samples():
    samples = tone(LISTENER_RATE, 0.1).tobytes()
    head = (
        b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x80\x3e\x00\x00\x00\x7d\x00\x00\x02\x00\x10\x00"
    )
    data = head + b"LIST\x03\x00\x00\x00abc\x00" + b"data\xff\xff\xff\xff" + samples
    decoder = AutoDecoder()
    assert b"".join(decoder.decode(bytes([byte])) for byte in data) == samples


@pytest.mark.parametrize(
    "data", [tone(LISTENER_RATE).tobytes(), b"RIFF\0\0\0\0WAVEdata\0\0\0\0xx", b"fLaC" + bytes(40)]
)
def test_what_is_no_audio_file_is_refused(data):
    decoder = AutoDecoder()
    with pytest.raises(RequestError, match="does not appear to be in a supported encoding"):
        decoder.decode(data)
        decoder.flush()


@pytest.mark.parametrize(
    "explicit",
    [
        {"encoding": "AMR", "sample_rate_hertz": 16_000},
        {"encoding": "LINEAR16", "sample_rate_hertz": 7_000},
        {"encoding": "LINEAR16"},
        {"encoding": "LINEAR16", "sample_rate_hertz": 16_000, "audio_channel_count": 9},
    ],
)
def test_impossible_decoding_is_refused(explicit):
    config = recognition_config(explicit_decoding_config=speech.ExplicitDecodingConfig(**explicit))
    with pytest.raises(RequestError):
        make_decoders(config._pb)


def test_decoding_must_be_named():
    with pytest.raises(RequestError, match="auto_decoding_config"):
        make_decoders(recognition_config(explicit_decoding_config=None)._pb)


def test_resampling_in_pieces_equals_resampling_at_once():
    samples = tone(48_000)
    whole = soxr.resample(samples, 48_000, LISTENER_RATE).astype(float)
    pieces = decode(RawDecoder("LINEAR16", 48_000, 1), samples.tobytes(), 1_921)
    assert likeness(whole, pieces) > 0.9999
