"""What is heard and told when, to the millisecond: on devices in virtual time. `test_transport` has real threads."""

import asyncio
import time

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    OutputAudioRawFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
)

from halfcascade.processors.frames import DuckFrame
from halfcascade.transports.local import LocalDuplexParams, LocalDuplexTransport
from halfcascade.transports.local.device import CAPTURE_BLOCK_SECS
from halfcascade.transports.loudspeaker import FADE_SECS
from tests.audio_harness import BOT_RATE, Talk, tone, until
from tests.in_virtual_time import in_virtual_time, stall
from tests.transports.hand import Hand
from tests.transports.local.virtual_device import TICK_SECS, Tap, use_virtual_devices

BUFFER_SECS = LocalDuplexParams().output_buffer_secs
# A tone's first and last samples are too quiet to tell from silence.
EDGE_SECS = 0.001
# The device takes blocks, the transport looks what was heard, each once in a tick.
LATE_SECS = 3 * TICK_SECS


@pytest.fixture
def devices(monkeypatch):
    return use_virtual_devices(monkeypatch)


def transport(**params):
    return LocalDuplexTransport(LocalDuplexParams(echo_cancel=False, **params))


def speaking(talk):
    """When the bot was told to start, and to stop."""
    return talk.mouth.times(BotStartedSpeakingFrame), talk.mouth.times(BotStoppedSpeakingFrame)


def said(talk):
    return [seen.frame.text for seen in talk.mouth.seen if isinstance(seen.frame, TextFrame)]


@in_virtual_time
async def test_what_the_bot_says_is_heard_without_a_gap_and_announced_when_it_is_heard(devices):
    async with Talk(transport()) as talk:
        await talk.say(tone(1.0))
        assert await until(lambda: speaking(talk)[1], 10)
    loud = devices[-1].heard.loud()
    assert loud[-1] - loud[0] == pytest.approx(1.0, abs=EDGE_SECS)
    assert devices[-1].heard.gaps() == []
    (started,), (stopped,) = speaking(talk)
    assert 0 <= started - loud[0] < LATE_SECS
    assert -EDGE_SECS <= stopped - loud[-1] < LATE_SECS


@in_virtual_time
async def test_an_interruption_silences_the_speaker_and_what_comes_after_is_heard(devices):
    stops = []
    async with Talk(transport()) as talk:
        for _ in range(3):
            await talk.say(tone(3.0))
            await asyncio.sleep(0.5)
            stops.append(await talk.interrupt())
            await asyncio.sleep(0.4)
        await talk.say(tone(0.3))
        await asyncio.sleep(0.8)
    loud = devices[-1].heard.loud()
    for at in stops:
        silent = loud[loud < at + 0.38][-1] - at
        assert 0 < silent < BUFFER_SECS + FADE_SECS + TICK_SECS
    after = loud[loud > stops[-1] + 0.38]
    assert after[-1] - after[0] == pytest.approx(0.3, abs=EDGE_SECS)
    started, stopped = speaking(talk)
    assert len(started) == len(stopped) == 4


@pytest.mark.parametrize("goes_on", [0.0, 0.5], ids=["within the interruption", "after it"])
@in_virtual_time
async def test_speech_that_is_interrupted_with_a_block_in_the_senders_hand_starts_and_stops_once(devices, goes_on):
    hand = Hand()
    async with Talk(transport(audio_out_filter=hand)) as talk:
        await talk.say(tone(2.0))
        assert await until(lambda: speaking(talk)[0], 10)
        hand.hold()
        await hand.holds.wait()
        at = await talk.interrupt()
        await asyncio.sleep(goes_on)
        hand.let_go()
        # Pipecat gives a reply up that has no end after three seconds.
        await asyncio.sleep(3.5)
        assert [len(times) for times in speaking(talk)] == [1, 1]
        assert devices[-1].heard.loud()[-1] < at + BUFFER_SECS + FADE_SECS + TICK_SECS
        await talk.say(tone(0.2))
        await asyncio.sleep(1.0)
        assert [len(times) for times in speaking(talk)] == [2, 2]


@in_virtual_time
async def test_frames_behind_unheard_audio_do_not_pass_when_it_is_cut(devices):
    async with Talk(transport()) as talk:
        pieces = [TTSAudioRawFrame(tone(secs).tobytes(), BOT_RATE, 1) for secs in (0.25, 0.2, 3.0)]
        await talk.worker.queue_frames([pieces[0], TextFrame("heard"), pieces[1], TextFrame("being heard"), pieces[2]])
        # The ring has taken all 0.45 s by now, of which the user heard the half.
        assert await until(lambda: "heard" in said(talk), 10)
        await talk.interrupt()
        await asyncio.sleep(0.5)
    assert said(talk) == ["heard"]


@in_virtual_time
async def test_words_with_a_time_of_their_own_wait_for_the_device(devices):
    async with Talk(transport()) as talk:
        word = TTSTextFrame("word", text_type="word")
        now = time.monotonic()
        word.pts = talk.mouth.get_clock().get_time() + int(0.2e9)
        await talk.worker.queue_frame(word)
        assert await until(lambda: said(talk), 10)
    # The device holds its buffer, less what has been played of it since it was last filled.
    late = talk.mouth.times(TTSTextFrame)[0] - now - 0.2
    assert BUFFER_SECS - 2 * TICK_SECS <= late < BUFFER_SECS + LATE_SECS


