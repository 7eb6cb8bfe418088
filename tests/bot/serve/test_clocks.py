"""Callers whose clock is not ours: what they say arrives as it is said, however long they talk. In virtual time."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from pipecat.frames.frames import InputAudioRawFrame

from halfcascade.bot.pipeline import AUDIO_IN_RATE
from halfcascade.bot.serve import visit
from halfcascade.bot.serve.resampling import PromptResampler
from halfcascade.bot.session.tracks import GAP_SECS, Track

RATE = 8_000
PACKET_SECS = 0.02


@dataclass
class Ear:
    """In the place of a session folder: keeps what is recorded, and how far from the truth each block was placed."""

    now: float = 0.0
    track: Track = field(default_factory=lambda: Track(AUDIO_IN_RATE))
    errors: list[float] = field(default_factory=list)
    overlap: float = 0.0
    gap: float = 0.0
    _end: float | None = None

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        samples = np.frombuffer(audio, "<i2")
        self.track.feed(samples, sample_rate, at)
        self.errors.append(self.now - len(samples) / sample_rate - at)
        if self._end is not None:
            self.overlap, self.gap = max(self.overlap, self._end - at), max(self.gap, at - self._end)
        self._end = at + len(samples) / sample_rate


@pytest.mark.parametrize("drift", [-0.001, 0.001])
@pytest.mark.parametrize("minutes", [1, pytest.param(10, marks=pytest.mark.slow)])
def test_what_a_caller_says_whose_clock_is_off_neither_piles_up_nor_runs_dry(monkeypatch, drift, minutes):
    ear, dice = Ear(), np.random.default_rng(5)
    monkeypatch.setattr(visit.time, "monotonic", lambda: ear.now)
    listening = visit._Listening(ear)
    resampler = PromptResampler(AUDIO_IN_RATE)
    packet = np.zeros(round(RATE * PACKET_SECS), "<i2").tobytes()
    # A network delays packets, and now and then holds several of them up at once.
    delays = dice.exponential(0.004, size=round(minutes * 60 / PACKET_SECS))
    delays[:: round(30 / PACKET_SECS)] += 0.3
    sent = fed = 0
    for number, delay in enumerate(delays, 1):
        ear.now = max(ear.now, number * PACKET_SECS * (1 + drift) + delay)
        sent += len(packet) // 2
        if audio := resampler.resample(packet, RATE):
            fed += len(audio) // 2
            listening.heard(InputAudioRawFrame(audio, AUDIO_IN_RATE, 1))
    # All that was said has gone on to the ears, but for the last 2 ms.
    assert 0 <= 2 * sent - fed <= 0.002 * AUDIO_IN_RATE
    # Blocks are told to have been said when they were, but for what the network took.
    assert np.percentile(np.abs(ear.errors), 95) < 0.02 and max(np.abs(ear.errors)) < 0.35
    assert ear.overlap < GAP_SECS and ear.gap < GAP_SECS
    # The recording is as long as the talk, by our clock.
    assert ear.track.produced / AUDIO_IN_RATE == pytest.approx(minutes * 60 * (1 + drift), abs=0.03)
