"""Pipecat's WebRTC transport without what makes it late: how packets are brought into order, and how sound is sent.

aiortc hands a packet of sound on when four more have come, which is 80 ms, and once one packet is lost it waits until
sixteen are there and stays 280 ms late for the rest of the talk. Pipecat's track has 10 ms of speech in store, so an
event loop that is late by more puts silence into a word; and it sends what it missed in one go, from which browsers
learn to hold sound back.
"""

import asyncio
import fractions
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar

import numpy as np
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import RtpPacket
from av import AudioFrame
from pipecat.frames.frames import Frame, InputAudioRawFrame, InterruptionFrame, OutputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import (
    SmallWebRTCInputTransport,
    SmallWebRTCOutputTransport,
    SmallWebRTCTransport,
)

from halfcascade.bot.serve.hearing import PromptInput
from halfcascade.processors.frames import DuckFrame
from halfcascade.processors.playout import PlayoutFilter
from halfcascade.transports.speaking import ToldAsPlayed

# Whoever is missing when so many later packets are there is lost: networks seldom reorder over 60 ms.
_PATIENCE = 3
# Further apart than this, numbers are those of another stream.
_LONGEST_JUMP = 1_000
_NUMBERS = 1 << 16
# One packet; a browser needs no smaller ones.
_FRAME_SECS = 0.02
# Speech that the track has in store at least, so that a busy event loop makes no hole in a word.
AHEAD_SECS = 0.04
# What is cut off ends in it; at once, it would click.
_FADE_SECS = 0.01
# Later than this, the time is gone: what was not sent in it is sent from now on, at the usual pace.
_LATE_SECS = 0.06
# Opus in RTP counts by this, whatever it carries (RFC 7587).
_RTP_RATE = 48_000
_LONGEST_HOLE_SECS = 0.2

_Packet = TypeVar("_Packet")


class InOrder(Generic[_Packet]):
    """Brings packets into the order of their numbers, and waits for nobody while all come in order."""

    def __init__(self) -> None:
        self._next: int | None = None
        self._held: dict[int, _Packet] = {}

    def take(self, number: int, packet: _Packet) -> list[_Packet]:
        """Take a packet as it comes.

        Args:
            number: Of the packet, 16 bits, which begin anew.
            packet: The packet.

        Returns:
            Those whose turn it is. Of a number that is past, or was there already, none.
        """
        ahead = self._ahead(number)
        if self._next is None or abs(ahead) > _LONGEST_JUMP:
            self._next, ahead = number, 0
            self._held.clear()
        if ahead < 0:
            return []
        self._held.setdefault(number, packet)
        ready = self._in_turn()
        if len(self._held) >= _PATIENCE:
            self._next = min(self._held, key=self._ahead)
            ready += self._in_turn()
        return ready

    def _ahead(self, number: int) -> int:
        half = _NUMBERS // 2
        return (number - (self._next or 0) + half) % _NUMBERS - half

    def _in_turn(self) -> list[_Packet]:
        ready = []
        while self._next in self._held:
            ready.append(self._held.pop(self._next))
            self._next = (self._next + 1) % _NUMBERS
        return ready


class _AtOnce(JitterBuffer):
    """Hands each packet on, for they come in order, and one packet of sound is all of a frame."""

    def __init__(self) -> None:
        super().__init__(capacity=1)

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]


def receive_promptly(receiver: RTCRtpReceiver) -> None:
    """Let a receiver of sound hand packets on when it is their turn.

    Args:
        receiver: Of aiortc; nothing happens if it does so already.
    """
    if isinstance(getattr(receiver, _JITTER_BUFFER), _AtOnce):
        return
    setattr(receiver, _JITTER_BUFFER, _AtOnce())
    handle, order, source = receiver._handle_rtp_packet, InOrder[RtpPacket](), None

    async def handle_in_order(packet: RtpPacket, arrival_time_ms: int) -> None:
        nonlocal order, source
        if packet.ssrc != source:
            order, source = InOrder(), packet.ssrc
        for ready in order.take(packet.sequence_number, packet):
            await handle(ready, arrival_time_ms)

    receiver._handle_rtp_packet = handle_in_order  # type: ignore[method-assign]


