"""Sound over WebRTC: packets in order and at once, an even pace, holes filled."""

import asyncio
import contextlib
import random
from types import SimpleNamespace
from unittest.mock import AsyncMock

import numpy as np
import pytest
from aiortc import RTCSessionDescription
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import InterruptionFrame, OutputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_transport import TransportParams

from halfcascade.bot.serve.webrtc import Holes, InOrder, PromptWebRTCOutput, SteadyTrack, receive_promptly
from halfcascade.processors.frames import DuckFrame
from halfcascade.processors.playout import PlayoutFilter
from halfcascade.transports.speaking import ToldAsPlayed
from tests.bot.serve.test_browsers import pages

RATE = 24_000
BLOCK = RATE // 25  # samples of 40 ms


def given_out(numbers):
    order = InOrder()
    return [order.take(number % 65536, number) for number in numbers]


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 65535), st.integers(1, 60), st.data())
def test_packets_are_handed_on_in_order_once_and_soon(first, count, data):
    """Whatever a network loses, doubles, or moves by up to two places."""
    sent = list(range(first, first + count))
    lost = data.draw(st.sets(st.sampled_from(sent[1:]), max_size=5)) if count > 1 else set()
    moved = [
        number + data.draw(st.floats(0, 1.9)) if number > first else number for number in sent if number not in lost
    ]
    coming = [number for _, number in sorted(zip(moved, [one for one in sent if one not in lost], strict=True))]
    coming += [coming[-1]] * data.draw(st.integers(0, 2))
    groups = given_out(coming)
    handed = [number for group in groups for number in group]
    assert handed == sorted(set(handed))
    # What is not handed on is the end of the talk behind something lost: at most two.
    assert not set(coming) - set(handed) - set(sorted(set(coming))[-2:])
    if not lost and moved == sorted(moved):
        assert all(groups[: len(sent)])


@pytest.mark.parametrize("lost", [[20], [20, 21, 22], [20, 40, 60], list(range(20, 40))])
def test_after_a_loss_sound_is_as_prompt_as_before(lost):
    """A row that stays late after one lost packet is what aiortc's own buffer makes of it."""
    coming = [number for number in range(100) if number not in lost]
    groups = given_out(coming)
    assert groups[-1] == [99]
    handed = {number: at for group, at in zip(groups, coming, strict=True) for number in group}
    assert handed.keys() == set(coming)
    assert max(at - number for number, at in handed.items()) <= 2
    assert sum(at > number for number, at in handed.items()) <= 2 * len(lost)


