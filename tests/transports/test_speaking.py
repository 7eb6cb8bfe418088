import asyncio

import numpy as np
import pytest
from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    InterruptionFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.transports.loudspeaker import FADE_SECS
from halfcascade.transports.speaking import SPEAKING_PERIOD_SECS, Interruptions, SpeakingNews, ToldAsPlayed
from halfcascade.transports.wav import WavTransportParams
from tests.in_virtual_time import in_virtual_time
from tests.transports.hand import Hand
from tests.transports.test_wav import OUT_RATE, Middle, Rig

DOWN, UP = FrameDirection.DOWNSTREAM, FrameDirection.UPSTREAM
START, STOP = BotStartedSpeakingFrame, BotStoppedSpeakingFrame


class Told:
    """What was passed on, with a loudspeaker whose silence has to be waited for."""

    def __init__(self):
        self.told = []
        self.silent = asyncio.Event()
        self.silent.set()
        self.news = SpeakingNews(self._push, self.silent.wait)

    async def _push(self, frame, direction):
        self.told.append((type(frame), direction))
        await asyncio.sleep(0)

    async def tell(self, kind):
        for direction in (DOWN, UP):
            await self.news.tell(kind(), direction)


def block(*, interruptible=True):
    frame = TTSAudioRawFrame(b"\0\0", OUT_RATE, 1)
    frame.interruptible = interruptible
    return frame


def test_an_interruption_overtakes_what_was_made_before_it():
    interruptions = Interruptions()
    before, kept = block(), block(interruptible=False)
    assert not interruptions.overtook(before)
    interruptions.note()
    after = block()
    assert interruptions.overtook(before)
    assert not interruptions.overtook(kept)
    assert not interruptions.overtook(after)


@in_virtual_time
async def test_a_start_is_told_with_the_first_block_that_is_played():
    told = Told()
    await told.tell(START)
    assert told.told == []
    await told.news.plays()
    await told.news.plays()
    assert told.told == [(START, DOWN), (START, UP)]


@in_virtual_time
async def test_a_start_with_nothing_played_is_never_told_and_neither_is_its_end():
    told = Told()
    await told.tell(START)
    await told.tell(STOP)
    await told.news.plays()
    assert told.told == []


@in_virtual_time
async def test_a_start_whose_block_was_dropped_is_told_with_the_next_one():
    told = Told()
    await told.tell(START)
    # The sender takes the bot for speaking, so it tells no other start before the next reply.
    await told.news.plays()
    await told.tell(STOP)
    assert told.told == [(START, DOWN), (START, UP), (STOP, DOWN), (STOP, UP)]


@in_virtual_time
async def test_what_starts_while_an_end_waits_for_silence_is_told_after_it():
    told = Told()
    await told.tell(START)
    await told.news.plays()
    told.silent.clear()
    ending = asyncio.create_task(told.tell(STOP))
    await asyncio.sleep(0)
    await told.tell(START)
    starting = asyncio.create_task(told.news.plays())
    await asyncio.sleep(1.0)
    assert told.told == [(START, DOWN), (START, UP)]
    told.silent.set()
    await asyncio.gather(ending, starting)
    assert told.told == [(kind, way) for kind in (START, STOP, START) for way in (DOWN, UP)]


@pytest.mark.parametrize("broken_off", [DOWN, UP])
@in_virtual_time
async def test_an_end_that_is_broken_off_keeps_no_start_from_being_told(broken_off):
    told = Told()
    if broken_off is UP:
        await told.news.tell(STOP(), DOWN)
    told.silent.clear()
    ending = asyncio.create_task(told.news.tell(STOP(), broken_off))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    await told.tell(START)
    async with asyncio.timeout(5):
        await told.news.plays()
    assert (START, UP) in told.told


async def interrupt_with_a_block_in_hand(rig, hand):
    await rig.middle.say(np.full(OUT_RATE, 8000, np.int16))
    await hand.interrupt(rig.middle)


@in_virtual_time
async def test_speech_that_is_interrupted_with_a_block_in_the_senders_hand_starts_and_stops_once():
    hand = Hand()
    async with Rig(params=WavTransportParams(audio_out_filter=hand)) as rig:
        await interrupt_with_a_block_in_hand(rig, hand)
        hand.let_go()
        # Pipecat gives a reply up that has no end after three seconds.
        await asyncio.sleep(3.5)
        assert [type(frame) for _, frame in rig.middle.news] == [START, STOP]
        assert np.count_nonzero(rig.tap.sound("played")) <= FADE_SECS * OUT_RATE, "its block is not played"
        await rig.middle.say(np.full(OUT_RATE // 10, 8000, np.int16))
        await asyncio.sleep(0.5)
        assert [type(frame) for _, frame in rig.middle.news] == [START, STOP] * 2


@in_virtual_time
async def test_a_reply_right_after_an_interruption_with_a_block_in_the_senders_hand_is_told_and_heard():
    hand = Hand()
    async with Rig(params=WavTransportParams(audio_out_filter=hand)) as rig:
        await interrupt_with_a_block_in_hand(rig, hand)
        hand.let_go()
        await rig.middle.say(np.full(OUT_RATE // 10, 4000, np.int16))
        await asyncio.sleep(0.5)
        assert [type(frame) for _, frame in rig.middle.news] == [START, STOP] * 2
        assert np.count_nonzero(rig.tap.sound("played") == 4000) == OUT_RATE // 10


class Rooms(BaseOutputTransport):
    """Several loudspeakers, each of which takes a block in the time that it sounds."""

    def __init__(self, *rooms):
        super().__init__(TransportParams(audio_out_enabled=True, audio_out_destinations=list(rooms)))
        self.played = []

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame):
        self.played.append(frame.transport_destination)
        await asyncio.sleep(frame.num_frames / frame.sample_rate)
        return True


class ToldRooms(ToldAsPlayed, Rooms):
    """The same, told as played."""


@in_virtual_time
async def test_an_interruption_of_one_room_takes_nothing_from_another():
    middle, rooms = Middle(), ToldRooms("kitchen")
    worker = PipelineWorker(Pipeline([middle, rooms]), enable_rtvi=False)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    for kind in (lambda: TTSAudioRawFrame(bytes(OUT_RATE), OUT_RATE, 1), TTSStoppedFrame):
        frame = kind()
        frame.transport_destination = "kitchen"
        await middle.push_frame(frame)
    await middle.started.wait()
    await asyncio.sleep(0.1)
    await middle.push_frame(InterruptionFrame())
    await asyncio.sleep(1.0)
    await worker.queue_frame(EndFrame())
    await asyncio.wait_for(running, 20)
    assert [(type(frame), frame.transport_destination) for _, frame in middle.news] == [
        (START, "kitchen"),
        (STOP, "kitchen"),
    ]
    assert rooms.played.count("kitchen") == 13, "half a second in blocks of 40 ms"


@in_virtual_time
async def test_that_the_bot_still_speaks_is_told_once_a_second(monkeypatch):
    told = []

    async def broadcast(output, frame_cls, **_):
        told.append(frame_cls)

    monkeypatch.setattr(BaseOutputTransport, "broadcast_frame", broadcast)
    output = ToldAsPlayed(TransportParams())
    for _ in range(50):
        await output.broadcast_frame(BotSpeakingFrame)
        await output.broadcast_frame(InterruptionFrame)
        await asyncio.sleep(0.1)
    assert told.count(InterruptionFrame) == 50
    assert told.count(BotSpeakingFrame) == round(5.0 / SPEAKING_PERIOD_SECS)
