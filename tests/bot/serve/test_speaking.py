"""When the bot counts as speaking at each door, whatever Pipecat's media sender holds while an interruption comes."""

import asyncio
import json
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pipecat.evals.serializer import EvalConnectionFlags, eval_connect_message
from pipecat.frames.frames import BotStartedSpeakingFrame, BotStoppedSpeakingFrame, EndFrame, InterruptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.runner.types import SmallWebRTCRunnerArguments, WebSocketRunnerArguments
from pipecat.workers.runner import WorkerRunner
from starlette.websockets import WebSocketState

from halfcascade.bot.pipeline import AUDIO_OUT_RATE
from halfcascade.bot.serve.doors import open_door
from halfcascade.bot.serve.webrtc import SteadyTrack
from halfcascade.processors.playout import Playout
from tests.in_virtual_time import in_virtual_time
from tests.transports.hand import Hand
from tests.transports.test_wav import Middle

START, STOP = BotStartedSpeakingFrame, BotStoppedSpeakingFrame
# Of Pipecat's transports, unless told otherwise.
BLOCK_SECS = 0.04
TWILIO = [{"event": "connected"}, {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1"}}]
GREETINGS = {
    "twilio": [json.dumps(message) for message in TWILIO],
    "eval": [eval_connect_message(EvalConnectionFlags(capture_bot_audio=True))],
}


class Socket:
    """Whoever is at the other end of a WebSocket, and the moments at which blocks of sound reached them."""

    client_state = application_state = WebSocketState.CONNECTED

    def __init__(self, name):
        self.heard = []
        self._greetings = GREETINGS.get(name, [])

    async def iter_text(self):
        for message in self._greetings:
            yield message

    async def send_bytes(self, message):
        # Other messages of Pipecat's are of another field, which is the first byte.
        if message[0] == 0x12:
            self.heard.append(time.monotonic())

    async def send_text(self, message):
        message = json.loads(message)
        if message.get("event") == "media" or message.get("type") == "eval-bot-audio":
            self.heard.append(time.monotonic())

    async def close(self):
        self.client_state = WebSocketState.DISCONNECTED


class Track(SteadyTrack):
    """Remembers the moments at which blocks of sound were given to it."""

    def __init__(self):
        super().__init__(AUDIO_OUT_RATE, time.monotonic, asyncio.sleep)
        self.heard = []
        self.loud_at = 0.0

    async def recv(self):
        frame = await super().recv()
        if np.abs(frame.to_ndarray().astype(np.int32)).max() > 300:
            self.loud_at = time.monotonic()
        return frame

    async def add(self, audio):
        self.heard.append(time.monotonic())
        await super().add(audio)


class Connection(SimpleNamespace):
    """Stands for a browser's, which is there."""

    def event_handler(self, _):
        return lambda handler: handler

    def is_connected(self):
        return True

    async def disconnect(self):
        pass


class Line:
    """A door with somebody before it, and before the transport what the bot has there."""

    def __init__(self, name):
        self.name = name
        # A browser's track fades what it has in store, and needs no block for it.
        self.fades = 0 if name == "webrtc" else 1
        self.middle = Middle()
        playout = Playout()
        self.hand = Hand(playout.filter)
        self.playout: Any = SimpleNamespace(filter=self.hand, processor=playout.processor)

    async def __aenter__(self):
        far: Track | Socket
        if self.name == "webrtc":
            door = await open_door(SmallWebRTCRunnerArguments(Connection()), self.playout, evals=True)
            output: Any = door.transport.output()
            far = output.track = Track()
            self.sending = asyncio.create_task(self._send(far))
        else:
            far = Socket(self.name)
            kind = "websocket" if self.name == "websocket" else None
            door = await open_door(WebSocketRunnerArguments(far, kind), self.playout, evals=True)
            self.sending = asyncio.create_task(asyncio.sleep(0))
        assert door.name == self.name
        self.far, self.heard = far, far.heard
        self.worker = PipelineWorker(
            Pipeline([self.middle, self.playout.processor, door.transport.output()]),
            params=PipelineParams(audio_out_sample_rate=AUDIO_OUT_RATE),
            enable_rtvi=False,
        )
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self.worker)
        self.running = asyncio.create_task(runner.run())
        return self

    async def __aexit__(self, *_):
        await self.worker.queue_frame(EndFrame())
        await asyncio.wait_for(self.running, 20)
        self.sending.cancel()
        await asyncio.gather(self.sending, return_exceptions=True)

    async def _send(self, track):
        while True:
            await track.recv()

    async def say(self, secs):
        await self.middle.say(np.full(round(AUDIO_OUT_RATE * secs), 8000, np.int16))

    async def interrupt_with_a_block_in_hand(self):
        """Returns with the block still there."""
        await self.say(1.0)
        await self.hand.interrupt(self.middle)

    @property
    def told(self):
        return [type(frame) for _, frame in self.middle.news]


def at_each_door(test):
    return pytest.mark.parametrize("name", ["webrtc", "websocket", "twilio", "eval"])(test)


@at_each_door
@in_virtual_time
async def test_what_was_interrupted_in_the_senders_hand_is_not_sent_and_starts_nothing(name):
    async with Line(name) as line:
        await line.interrupt_with_a_block_in_hand()
        sent = len(line.heard)
        line.hand.let_go()
        # Pipecat gives a reply up that has no end after three seconds.
        await asyncio.sleep(3.5)
        assert line.told == [START, STOP]
        assert len(line.heard) == sent + line.fades, "the fade, and nothing else"
        await line.say(0.2)
        await asyncio.sleep(0.5)
        assert line.told == [START, STOP] * 2


@at_each_door
@in_virtual_time
async def test_a_reply_right_after_an_interruption_is_told_and_sent(name):
    async with Line(name) as line:
        await line.interrupt_with_a_block_in_hand()
        sent = len(line.heard)
        line.hand.let_go()
        await line.say(0.2)
        await asyncio.sleep(0.5)
        assert line.told == [START, STOP] * 2
        assert len(line.heard) == sent + line.fades + round(0.2 / BLOCK_SECS)


@at_each_door
@in_virtual_time
async def test_the_start_is_told_when_the_first_block_is_sent(name):
    async with Line(name) as line:
        await asyncio.sleep(1.0)
        await line.say(0.2)
        await asyncio.sleep(0.5)
        (started, _), _ = line.middle.news
        assert line.heard[0] == pytest.approx(started, abs=1e-4)
        assert len(line.heard) == round(0.2 / BLOCK_SECS)


@pytest.mark.parametrize("after", [0.3, 0.31, 0.325, 0.335])
@in_virtual_time
async def test_a_browser_is_sent_little_of_what_was_interrupted(after):
    async with Line("webrtc") as line:
        await line.say(1.0)
        await line.middle.started.wait()
        await asyncio.sleep(after)
        interrupted = time.monotonic()
        await line.middle.push_frame(InterruptionFrame())
        await asyncio.sleep(0.5)
        assert line.far.loud_at - interrupted <= 0.021, "a packet with the fade, not what the track has in store"
