"""The gRPC shell of Text-to-Speech v1."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from halfcascade.emulator.actions import Action, exhausted
from halfcascade.emulator.call import MindStream, StreamCall, UnaryCalls, abort
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.limits import Quota, TtsLimits
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Speaker, Synthesis, SynthesisRequest
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.tts.catalogue import list_voices
from halfcascade.emulator.tts.machine import SynthesizeStream
from halfcascade.emulator.tts.request import Pause, parse_batch_config, parse_batch_input, silence

SERVICE = "google.cloud.texttospeech.v1.TextToSpeech"


class TextToSpeechService:
    """Serves ``StreamingSynthesize``, ``SynthesizeSpeech`` and ``ListVoices``.

    Parameters:
        speaker: The mind.
        profile: Latencies; the network's are applied here.
        limits: What is enforced.
        faults: What goes wrong.
        log: Where to write down what happens.
    """

    def __init__(self, speaker: Speaker, profile: Profile, limits: TtsLimits, faults: Faults, log: UsageLog) -> None:
        self._speaker = speaker
        self._profile = profile
        self._limits = limits
        self._faults = faults
        self._log = log
        self._quota = Quota(limits.requests_per_minute)
        self._sessions = 0
        self._unary = UnaryCalls("tts", profile.network.one_way, faults, log)

    def handler(self) -> grpc.GenericRpcHandler:
        """Make the handler for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamingSynthesize": grpc.stream_stream_rpc_method_handler(
                    self._streaming_synthesize,
                    request_deserializer=cloud_tts.StreamingSynthesizeRequest.pb().FromString,
                    response_serializer=_serialize,
                ),
                "SynthesizeSpeech": grpc.unary_unary_rpc_method_handler(
                    self._synthesize_speech,
                    request_deserializer=cloud_tts.SynthesizeSpeechRequest.pb().FromString,
                    response_serializer=_serialize,
                ),
                "ListVoices": grpc.unary_unary_rpc_method_handler(
                    self._list_voices,
                    request_deserializer=cloud_tts.ListVoicesRequest.pb().FromString,
                    response_serializer=_serialize,
                ),
            },
        )

    async def _streaming_synthesize(self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> None:
        now = asyncio.get_running_loop().time()
        if self._sessions >= self._limits.sessions or not self._quota.admit(now):
            error = exhausted()
            await abort(context, error.code, error.text)
        machine = SynthesizeStream(now, self._limits, self._profile.speaker.chunk)
        call = _SynthesizeCall(machine, self._speaker, self._profile.network.one_way, self._faults, self._log)
        self._sessions += 1
        try:
            await call.run(requests, context)
        finally:
            self._sessions -= 1

    async def _synthesize_speech(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        kind = request.input.WhichOneof("input_source")
        text = getattr(request.input, kind) if kind in ("text", "markup", "ssml") else ""
        async with self._unary.call(context, "synthesize", voice=request.voice.name, text=text) as number:
            if not self._quota.admit(asyncio.get_running_loop().time()):
                raise exhausted()
            voice = parse_batch_config(request)
            pieces = parse_batch_input(request.input, self._limits)
            pcm = bytearray()
            for piece in pieces:
                pcm += silence(piece.seconds) if isinstance(piece, Pause) else await self._speak(voice.request, piece)
            response = cloud_tts.SynthesizeSpeechResponse.pb()()
            response.audio_content = await asyncio.to_thread(voice.encode_whole, bytes(pcm))
            self._log.add("tts", number, "speech", bytes=len(response.audio_content))
        return response

    async def _speak(self, request: SynthesisRequest, text: str) -> bytes:
        synthesis = self._speaker.synthesize(request)
        try:
            await synthesis.text(text)
            await synthesis.finish()
            return b"".join([piece async for piece in synthesis.audio()])
        finally:
            await synthesis.close()

    async def _list_voices(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async with self._unary.call(context, "list_voices", language_code=request.language_code):
            return list_voices(request.language_code)


class _SynthesizeCall(StreamCall):
    api = "tts"

    def __init__(
        self, machine: SynthesizeStream, speaker: Speaker, one_way: float, faults: Faults, log: UsageLog
    ) -> None:
        super().__init__(machine, one_way, faults, log)
        self._synthesize = machine
        self._speaker = speaker

    def begin(self, request: SynthesisRequest) -> MindStream:
        return _SynthesisStream(self._speaker.synthesize(request))

    def take_made(self, made: list[Any], now: float) -> list[Action]:
        return [action for pcm in made for action in self._synthesize.spoken(pcm, now)]

    def take_done(self, now: float) -> list[Action]:
        return self._synthesize.speaker_done(now)

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        if request.WhichOneof("streaming_request") == "streaming_config":
            config = request.streaming_config
            return "config", {
                "voice": config.voice.name,
                "language_code": config.voice.language_code,
                "encoding": cloud_tts.AudioEncoding(config.streaming_audio_config.audio_encoding).name,
                "speaking_rate": config.streaming_audio_config.speaking_rate,
            }
        kind = request.input.WhichOneof("input_source")
        return "text", {"text": request.input.markup if kind == "markup" else request.input.text, "kind": kind}

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        return "speech", {"bytes": len(response.audio_content)}


class _SynthesisStream(MindStream):
    def __init__(self, synthesis: Synthesis) -> None:
        self._synthesis = synthesis

    async def feed(self, data: str) -> None:
        await self._synthesis.text(data)

    async def finish(self) -> None:
        await self._synthesis.finish()

    def results(self) -> AsyncIterator[Any]:
        return self._synthesis.audio()

    async def close(self) -> None:
        await self._synthesis.close()


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()
