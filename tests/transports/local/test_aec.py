import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

from halfcascade.transports.local.aec import EchoCanceller, ReferenceTimeline
from tests.virtual_audio import EchoPath, Room

RATE = 16_000
BLOCK = 320
DATA = Path(__file__).parents[2] / "data"


def recording(name):
    """A recording from its first to its last word."""
    entry = next(e for e in json.loads((DATA / "recordings.json").read_text()) if e["name"] == name)
    audio, _ = soundfile.read(DATA / entry["file"], dtype="int16")
    return audio[int(entry["start"] * RATE) : int(entry["end"] * RATE)]


def loudness(audio):
    """Level of the loud half of the 10 ms frames, in dBFS."""
    frames = audio[: len(audio) // 160 * 160].astype(float).reshape(-1, 160) / 32768
    powers = np.sort((frames**2).mean(axis=1))
    return 10 * np.log10(powers[len(powers) // 2 :].mean() + 1e-12)


def at_level(audio, dbfs):
    return np.clip(audio * 10 ** ((dbfs - loudness(audio)) / 20), -32768, 32767).astype(np.int16)


def through_room(far, **room):
    path = EchoPath(Room(**room), RATE)
    return np.concatenate([path.process(far[i : i + 1600]) for i in range(0, len(far), 1600)])


def cancel(canceller, near, far, begin=100.0):
    """Let both run as the devices do; the last whole frames come back."""
    out = []
    for i in range(0, len(near), BLOCK):
        # The loudspeaker's thread is some 60 ms ahead of what is heard.
        if i == 0:
            canceller.reference(far[: 3 * BLOCK], begin)
        ahead = i + 3 * BLOCK
        canceller.reference(far[ahead : ahead + BLOCK], begin + ahead / RATE)
        out.append(canceller.process(near[i : i + BLOCK], begin + i / RATE))
    return np.concatenate(out)


def speech_starts(audio):
    """Seconds at which Pipecat's detector, as it comes, finds that somebody begins to speak."""
    detector = SileroVADAnalyzer()
    detector.set_sample_rate(RATE)
    starts, speaking = [], False
    for i in range(0, len(audio), BLOCK):
        state = detector._run_analyzer(audio[i : i + BLOCK].tobytes())
        if state is VADState.SPEAKING and not speaking:
            starts.append(i / RATE)
        speaking = state in (VADState.SPEAKING, VADState.STOPPING)
    return starts


@pytest.fixture(scope="module")
def bot():
    return at_level(recording("reading")[: 12 * RATE], -20)


@pytest.mark.parametrize("gain_db", [-6, 2])
@pytest.mark.parametrize("delay_secs", [0.03, 0.2])
def test_the_bot_does_not_hear_itself(bot, gain_db, delay_secs):
    echo = through_room(bot, gain_db=gain_db, delay_secs=delay_secs)
    assert speech_starts(echo), "without cancelling it does"
    canceller = EchoCanceller(RATE)
    out = cancel(canceller, echo, bot)
    assert speech_starts(out) == []
    assert loudness(echo[-4 * RATE :]) - loudness(out[-4 * RATE :]) > 15
    assert canceller.stats.erle_db > 15
    assert not canceller.stats.half_duplex


def test_a_user_who_talks_over_the_bot_is_heard(bot):
    user = at_level(recording("question"), -26)
    echo = at_level(through_room(bot), -26)
    begins = 4 * RATE
    mixed = echo.astype(int)
    mixed[begins : begins + len(user)] += user
    starts = speech_starts(cancel(EchoCanceller(RATE), np.clip(mixed, -32768, 32767).astype(np.int16), bot))
    assert len([at for at in starts if at < 4]) == 0
    assert [at for at in starts if 4 <= at < 4 + len(user) / RATE]


def test_a_user_alone_passes_unharmed():
    user = at_level(recording("question"), -26)
    near = np.concatenate([np.zeros(RATE, np.int16), user])
    out = cancel(EchoCanceller(RATE), near, np.zeros_like(near))
    assert loudness(out) == pytest.approx(loudness(near[: len(out)]), abs=1.5)


def test_there_is_no_deaf_period_at_the_start(bot):
    """The first word over the bot's very first words still reaches the detector."""
    user = at_level(recording("hold_on"), -20)
    mixed = at_level(through_room(bot), -30).astype(int)[: 3 * RATE]
    mixed[RATE // 2 : RATE // 2 + len(user)] += user
    assert speech_starts(cancel(EchoCanceller(RATE), mixed.astype(np.int16), bot))


def late(audio, secs):
    return np.concatenate([np.zeros(int(secs * RATE), np.int16), audio])[: len(audio)]


@pytest.mark.parametrize(("delay_secs", "reference_late_secs"), [(0.8, 0), (0, 0.1)])
def test_echo_that_cannot_be_cancelled_ends_in_half_duplex_and_the_end_of_it_ends_that(delay_secs, reference_late_secs):
    bot = at_level(np.tile(recording("reading")[: 10 * RATE], 2), -20)
    echo = through_room(bot, gain_db=0, delay_secs=0.03)
    canceller = EchoCanceller(RATE)
    out = cancel(canceller, through_room(bot, gain_db=0, delay_secs=delay_secs), late(bot, reference_late_secs))
    assert canceller.stats.half_duplex
    assert not out[-RATE:].any(), "the microphone is closed while the bot speaks"

    quiet = np.zeros(RATE, np.int16)
    user = at_level(recording("question"), -26)
    heard = cancel(canceller, np.concatenate([quiet, user]), np.zeros(RATE + len(user), np.int16))
    assert loudness(heard[RATE:]) > -35, "and open when it does not"

    cancel(canceller, echo, bot)
    assert not canceller.stats.half_duplex


def test_a_talkative_user_is_not_mistaken_for_echo(bot):
    user = at_level(np.concatenate([recording(n) for n in ("two_sentences", "numbers", "question")]), -26)
    length = min(len(bot), len(user))
    echo = at_level(through_room(bot), -32)[:length]
    canceller = EchoCanceller(RATE)
    cancel(canceller, (echo.astype(int) + user[:length]).astype(np.int16), bot[:length])
    assert not canceller.stats.half_duplex


@pytest.mark.parametrize("noise_dbfs", [-90, -60, -45])
@pytest.mark.parametrize("at_secs", [1.5, 3.0])
def test_where_there_is_no_echo_a_user_who_talks_over_the_bot_passes_unharmed(bot, noise_dbfs, at_secs):
    near = np.random.default_rng(3).normal(0, 10 ** (noise_dbfs / 20) * 32768, len(bot)).astype(np.int16)
    user, start = at_level(recording("actually"), -26), round(at_secs * RATE)
    near[start : start + len(user)] += user
    canceller = EchoCanceller(RATE)
    out = cancel(canceller, near, bot)
    for part in np.array_split(np.arange(start, start + len(user)), 5):
        assert loudness(out[part]) == pytest.approx(loudness(near[part]), abs=1.0)
    assert canceller.stats.erle_db is None


def test_an_echo_that_was_not_there_before_is_cancelled_all_the_same(bot):
    """A headset is pulled out: what AEC3 needs to learn the room is all that the bot may hear of itself."""
    echo = through_room(np.concatenate([bot, bot]), gain_db=-6)
    echo[: len(bot)] = np.random.default_rng(3).normal(0, 10, len(bot))
    out = cancel(EchoCanceller(RATE), echo, np.concatenate([bot, bot]))
    settled = len(bot) / RATE + 4.0
    assert [start for start in speech_starts(out) if start > settled] == []
    assert loudness(echo[round(settled * RATE) :]) - loudness(out[round(settled * RATE) :]) > 15


def test_odd_block_lengths_lose_nothing():
    canceller = EchoCanceller(RATE)
    near = np.zeros(RATE, np.int16)
    got = sum(len(canceller.process(near[i : i + 317], i / RATE)) for i in range(0, RATE, 317))
    assert got + round(canceller.pending_secs * RATE) == RATE
    assert canceller.pending_secs < 0.01


def test_the_timeline_pairs_by_time_sample_for_sample():
    timeline = ReferenceTimeline(RATE)
    timeline.push(np.arange(500, dtype=np.int16), 10.0)
    timeline.push(np.arange(500, 700, dtype=np.int16), 10.0 + 500 / RATE)
    assert np.array_equal(timeline.pull(10.0 + 100 / RATE, 400), np.arange(100, 500))
    assert np.array_equal(timeline.pull(10.0 + 500 / RATE, 200), np.arange(500, 700))
    assert (timeline.missing, timeline.gaps) == (0, 0)


def test_clocks_that_jitter_by_less_than_a_millisecond_lose_no_sample():
    timeline = ReferenceTimeline(RATE)
    rng = np.random.default_rng(1)
    audio = np.arange(8000, dtype=np.int16)
    blocks = []
    for i in range(0, 8000, 160):
        timeline.push(audio[i : i + 160], 10 + i / RATE + rng.uniform(-4e-4, 4e-4))
        if i:
            blocks.append(timeline.pull(10 + (i - 160) / RATE + rng.uniform(-4e-4, 4e-4), 160))
    got = np.concatenate(blocks)
    shift = int(got[4000]) - 4000
    assert abs(shift) <= RATE // 1000
    assert np.array_equal(got[200:7600], audio[200 + shift : 7600 + shift])


def test_a_reference_that_is_not_there_yet_is_silence_and_counted():
    timeline = ReferenceTimeline(RATE)
    assert not timeline.pull(10.0, 160).any()
    assert timeline.missing == 0, "before the loudspeaker began nothing is missing"
    timeline.push(np.ones(100, np.int16), 10.0)
    assert timeline.pull(10.0, 160).sum() == 100
    assert timeline.missing == 60


def test_a_loudspeaker_that_stood_still_leaves_its_silence_where_it_was_heard():
    timeline = ReferenceTimeline(RATE)
    timeline.push(np.ones(160, np.int16), 10.0)
    timeline.push(np.full(160, 2, np.int16), 10.05)
    heard = timeline.pull(10.0, 960)
    assert (heard[:160] == 1).all()
    assert not heard[160:800].any()
    assert (heard[800:] == 2).all()
    assert timeline.gaps == 1


def test_old_reference_is_forgotten():
    timeline = ReferenceTimeline(RATE)
    for i in range(500):
        timeline.push(np.ones(160, np.int16), 10 + i / 100)
    assert not timeline.pull(10.0, 160).any()
    assert timeline.pull(14.0, 160).all()


def test_threads_that_wake_late_do_not_disturb_cancelling(bot):
    """Microphone blocks arrive in clumps, the loudspeaker is fed in bursts; their clocks say when it was."""
    echo = through_room(bot, gain_db=0)
    canceller, rng, out, fed = EchoCanceller(RATE), np.random.default_rng(2), [], 0
    for i in range(0, len(echo), BLOCK):
        while fed < i + 1500 + rng.integers(0, 1500):
            canceller.reference(bot[fed : fed + 160], fed / RATE)
            fed += 160
        out.append(canceller.process(echo[i : i + BLOCK], i / RATE))
    assert speech_starts(np.concatenate(out)) == []
    assert canceller.stats.erle_db > 15


def test_a_reference_that_comes_late_is_waited_for_but_not_for_long(bot):
    """A loudspeaker's thread that oversleeps, while its device still has something to play."""
    echo = through_room(bot, gain_db=0)
    canceller, out, fed = EchoCanceller(RATE), [], 0
    for i in range(0, len(echo), BLOCK):
        held_up = i % (10 * BLOCK) < 3 * BLOCK
        while not held_up and fed < i + 4 * BLOCK:
            canceller.reference(bot[fed : fed + 160], fed / RATE)
            fed += 160
        out.append(canceller.process(echo[i : i + BLOCK], i / RATE))
        assert canceller.pending_secs <= 0.1
    assert canceller.stats.reference_missing_secs == 0
    assert speech_starts(np.concatenate(out)) == []
    # Played no more, nothing is held back.
    rest = [canceller.process(echo[:BLOCK], (len(echo) + i * BLOCK) / RATE) for i in range(20)]
    assert sum(map(len, rest)) >= 15 * BLOCK
    assert canceller.stats.reference_missing_secs > 0


def test_after_a_restart_old_reference_is_gone(bot):
    canceller = EchoCanceller(RATE)
    cancel(canceller, through_room(bot)[: 4 * RATE], bot[: 4 * RATE])
    assert canceller.stats.erle_db is not None
    canceller.restart()
    assert canceller.stats.erle_db is None
    assert canceller.pending_secs == 0
