import io

import numpy as np
import pytest
import soundfile

from halfcascade.emulator.minds.base import SPEAKER_RATE
from halfcascade.emulator.speech.decoding import ALAW_TABLE, MULAW_TABLE
from halfcascade.emulator.tts.encoding import FileEncoder, RawEncoder, encode_alaw, encode_mulaw


def tone(seconds: float = 1.0, rate: int = SPEAKER_RATE) -> bytes:
    return (8_000 * np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)).astype("<i2").tobytes()


@pytest.mark.parametrize(("encode", "table"), [(encode_mulaw, MULAW_TABLE), (encode_alaw, ALAW_TABLE)])
def test_every_sample_becomes_a_near_code(encode, table):
    samples = np.arange(-32_768, 32_768, dtype=np.int16)
    decoded = table[np.frombuffer(encode(samples), np.uint8)].astype(int)
    codes = np.unique(table).astype(int)
    nearest = np.abs(samples.astype(int)[:, None] - codes[None, :]).min(axis=1)
    # Where the steps double, the code below may be nearer than the one of the sample's own segment.
    assert (np.abs(decoded - samples) <= 2 * nearest + 8).all()
    assert set(decoded) == set(codes)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_pieces_resample_to_the_whole(rate):
    encoder, pcm = RawEncoder("PCM", rate), tone()
    pieces = b"".join(encoder.encode(pcm[start : start + 1_000]) for start in range(0, len(pcm), 1_000))
    samples = np.frombuffer(pieces + encoder.flush(), "<i2").astype(float)
    expected = np.frombuffer(tone(rate=rate), "<i2").astype(float)
    assert abs(len(samples) - len(expected)) <= 2
    length = min(len(samples), len(expected))
    assert np.corrcoef(samples[:length], expected[:length])[0, 1] > 0.99


@pytest.mark.parametrize(
    ("container", "codec", "rate"),
    [("WAV", "PCM_16", 24_000), ("WAV", "ULAW", 8_000), ("WAV", "ALAW", 8_000), ("MP3", "MPEG_LAYER_III", 24_000)],
)
def test_whole_files_can_be_read_back(container, codec, rate):
    data = FileEncoder(container, codec, rate).whole(tone())
    samples, found = soundfile.read(io.BytesIO(data))
    assert found == rate
    assert len(samples) / rate == pytest.approx(1.0, abs=0.1)
    assert np.sqrt(np.mean(samples**2)) == pytest.approx(8_000 / 32_768 / np.sqrt(2), rel=0.1)


def test_streamed_opus_is_the_same_as_a_file():
    encoder, pcm = FileEncoder("OGG", "OPUS", 48_000), tone(3.0)
    pieces = [encoder.encode(pcm[start : start + 11_520]) for start in range(0, len(pcm), 11_520)]
    assert sum(bool(piece) for piece in pieces) > 1  # It really comes in pieces.
    samples, rate = soundfile.read(io.BytesIO(b"".join(pieces) + encoder.flush()))
    assert len(samples) / rate == pytest.approx(3.0, abs=0.05)