# As Pipecat exchanges that of video.
_JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class SteadyTrack(AudioStreamTrack):
    """Sends sound at an even pace, silence where there is none.

    Args:
        sample_rate: Of the sound, which is 16-bit mono PCM.
        clock: Gives seconds.
        sleep: Waits for some.
    """

    def __init__(
        self,
        sample_rate: int,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        super().__init__()
        self._rate = sample_rate
        self._clock, self._sleep = clock, sleep
        self._size = 2 * round(sample_rate * _FRAME_SECS)
        self._ahead = 2 * round(sample_rate * AHEAD_SECS)
        self._due: float | None = None
        self._samples = 0
        self._stored = bytearray()
        self._taken = 0
        self._writers: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def lives(self) -> bool:
        """Whether it was not stopped."""
        return bool(self.readyState == "live")

    async def add(self, audio: bytes) -> None:
        """Store sound, and wait until it is time for more, or the track is stopped.

        Args:
            audio: 16-bit mono PCM of any length.
        """
        self._stored += audio
        room: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._writers.append((self._taken + len(self._stored) - self._ahead, room))
        self._make_room()
        await room

    async def recv(self) -> AudioFrame:
        """Give the next packet's sound when it is due.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if not self.lives:
            raise MediaStreamError
        now = self._clock()
        if self._due is None or now - self._due > _LATE_SECS:
            self._due = now
        if self._due > now:
            await self._sleep(self._due - now)
        self._due += _FRAME_SECS
        audio = bytes(self._stored[: self._size])
        del self._stored[: self._size]
        self._taken += len(audio)
        self._make_room()
        return self._frame(audio.ljust(self._size, b"\0"))

    def change(self, how: Callable[[bytes], bytes]) -> None:
        """Change what is stored.

        Args:
            how: Gives as many samples for those it is given.
        """
        self._stored[:] = how(bytes(self._stored))

    def fade_out(self) -> bool:
        """Let what is stored end at once, without a step.

        Returns:
            Whether anything was stored.
        """
        samples = np.frombuffer(bytes(self._stored), "<i2")[: round(self._rate * _FADE_SECS)]
        ending = (samples * np.linspace(1.0, 0.0, len(samples))).astype("<i2").tobytes()
        self._taken += len(self._stored) - len(ending)
        self._stored[:] = ending
        self._make_room()
        return bool(ending)

    def stop(self) -> None:
        """End, and let nobody wait for room any more."""
        super().stop()
        while self._writers:
            _settle(self._writers.popleft()[1])

    def _make_room(self) -> None:
        while self._writers and (self._writers[0][0] <= self._taken or not self.lives):
            _settle(self._writers.popleft()[1])

    def _frame(self, audio: bytes) -> AudioFrame:
        samples = np.frombuffer(audio, "<i2")
        frame = AudioFrame.from_ndarray(samples[None, :], layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, fractions.Fraction(1, self._rate)
        self._samples += len(samples)
        return frame


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)


class Holes:
    """Fills in for packets that were lost, so that time goes on in what is heard as it does outside."""

    def __init__(self) -> None:
        self._last = b""
        self._end: float | None = None

    def before(self, audio: bytes, rate: int, pts: int | None) -> bytes:
        """Tell what was lost before a block.

        Args:
            audio: The block, 16-bit mono PCM.
            rate: Its samples per second.
            pts: When it begins by its sender's clock, in samples of 48 kHz, or None.

        Returns:
            As much sound as is missing: the last block, played backwards while it fades, and silence. Nothing if none
            is missing, or so much that something else has happened.
        """
        if pts is None:
            return b""
        begin, last = pts / _RTP_RATE, self._last
        missing = 0.0 if self._end is None else begin - self._end
        self._end, self._last = begin + len(audio) / 2 / rate, audio
        if not _FRAME_SECS / 2 < missing <= _LONGEST_HOLE_SECS:
            return b""
        fading = np.frombuffer(last, "<i2")[::-1]
        count = round(missing * rate)
        fading = (fading * np.linspace(1.0, 0.0, len(fading)))[:count].astype("<i2")
        return fading.tobytes().ljust(2 * count, b"\0")


class PromptWebRTCInput(PromptInput, SmallWebRTCInputTransport):
    """Pushes audio as it is received, and fills in for what was lost."""

    def __init__(self, *args: Any, **kwargs: Any):
        """Take the client.

        Args:
            *args: For Pipecat's input.
            **kwargs: For Pipecat's input.
        """
        super().__init__(*args, **kwargs)
        self._holes = Holes()

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push a block, and before it what stands for packets that were lost.

        Args:
            frame: The block.
        """
        if lost := self._holes.before(frame.audio, frame.sample_rate, frame.pts):
            frame = InputAudioRawFrame(lost + frame.audio, frame.sample_rate, frame.num_channels)
        await super().push_audio_frame(frame)


class PromptWebRTCOutput(ToldAsPlayed, SmallWebRTCOutputTransport):
    """Sends by a track that its transport gives it."""

    track: SteadyTrack | None = None
    _interruptible = False
    _faded = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Let what is in store fade at an interruption, for which Pipecat's sender waits, and duck with the rest.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        shaping = self._params.audio_out_filter
        if isinstance(frame, InterruptionFrame) and self.track and self._interruptible:
            self._faded = self.track.fade_out()
        elif isinstance(frame, DuckFrame) and self.track and isinstance(shaping, PlayoutFilter):
            self.track.change(shaping.catch_up)
        await super().process_frame(frame, direction)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send a block; returns when it is time for the next.

        Args:
            frame: The block.

        Returns:
            Whether somebody is there to be sent to, and no interruption overtook it.
        """
        if not await self.plays(frame):
            return False
        track = self.track
        if not (track and track.lives and self._client.is_connected) or self._client.is_closing:
            return False
        faded, self._faded, self._interruptible = self._faded, False, frame.interruptible
        # The end that `Playout` gives to speech goes on where the sender was, and has come already.
        if not (faded and type(frame) is OutputAudioRawFrame and not frame.interruptible):
            await track.add(frame.audio)
        return track.lives


class PromptWebRTCTransport(SmallWebRTCTransport):
    """A WebRTC transport of sound, prompt in both directions. It takes no audio filter on the way in."""

    def __init__(self, connection: SmallWebRTCConnection, params: TransportParams, sample_rate: int):
        """Take the connection.

        Args:
            connection: Of the client.
            params: Of Pipecat's transport.
            sample_rate: Of what is sent.
        """
        super().__init__(connection, params)
        self._rate = sample_rate
        self._input = PromptWebRTCInput(self._client, params, name=self._input_name)
        self._output = self._sender = PromptWebRTCOutput(self._client, params, name=self._output_name)

    async def _on_client_connected(self, webrtc_connection: SmallWebRTCConnection) -> None:
        """Take over from Pipecat's track before it is asked for anything."""
        for transceiver in webrtc_connection.pc.getTransceivers()[:1]:
            receive_promptly(transceiver.receiver)
        self._sender.track = SteadyTrack(self._rate)
        webrtc_connection.replace_audio_track(self._sender.track)
        await super()._on_client_connected(webrtc_connection)