def test_aiortc_still_needs_it():
    """Should this fail, its own jitter buffer has become prompt: strike ours."""
    buffer = JitterBuffer(capacity=16, prefetch=4)
    late = []
    for number in range(100):
        if number == 20:
            continue
        packet = RtpPacket(sequence_number=number, timestamp=960 * number)
        packet._data = b"x"  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        late.append(number - frame.timestamp // 960 if frame else None)
    assert late[10] == 4 and late[-1] == 14


@pytest.mark.parametrize("jump", [5_000, 30_000, 60_000])
def test_numbers_may_begin_anew(jump):
    assert given_out([7, 8, 8 + jump, 9 + jump]) == [[7], [8], [8 + jump], [9 + jump]]


def test_a_late_packet_of_a_past_moment_is_dropped():
    assert given_out([1, 3, 4, 5, 2, 6]) == [[1], [], [], [3, 4, 5], [], [6]]


class Time:
    """A clock that stands still but while somebody sleeps, or is held up."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    async def sleep(self, secs):
        self.now += secs
        await asyncio.sleep(0)


async def sent(track, time, count, held_up=None):
    """Packets with the moments at which they are sent."""
    packets = []
    for index in range(count):
        time.now += (held_up or {}).get(index, 0.0)
        frame = await track.recv()
        packets.append((time.now, frame.to_ndarray()[0]))
        for _ in range(5):
            await asyncio.sleep(0)
    return packets


async def speak(track, sound):
    for start in range(0, len(sound), BLOCK):
        await track.add(sound[start : start + BLOCK].astype("<i2").tobytes())


def sound_of(packets):
    return np.concatenate([samples for _, samples in packets])


async def test_an_event_loop_that_is_late_makes_no_hole_in_speech_and_no_burst():
    time = Time()
    track = SteadyTrack(RATE, time, time.sleep)
    sound = np.arange(1, 20 * BLOCK + 1)
    speaking = asyncio.create_task(speak(track, sound))
    await asyncio.sleep(0)
    packets = await sent(track, time, 60, {10: 0.03, 20: 0.25, 30: 1.0})
    await speaking
    heard = sound_of(packets)
    begin = int(np.flatnonzero(heard)[0])
    assert (heard[begin : begin + len(sound)] == sound).all()
    steps = np.diff([at for at, _ in packets])
    # What is late by less than three packets is caught up with; more than that is not sent in one go.
    assert steps.min() >= 0 and (steps < 0.019).sum() <= 2
    assert packets[-1][0] - packets[0][0] == pytest.approx(59 * 0.02 + 0.25 + 1.0, abs=0.05)


async def test_little_is_in_store_and_whoever_writes_is_held_to_the_pace():
    time = Time()
    track = SteadyTrack(RATE, time, time.sleep)
    writing = asyncio.create_task(speak(track, np.ones(100 * BLOCK)))
    await asyncio.sleep(0)
    # How much is still to be heard of what was taken, one packet after the other.
    heard = np.cumsum([samples.sum() for _, samples in await sent(track, time, 50)])
    assert not writing.done()
    # A block of ones that is in store when nobody writes any more is all that comes.
    writing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await writing
    left = sound_of(await sent(track, time, 10)).sum()
    assert (np.diff(heard) == BLOCK // 2).all() and BLOCK <= left <= 2 * BLOCK


async def test_what_is_in_store_fades_at_once_and_whoever_writes_goes_on():
    time = Time()
    track = SteadyTrack(RATE, time, time.sleep)
    assert not track.fade_out()
    writing = asyncio.create_task(speak(track, np.full(3 * BLOCK, 8_000)))
    await asyncio.sleep(0)
    await sent(track, time, 2)
    assert track.fade_out()
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    ending = sound_of(await sent(track, time, 10))
    assert ending[0] == 8_000
    assert np.abs(np.diff(ending)).max() < 100, "no step"
    assert not ending[RATE // 100 :].any(), "10 ms, not what was in store"
    await asyncio.wait_for(track.add(bytes(2 * BLOCK // 2)), 5)


@pytest.mark.parametrize("interruptible", [True, False])
async def test_only_speech_that_may_be_interrupted_fades_in_store(interruptible, monkeypatch):
    monkeypatch.setattr(ToldAsPlayed, "process_frame", AsyncMock())
    output = PromptWebRTCOutput(SimpleNamespace(is_connected=True, is_closing=False), TransportParams())
    output.track = track = SteadyTrack(RATE)
    speech = TTSAudioRawFrame(np.full(BLOCK, 1_000, "<i2").tobytes(), RATE, 1)
    speech.interruptible = interruptible
    writing = asyncio.create_task(output.write_audio_frame(speech))
    await asyncio.sleep(0.01)
    await output.process_frame(InterruptionFrame(), FrameDirection.DOWNSTREAM)
    assert len(track._stored) == 2 * (RATE // 100 if interruptible else BLOCK)
    track.stop()
    await writing


@pytest.mark.parametrize("ramp_secs", [0.0, 0.03, 0.2])
async def test_what_is_in_store_becomes_quieter_with_what_follows_without_a_step(ramp_secs, monkeypatch):
    monkeypatch.setattr(ToldAsPlayed, "process_frame", AsyncMock())
    shaping, client = PlayoutFilter(), SimpleNamespace(is_connected=True, is_closing=False)
    await shaping.start(RATE)
    output = PromptWebRTCOutput(client, TransportParams(audio_out_filter=shaping))
    time = Time()
    output.track = SteadyTrack(RATE, time, time.sleep)

    async def send(blocks):
        for _ in range(blocks):
            audio = await shaping.filter(np.full(BLOCK, 8_000, "<i2").tobytes())
            await output.write_audio_frame(TTSAudioRawFrame(audio, RATE, 1))

    writing = asyncio.create_task(send(20))
    await asyncio.sleep(0)
    before = sound_of(await sent(output.track, time, 5))
    for gain in (0.25, 1.0):
        shaping.set_gain(gain, ramp_secs)
        await output.process_frame(DuckFrame(gain=gain, ramp_secs=ramp_secs), FrameDirection.DOWNSTREAM)
        now = sound_of(await sent(output.track, time, 12))
        ramp = round(ramp_secs * RATE)
        steps = np.abs(np.diff(np.concatenate([before[-1:], now])))
        assert steps.max() <= (6_000 if not ramp_secs else 6_000 / ramp + 4)
        assert np.abs(now[ramp + 1 :] - 8_000 * gain).max() <= 4, "from the first packet on"
        before = now
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_a_track_that_ends_lets_nobody_wait():
    track = SteadyTrack(RATE)
    waiting = asyncio.create_task(speak(track, np.ones(10 * BLOCK)))
    await asyncio.sleep(0)
    assert track.lives
    track.stop()
    await asyncio.wait_for(waiting, 5)
    assert not track.lives


@pytest.mark.parametrize(("lost", "missing"), [(0, 0), (1, 320), (3, 960), (10, 3200), (11, 0), (500, 0)])
def test_lost_packets_leave_no_hole_in_time(lost, missing):
    holes = Holes()
    block = np.full(320, 1000, "<i2").tobytes()
    filled = [len(holes.before(block, 16_000, 960 * number)) // 2 for number in (0, 1, 2 + lost, 3 + lost)]
    assert filled == [0, 0, missing, 0]


def test_what_fills_a_hole_goes_on_from_what_was_heard_and_fades():
    holes = Holes()
    holes.before((1000 * np.sin(np.arange(320))).astype("<i2").tobytes(), 16_000, 0)
    filling = np.frombuffer(holes.before(bytes(640), 16_000, 960 * 3), "<i2")
    assert filling[0] == int(1000 * np.sin(319))
    assert not filling[319:].any()


async def test_sound_comes_through_a_real_connection_at_once_and_whole():
    """A packet that is swallowed on the way leaves nothing late behind it."""
    async with pages(2) as (client, server):
        heard, listening = [], []
        arrived = asyncio.Event()

        @server.pc.on("track")
        def on_track(track):
            receiver = server.pc.getTransceivers()[0].receiver
            handle = receiver._handle_rtp_packet
            dice = random.Random(3)
            receive_promptly(receiver)
            receive_promptly(receiver)  # once is enough
            prompt = receiver._handle_rtp_packet

            async def lossy(packet, arrival_time_ms):
                if dice.random() > 0.1:
                    await prompt(packet, arrival_time_ms)

            assert prompt is not handle
            receiver._handle_rtp_packet = lossy

            async def listen():
                while len(heard) < 40:
                    heard.append((await track.recv()).pts)
                arrived.set()

            listening.append(asyncio.create_task(listen()))

        offer = await client.offer()
        await server.pc.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        await server.pc.setLocalDescription(await server.pc.createAnswer())
        await client.pc.setRemoteDescription(server.pc.localDescription)
        await asyncio.wait_for(arrived.wait(), 30)
    steps = np.diff(heard)
    assert steps.min() == 960 and set(steps) <= {960, 1920, 2880, 3840} and (steps > 960).any()


@pytest.mark.parametrize(
    ("connected", "closing", "lives", "sent"),
    [
        (True, False, True, True),
        (False, False, True, False),
        (True, True, True, False),
        (True, False, False, False),
    ],
)
async def test_what_nobody_is_sent_does_not_count_as_played(connected, closing, lives, sent):
    output = PromptWebRTCOutput(SimpleNamespace(is_connected=connected, is_closing=closing), TransportParams())
    frame = OutputAudioRawFrame(np.ones(BLOCK, "<i2").tobytes(), RATE, 1)
    assert not await output.write_audio_frame(frame)
    output.track = SteadyTrack(RATE)
    if not lives:
        output.track.stop()
    assert await output.write_audio_frame(frame) is sent


async def test_another_source_begins_anew():
    handled = []
    receiver = RTCRtpReceiver.__new__(RTCRtpReceiver)
    receiver.__dict__["_RTCRtpReceiver__jitter_buffer"] = JitterBuffer(capacity=16, prefetch=4)

    async def handle(packet, arrival_time_ms):
        handled.append((packet.ssrc, packet.sequence_number))

    receiver.__dict__["_handle_rtp_packet"] = handle
    receive_promptly(receiver)
    for ssrc, number in [(1, 7), (1, 9), (2, 9), (2, 10), (1, 9)]:
        packet = RtpPacket(sequence_number=number)
        packet.ssrc = ssrc
        await receiver._handle_rtp_packet(packet, 0)
    assert handled == [(1, 7), (2, 9), (2, 10), (1, 9)]
