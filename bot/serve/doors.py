"""Doors: from what a client opened to one of Pipecat's transports, and what is known of each door.

To open one more, write a function that takes the runner's arguments and a `Playout` and gives a `Door`, and name it in
`open_door`; ``docs/doors.md`` says what it has to see to.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.frames.protobufs import frames_pb2
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.processors.frameworks.rtvi import RTVIProcessor
from pipecat.runner.types import (
    RunnerArguments,
    SmallWebRTCRunnerArguments,
    WebSocketRunnerArguments,
)
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.base_transport import BaseTransport, TransportParams

from halfcascade.bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE
from halfcascade.bot.serve.resampling import PromptResampler, PromptSerializer
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.playout import Playout

# Protobuf makes these classes when it is loaded, so type checkers do not know them.
_messages: Any = frames_pb2
_TELEPHONE_RATE = 8_000
_HANDSHAKE_SECS = 10.0
# A client that does not read for this long is gone.
_WRITE_SECS = 10.0
_RATES = range(8_000, 48_001)
_MOST_CHANNELS = 2
# What a visitor may ask of the RTVI protocol; the rest hands files, frames or audio past the door's own checks.
_ALLOWED_MESSAGES = frozenset({"client-ready", "client-message", "send-text", "disconnect-bot"})
_LONGEST_TEXT = 2_000


@dataclass(frozen=True)
class Door:
    """One client's way in.

    Parameters:
        name: ``webrtc``, ``websocket``, ``eval``, or the telephone company's name.
        transport: Where its audio enters and leaves.
        rtvi: Speaks Pipecat's RTVI protocol with the client, or None where there is nobody to read it.
        delay_secs: From pushing audio into the idle transport until the client hears it, as far as is known beforehand.
        is_there: Whether the client can hear and be heard; None where its socket closes when it is not.
    """

    name: str
    transport: BaseTransport
    rtvi: RTVIProcessor | None
    delay_secs: float
    is_there: Callable[[], bool] | None = None


class PromptRTVI(RTVIProcessor):
    """RTVI whose messages go to the output at once.

    It stands at the pipeline's beginning, so that ten messages a second would pass fourteen processors that have no use
    for them: a quarter of all that a talk passes on.

    Args:
        output: Sends them to the client.
    """

    def __init__(self, output: FrameProcessor):
        super().__init__()
        self._sender = output

    async def push_frame(self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM) -> None:
        """Push a frame, or hand a message for the client to the output.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if type(frame) is OutputTransportMessageUrgentFrame:
            await self._sender.queue_frame(frame)
        else:
            await super().push_frame(frame, direction)


class VisitorRTVI(PromptRTVI):
    """RTVI for people one does not know: takes text and small messages, nothing else."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Drop what a visitor may not send.

        Args:
            frame: Any frame.
            direction: Where it travels.
        """
        if not isinstance(frame, InputTransportMessageFrame) or may_send(frame.message):
            await super().process_frame(frame, direction)


def may_send(message: Any) -> bool:
    """Whether a visitor may send an RTVI message.

    Args:
        message: What came, parsed.
    """
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or kind not in _ALLOWED_MESSAGES:
        return False
    return kind != "send-text" or len(json.dumps(message)) <= _LONGEST_TEXT