@in_virtual_time
async def test_what_must_not_be_interrupted_is_heard_to_its_end(devices):
    async with Talk(transport()) as talk:
        audio = OutputAudioRawFrame(tone(0.8).tobytes(), BOT_RATE, 1)
        audio.interruptible = False
        await talk.worker.queue_frame(audio)
        await asyncio.sleep(0.4)
        await talk.interrupt()
        await asyncio.sleep(1.0)
    loud = devices[-1].heard.loud()
    assert loud[-1] - loud[0] == pytest.approx(0.8, abs=EDGE_SECS)
    assert devices[-1].heard.gaps() == []


@in_virtual_time
async def test_ducking_takes_effect_ahead_of_queued_audio(devices):
    async with Talk(transport()) as talk:
        await talk.say(tone(2.0))
        await asyncio.sleep(0.5)
        ducked = time.monotonic()
        await talk.worker.queue_frame(DuckFrame(gain=0.25))
        await asyncio.sleep(0.6)
        restored = time.monotonic()
        await talk.worker.queue_frame(DuckFrame(gain=1.0))
        await asyncio.sleep(0.6)
    heard, soon = devices[-1].heard, BUFFER_SECS + 0.02 + TICK_SECS
    assert np.abs(heard.span(ducked - 0.2, ducked)).max() == pytest.approx(8000, rel=0.01)
    assert np.abs(heard.span(ducked + soon, restored)).max() == pytest.approx(2000, rel=0.01)
    assert np.abs(heard.span(restored + soon, restored + 0.5)).max() == pytest.approx(8000, rel=0.01)


@in_virtual_time
async def test_the_end_waits_until_the_last_word_was_heard(devices):
    async with Talk(transport()) as talk:
        await talk.say(tone(0.48), stop=False)
        asked = await talk.end()
        took = time.monotonic() - asked
    loud = devices[-1].heard.loud()
    assert loud[-1] - loud[0] == pytest.approx(0.48, abs=EDGE_SECS)
    assert asked + took > loud[-1] - EDGE_SECS
    assert took < 0.5 + BUFFER_SECS + LATE_SECS + 0.2, "without two seconds of silence at the end"


@in_virtual_time
async def test_audio_that_a_stalled_loop_did_not_take_is_dropped_oldest_first_and_counted(devices):
    local = transport(input_queue_secs=0.3)
    async with Talk(local) as talk:
        await asyncio.sleep(0.2)
        before, stalled_at = len(talk.ears.microphone), time.monotonic()
        stall(1.0)
        devices[-1].advance()
        await asyncio.sleep(0.2)
        arrived = [at for at, _ in talk.ears.microphone[before:] if at > stalled_at + TICK_SECS]
    assert local.stats.dropped_secs == pytest.approx(0.7, abs=0.021)
    assert max(np.diff(arrived)) == pytest.approx(0.02), "what is kept is the newest, in one piece"
    assert arrived[0] == pytest.approx(stalled_at + 0.7, abs=0.041)
    assert local.stats.queue_age_max_secs == pytest.approx(0.3, abs=0.041)


@pytest.mark.parametrize("stall_secs", [0.1, 0.25])
@in_virtual_time
async def test_a_stalled_event_loop_makes_no_gap(devices, stall_secs):
    local = transport()
    async with Talk(local) as talk:
        await talk.say(tone(3.0))
        await asyncio.sleep(0.2)
        for _ in range(5):
            stall(stall_secs)
            devices[-1].advance()
            await asyncio.sleep(0.1)
        assert await until(lambda: speaking(talk)[1], 10)
    assert devices[-1].heard.gaps() == []
    assert local.stats.late_writes == 0


@in_virtual_time
async def test_an_event_loop_that_is_stalled_for_longer_than_the_queue_lasts_makes_a_gap_that_is_counted(devices):
    local = transport()
    async with Talk(local) as talk:
        await talk.say(tone(1.0))
        await asyncio.sleep(0.2)
        stall(0.5)
        devices[-1].advance()
        assert await until(lambda: speaking(talk)[1], 10)
    (gap,) = devices[-1].heard.gaps()
    # The queue lacks up to a block of the sender's, which is 40 ms, and the device one of its own.
    assert gap == pytest.approx(0.5 - LocalDuplexParams().output_ring_secs, abs=0.05)
    assert local.stats.late_writes == 1


@in_virtual_time
async def test_the_user_is_heard_with_capture_times_on_the_pipelines_clock(devices):
    async with Talk(transport()) as talk:
        await asyncio.sleep(0.2)
        devices[-1].spoken = tone(0.5, 16_000)
        begun = time.monotonic()
        await asyncio.sleep(1.0)
    loud = [at for at, peak in talk.ears.microphone if peak > 300]
    assert len(loud) == 25
    assert 0 <= loud[0] - begun + CAPTURE_BLOCK_SECS < 2 * CAPTURE_BLOCK_SECS
    assert np.allclose(np.diff([at for at, _ in talk.ears.microphone]), CAPTURE_BLOCK_SECS)


@in_virtual_time
async def test_the_tap_gets_both_directions_on_one_clock(devices):
    tap = Tap()
    async with Talk(transport(tap=tap)) as talk:
        devices[-1].spoken = tone(0.5, 16_000)
        await talk.say(tone(0.5))
        await asyncio.sleep(1.2)
    heard = devices[-1].heard.loud()
    assert tap.loud("played") == pytest.approx((heard[0], heard[-1]), abs=EDGE_SECS)
    loud = [at for at, peak in talk.ears.microphone if peak > 300]
    assert tap.loud("captured") == pytest.approx((loud[0], loud[-1] + CAPTURE_BLOCK_SECS), abs=EDGE_SECS)
