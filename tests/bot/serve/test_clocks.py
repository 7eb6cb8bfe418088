"""Callers whose clock is not ours: what they say arrives as it is said, however long they talk. In virtual time."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import InputAudioRawFrame

from halfcascade.bot.pipeline import AUDIO_IN_RATE
from halfcascade.bot.serve import visit
from halfcascade.bot.serve.arrivals import Arrivals
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


@dataclass(frozen=True)
class Stall:
    """For a while nothing comes.

    Parameters:
        after: How many packets before it.
        secs: How long it lasts.
        kept: Whether what was said meanwhile comes behind it, at once, rather than never: nothing was said, or sent.
    """

    after: int
    secs: float
    kept: bool


STALLS = st.lists(st.builds(Stall, st.integers(50, 100), st.floats(0.3, 2.5), st.booleans()), min_size=1, max_size=4)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(STALLS, st.sampled_from([0.02, 0.04, 0.06]), st.sampled_from([0.0, 0.001, 0.004]), st.integers(0, 1_000))
def test_sound_that_was_held_up_is_recorded_where_it_was_said(stalls, block_secs, reading_secs, seed):
    dice = np.random.default_rng(seed)
    arrivals, track = Arrivals(RATE), Track(RATE)
    samples = round(block_secs * RATE)
    now = said_at = 0.0
    said: list[tuple[int, float]] = []
    placed: list[tuple[int, float]] = []

    def arrive(at: float) -> None:
        said.append((len(said) + 1, said_at))
        block = np.full(samples, len(said), "<i2").tobytes()
        for audio, when in arrivals.take(block, at):
            placed.append((int(np.frombuffer(audio, "<i2")[0]), when))
            track.feed(np.frombuffer(audio, "<i2"), RATE, when)

    for stall in [*stalls, Stall(50, 0.3, True)]:
        for _ in range(stall.after):
            now = max(now, said_at + block_secs + dice.exponential(0.003))
            arrive(now)
            said_at += block_secs
        over = said_at + stall.secs
        if not stall.kept:
            said_at = over
        while said_at + block_secs <= over:
            now = max(now + reading_secs, over)
            arrive(now)
            said_at += block_secs
    placed += [(int(np.frombuffer(audio, "<i2")[0]), when) for audio, when in arrivals.finish()]
    assert [number for number, _ in placed] == [number for number, _ in said]
    # A block that comes first after a gap was said up to its length earlier than it came, as far as one can know.
    late = [when - at for (_, when), (_, at) in zip(placed, said, strict=True)]
    # What is still held at the end was made before all of it had been read.
    assert max(map(abs, late)) < block_secs + max(0.05, 0.3 / block_secs * reading_secs)
    # All of it has its place in the recording.
    recorded = np.concatenate([track.take(track.available)])
    lost = sum(samples - np.count_nonzero(recorded == number) for number, _ in said[: len(placed) - 200])
    assert lost <= 0.1 * RATE * len(stalls)
