"""What callers say is not held back by resampling, whatever their rate and the size of their packets."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.audio.utils import create_stream_resampler, pcm_to_ulaw
from pipecat.frames.frames import InputAudioRawFrame, InputDTMFFrame
from pipecat.processors.frame_processor import FrameProcessorSetup

from halfcascade.bot.pipeline import AUDIO_IN_RATE
from halfcascade.bot.serve.doors import _telephone_serializer
from halfcascade.bot.serve.resampling import PromptResampler, PromptSerializer

LATE_SECS = 0.0025
RATES = st.sampled_from([8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000]) | st.integers(8_000, 48_000)


def tone(rate: int, secs: float) -> np.ndarray:
    return (8_000 * np.sin(2 * np.pi * 440 * np.arange(round(rate * secs)) / rate)).astype("<i2")


@settings(max_examples=40, deadline=None)
@given(RATES, st.lists(st.integers(1, 4_000), min_size=5, max_size=40))
def test_nothing_is_held_back(rate, sizes):
    resampler = PromptResampler(AUDIO_IN_RATE)
    given_secs = heard_secs = 0.0
    for size in sizes:
        heard_secs += len(resampler.resample(bytes(2 * size), rate)) / 2 / AUDIO_IN_RATE
        given_secs += size / rate
        assert -1 / AUDIO_IN_RATE <= given_secs - heard_secs <= LATE_SECS


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100, 48_000])
def test_a_tone_stays_what_it_was(rate):
    resampler, sound = PromptResampler(AUDIO_IN_RATE), tone(rate, 1.0)
    pieces = [resampler.resample(piece.tobytes(), rate) for piece in np.array_split(sound, 50)]
    heard = np.frombuffer(b"".join(pieces), "<i2").astype(float)[1_000:15_000]
    wanted = tone(AUDIO_IN_RATE, 1.0)[1_000:15_000].astype(float)
    assert np.sqrt(np.mean((heard - wanted) ** 2)) < 0.02 * np.sqrt(np.mean(wanted**2))


def test_a_client_that_changes_its_rate_is_understood():
    resampler = PromptResampler(AUDIO_IN_RATE)
    secs = sum(len(resampler.resample(bytes(2 * rate // 50), rate)) for rate in (8_000, 48_000, 16_000, 24_000) * 50)
    assert abs(secs / 2 / AUDIO_IN_RATE - 4.0) < 0.3
    assert resampler.resample(b"", 8_000) == b""


COMPANIES = {
    "twilio": {"stream_id": "S1", "call_id": "C1"},
    "telnyx": {"stream_id": "S1", "call_id": "C1", "outbound_encoding": "PCMU"},
    "plivo": {"stream_id": "S1", "call_id": "C1"},
}


@pytest.mark.parametrize("company", COMPANIES)
async def test_each_packet_of_a_telephone_arrives_at_once(company, monkeypatch):
    for name in ("TWILIO_ACCOUNT_SID", "TELNYX_API_KEY", "PLIVO_AUTH_ID"):
        monkeypatch.delenv(name, raising=False)
    serializer = PromptSerializer(_telephone_serializer(company, COMPANIES[company]), AUDIO_IN_RATE)
    await serializer.setup(FrameProcessorSetup(None, None, None, audio_in_sample_rate=AUDIO_IN_RATE))
    packet = await pcm_to_ulaw(tone(8_000, 0.02).tobytes(), 8_000, 8_000, create_stream_resampler())
    message = {"event": "media", "media": {"track": "inbound", "payload": base64.b64encode(packet).decode()}}
    frames = [await serializer.deserialize(json.dumps(message)) for _ in range(10)]
    assert all(isinstance(frame, InputAudioRawFrame) and frame.sample_rate == AUDIO_IN_RATE for frame in frames)
    assert all(len(frame.audio) == 640 for frame in frames[1:]) and len(frames[0].audio) > 640 - 2 * 2 * 20
    key = {"event": "dtmf", "dtmf": {"digit": "5"}}
    assert isinstance(await serializer.deserialize(json.dumps(key)), InputDTMFFrame)
    assert await serializer.deserialize('{"event": "stop"}') is None