class VisitorSerializer(ProtobufFrameSerializer):
    """Pipecat's protobuf frames from people one does not know: audio of any sane form, and messages; nothing else.

    Whatever a client sends arrives as mono at the pipeline's rate. Garbage is dropped.
    """

    def __init__(self) -> None:
        super().__init__()
        self._resampler = PromptResampler(AUDIO_IN_RATE)

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Read one message.

        Args:
            data: What came.

        Returns:
            A frame, or None if it is nothing that a visitor may send.
        """
        if not isinstance(data, bytes):
            return None
        try:
            message = _messages.Frame.FromString(data)
            if message.WhichOneof("frame") == "audio":
                # Nearly everything that comes; what Pipecat does with any kind of frame takes twice as long.
                return self._normal(message.audio)
            frame = await super().deserialize(data)
        except Exception:  # whatever a parser says about garbage
            return None
        return frame if isinstance(frame, InputTransportMessageFrame) else None

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Write one message.

        Args:
            frame: What is to be sent.

        Returns:
            The message, or None if it is nothing that a client is sent.
        """
        if type(frame) is not OutputAudioRawFrame:
            return await super().serialize(frame)
        audio = _messages.AudioRawFrame(
            id=frame.id,
            name=frame.name,
            audio=frame.audio,
            sample_rate=frame.sample_rate,
            num_channels=frame.num_channels,
        )
        return _messages.Frame(audio=audio).SerializeToString()

    def _normal(self, sent: Any) -> Frame | None:
        audio, rate, channels = sent.audio, sent.sample_rate, sent.num_channels
        if rate not in _RATES or not 0 < channels <= _MOST_CHANNELS:
            return None
        audio = audio[: len(audio) - len(audio) % (2 * channels)]
        if channels == _MOST_CHANNELS:
            audio = mono(audio)
        audio = self._resampler.resample(audio, rate)
        return InputAudioRawFrame(audio, AUDIO_IN_RATE, 1) if audio else None


def mono(audio: bytes) -> bytes:
    """Mix two channels into one.

    Args:
        audio: 16-bit stereo PCM.

    Returns:
        16-bit mono PCM.
    """
    import numpy as np

    return np.frombuffer(audio, "<i2").reshape(-1, 2).mean(axis=1).astype("<i2").tobytes()


async def open_door(arguments: RunnerArguments, playout: Playout, *, evals: bool) -> Door:
    """Make the transport for what a client opened.

    Args:
        arguments: What Pipecat's runner, or our server, hands to a bot.
        playout: Ducks and fades for the transport.
        evals: Whether Pipecat's eval harness may come in by the telephone's socket.

    Returns:
        The door.

    Raises:
        ConfigurationError: If it is a door that this bot does not have, or what came over it makes no sense.
    """
    match arguments:
        case SmallWebRTCRunnerArguments():
            return _webrtc(arguments, playout)
        case WebSocketRunnerArguments(transport_type="websocket"):
            return _websocket(arguments, playout)
        case WebSocketRunnerArguments():
            return await _telephone(arguments, playout, evals=evals)
    return await _by_runner(arguments, playout)


def _shared(playout: Playout, rate: int = AUDIO_OUT_RATE) -> dict[str, Any]:
    return {
        "audio_in_enabled": True,
        "audio_out_enabled": True,
        "audio_in_sample_rate": AUDIO_IN_RATE,
        "audio_out_sample_rate": rate,
        "audio_out_filter": playout.filter,
        "audio_out_end_silence_secs": 0,
        "audio_out_write_timeout_secs": _WRITE_SECS,
    }


def _webrtc(arguments: SmallWebRTCRunnerArguments, playout: Playout) -> Door:
    from halfcascade.bot.serve.webrtc import PromptWebRTCTransport

    connection = arguments.webrtc_connection
    transport = PromptWebRTCTransport(connection, TransportParams(**_shared(playout)), AUDIO_OUT_RATE)
    rtvi = VisitorRTVI(transport.output())
    return Door("webrtc", transport, rtvi, delay_secs=0.15, is_there=connection.is_connected)


def _websocket(arguments: WebSocketRunnerArguments, playout: Playout) -> Door:
    transport = _socket(arguments, playout, VisitorSerializer(), AUDIO_OUT_RATE)
    return Door("websocket", transport, VisitorRTVI(transport.output()), delay_secs=0.1)


