"""Any output transport of Pipecat's, as it is: what the bot adds to it."""

import asyncio
from types import SimpleNamespace

import numpy as np
import pytest
from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame, EndFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.transport import SmallWebRTCOutputTransport
from pipecat.transports.websocket.client import WebsocketClientOutputTransport, WebsocketClientParams
from pipecat.transports.websocket.fastapi import FastAPIWebsocketOutputTransport, FastAPIWebsocketParams
from pipecat.workers.runner import WorkerRunner

from halfcascade.bot.outputs import fit_out
from halfcascade.processors.frames import DuckFrame
from halfcascade.processors.playout import Playout
from halfcascade.transports.speaking import ToldAsPlayed
from halfcascade.transports.wav import WavTransport
from tests.in_virtual_time import in_virtual_time
from tests.transports.hand import Hand
from tests.transports.test_wav import OUT_RATE, Middle

START, STOP = BotStartedSpeakingFrame, BotStoppedSpeakingFrame


class Somebodys(BaseOutputTransport):
    """An output as its author wrote it, who never heard of this bot: takes a block in the time that it sounds."""

    def __init__(self, **params):
        super().__init__(TransportParams(audio_out_enabled=True, **params))
        self.played: list[int] = []

    async def start(self, frame):
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame):
        self.played.append(int(np.abs(np.frombuffer(frame.audio, "<i2").astype(np.int32)).max()))
        await asyncio.sleep(frame.num_frames / frame.sample_rate)
        return True


class Talking:
    """A pipeline that ends in somebody's output."""

    def __init__(self, output, playout):
        self.middle = Middle()
        self.worker = PipelineWorker(
            Pipeline([self.middle, playout.processor, output]),
            params=PipelineParams(audio_out_sample_rate=OUT_RATE),
            enable_rtvi=False,
        )

    async def __aenter__(self):
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self.running = asyncio.create_task(runner.run())
        return self

    async def __aexit__(self, *_):
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self.running, 20)

    @property
    def told(self):
        return [type(frame) for _, frame in self.middle.news]


@in_virtual_time
async def test_a_block_in_the_senders_hand_at_an_interruption_starts_nothing_and_is_not_played():
    playout = Playout()
    hand = Hand(playout.filter)
    output = Somebodys(audio_out_filter=hand)
    assert fit_out(output, playout) is playout
    async with Talking(output, playout) as talk:
        await talk.middle.say(np.full(OUT_RATE, 8000, np.int16))
        await hand.interrupt(talk.middle)
        played = len(output.played)
        hand.let_go()
        await asyncio.sleep(3.5)
        assert talk.told == [START, STOP]
        assert len(output.played) == played + 1, "the fade, and nothing else"
        await talk.middle.say(np.full(OUT_RATE // 5, 8000, np.int16))
        await asyncio.sleep(0.5)
        assert talk.told == [START, STOP] * 2


@in_virtual_time
async def test_speech_that_is_queued_already_is_ducked():
    output = Somebodys()
    playout = fit_out(output)
    assert playout
    async with Talking(output, playout) as talk:
        await talk.middle.say(np.full(OUT_RATE, 8000, np.int16))
        await talk.middle.started.wait()
        await asyncio.sleep(0.2)
        await talk.middle.push_frame(DuckFrame(gain=0.25, ramp_secs=0.0))
        await asyncio.sleep(0.2)
    assert output.played[0] == 8000
    assert output.played[8] == 2000


def daily():
    module = pytest.importorskip("pipecat.transports.daily.transport", exc_type=ImportError)
    return module.DailyOutputTransport(None, SimpleNamespace(room_url=""), module.DailyParams(audio_out_enabled=True))


def livekit():
    module = pytest.importorskip("pipecat.transports.livekit.transport", exc_type=ImportError)
    params = module.LiveKitParams(audio_out_enabled=True)
    return module.LiveKitOutputTransport(None, SimpleNamespace(), params)


AS_PIPECAT_MAKES_THEM = {
    "webrtc": lambda: SmallWebRTCOutputTransport(SimpleNamespace(), TransportParams(audio_out_enabled=True)),
    "socket": lambda: FastAPIWebsocketOutputTransport(None, None, FastAPIWebsocketParams(audio_out_enabled=True)),
    "client": lambda: WebsocketClientOutputTransport(None, None, WebsocketClientParams(audio_out_enabled=True)),
    "daily": daily,
    "livekit": livekit,
}


@pytest.mark.parametrize("name", AS_PIPECAT_MAKES_THEM)
def test_an_output_stays_what_it_is_and_gets_what_it_lacks(name):
    output = AS_PIPECAT_MAKES_THEM[name]()
    made, shown = type(output), str(output)
    playout = fit_out(output)
    assert playout
    assert output._params.audio_out_filter is playout.filter
    assert isinstance(output, made)
    assert isinstance(output, ToldAsPlayed)
    assert str(output) == shown
    assert fit_out(output, playout) is playout
    assert type(output).__mro__.count(ToldAsPlayed) == 1


def test_a_filter_of_somebody_elses_stays():
    hand = Hand()
    output = Somebodys(audio_out_filter=hand)
    assert fit_out(output) is None
    assert output._params.audio_out_filter is hand
    assert isinstance(output, ToldAsPlayed)


def test_an_output_with_a_loudspeaker_of_its_own_is_left_alone():
    output = WavTransport().output()
    made = type(output)
    assert fit_out(output) is None
    assert type(output) is made