async def _telephone(arguments: WebSocketRunnerArguments, playout: Playout, *, evals: bool) -> Door:
    try:
        name, call = await asyncio.wait_for(parse_telephony_websocket(arguments.websocket), _HANDSHAKE_SECS)
    except TimeoutError:
        raise ConfigurationError("Nothing was said on the telephone's socket: is it a telephone company?") from None
    except Exception as error:  # what a parser says about garbage
        raise ConfigurationError(f"The telephone's first messages make no sense ({type(error).__name__}).") from error
    arguments.transport_type, arguments.call_data = name, call
    if name == "eval":
        if not evals:
            raise ConfigurationError("Pipecat's eval harness is not let in: start the server with --evals.")
        return _eval(arguments, playout)
    serializer = PromptSerializer(_telephone_serializer(name, call), AUDIO_IN_RATE)
    transport = _socket(arguments, playout, serializer, _TELEPHONE_RATE)
    return Door(name, transport, rtvi=None, delay_secs=0.2)


def _telephone_serializer(name: str, call: Any) -> FrameSerializer:
    stream, number = call.get("stream_id"), call.get("call_id")
    if name not in ("twilio", "telnyx", "plivo") or not isinstance(stream, str):
        raise ConfigurationError("The telephone's first messages are those of no company that is known here.")
    env = os.environ.get
    match name:
        case "twilio":
            from pipecat.serializers.twilio import TwilioFrameSerializer

            account, secret = env("TWILIO_ACCOUNT_SID"), env("TWILIO_AUTH_TOKEN")
            return TwilioFrameSerializer(
                stream,
                number,
                account,
                secret,
                params=TwilioFrameSerializer.InputParams(
                    sample_rate=_TELEPHONE_RATE, auto_hang_up=bool(number and account and secret)
                ),
            )
        case "telnyx":
            from pipecat.serializers.telnyx import TelnyxFrameSerializer

            key = env("TELNYX_API_KEY")
            return TelnyxFrameSerializer(
                stream,
                call.get("outbound_encoding") or "PCMU",
                "PCMU",
                number,
                key,
                params=TelnyxFrameSerializer.InputParams(
                    sample_rate=_TELEPHONE_RATE, auto_hang_up=bool(number and key)
                ),
            )
    from pipecat.serializers.plivo import PlivoFrameSerializer

    account, secret = env("PLIVO_AUTH_ID"), env("PLIVO_AUTH_TOKEN")
    return PlivoFrameSerializer(
        stream,
        number,
        account,
        secret,
        params=PlivoFrameSerializer.InputParams(
            sample_rate=_TELEPHONE_RATE, auto_hang_up=bool(number and account and secret)
        ),
    )


def _socket(
    arguments: WebSocketRunnerArguments, playout: Playout, serializer: FrameSerializer, rate: int
) -> BaseTransport:
    from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams

    from halfcascade.bot.serve.socket import PromptWebsocketTransport

    # The server has judged the origin already.
    params = FastAPIWebsocketParams(serializer=serializer, allowed_origins=[], **_shared(playout, rate))
    return PromptWebsocketTransport(arguments.websocket, params)


def _eval(arguments: WebSocketRunnerArguments, playout: Playout) -> Door:
    from pipecat.evals.serializer import EvalConnectionFlags, EvalSerializer
    from pipecat.evals.transport import EvalTransportParams

    from halfcascade.bot.serve.evals import HarnessTransport

    params = EvalTransportParams(serializer=EvalSerializer(), **_shared(playout))
    flags = EvalConnectionFlags.model_validate(arguments.call_data.body if arguments.call_data else {})
    transport = HarnessTransport(arguments.websocket, params, flags)
    return Door("eval", transport, PromptRTVI(transport.output()), delay_secs=0.0)


async def _by_runner(arguments: RunnerArguments, playout: Playout) -> Door:
    """Whatever else Pipecat's runner can open (Daily, LiveKit): it knows how, if the extra is installed."""
    from pipecat.runner.utils import create_transport

    def params() -> TransportParams:
        return TransportParams(**_shared(playout))

    try:
        transport = await create_transport(arguments, dict.fromkeys(("webrtc", "livekit", "moq", "vonage"), params))
    except (ImportError, ValueError) as error:
        raise ConfigurationError(f"This door cannot be opened: {error}.") from error
    return Door(type(transport).__name__, transport, VisitorRTVI(transport.output()), delay_secs=0.2)
