"""The gRPC shell of Text-to-Speech v1 and v1beta1."""

import asyncio
import dataclasses
import functools
import importlib
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

from halfcascade.emulator.actions import Action, exhausted
from halfcascade.emulator.buckets import Buckets
from halfcascade.emulator.call import MindStream, StreamCall, UnaryCalls, abort
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.limits import Quota, TtsLimits
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import SPEAKER_RATE, Speaker, Synthesis, SynthesisRequest
from halfcascade.emulator.operations import Operations
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.rpc import Interface, Rpc
from halfcascade.emulator.tts.catalogue import list_voices
from halfcascade.emulator.tts.machine import SynthesizeStream
from halfcascade.emulator.tts.request import (
    AudioEncoding,
    Mark,
    Pause,
    StreamVoice,
    Turn,
    parse_batch_config,
    parse_batch_input,
    silence,
)

PACKAGE = "google.cloud.texttospeech"


class TextToSpeechService:
    """Serves all of Text-to-Speech.

    Parameters:
        speaker: The mind.
        profile: Latencies; the network's are applied here.
        limits: What is enforced.
        faults: What goes wrong.
        log: Where to write down what happens.
        operations: Where long work goes on.
        buckets: What ``gs://`` stands for.
    """

    def __init__(
        self,
        speaker: Speaker,
        *,
        profile: Profile,
        limits: TtsLimits,
        faults: Faults,
        log: UsageLog,
        operations: Operations | None = None,
        buckets: Buckets | None = None,
    ) -> None:
        self.speaker = speaker
        self.profile = profile
        self.limits = limits
        self._faults = faults
        self._log = log
        self._operations = operations or Operations()
        self._buckets = buckets or Buckets(None)
        self._quota = Quota(limits.requests_per_minute)
        self._sessions = 0
        self._unary = UnaryCalls("tts", profile.network.one_way, faults, log)

    def interfaces(self) -> list[Interface]:
        """List what is served."""
        return [
            make
            for version in ("v1", "v1beta1")
            for make in (
                Interface("tts", PACKAGE, version, "TextToSpeech", functools.partial(self._rpcs, version)),
                Interface(
                    "tts", PACKAGE, version, "TextToSpeechLongAudioSynthesize", functools.partial(self._long, version)
                ),
            )
        ]

    def _rpcs(self, version: str) -> Sequence[Rpc]:
        types: Any = importlib.import_module(f"google.cloud.texttospeech_{version}.types.cloud_tts")

        async def stream(requests: AsyncIterator[Any], context: Any) -> None:
            await self._stream(types.StreamingSynthesizeResponse.pb(), requests, context)

        async def synthesize(request: Any, context: Any) -> Any:
            kind = request.input.WhichOneof("input_source")
            text = getattr(request.input, kind) if kind in ("text", "markup", "ssml") else ""
            async with self._unary.call(context, "synthesize", voice=request.voice.name, text=text) as number:
                self._admit()
                voice = parse_batch_config(request)
                pcm, marks = await self._speak_all(request.input, voice)
                response = types.SynthesizeSpeechResponse.pb()()
                response.audio_content = await asyncio.to_thread(voice.encode_whole, pcm)
                if version == "v1beta1":
                    response.audio_config.CopyFrom(request.audio_config)
                    response.audio_config.sample_rate_hertz = voice.sample_rate
                    if types.SynthesizeSpeechRequest.TimepointType.SSML_MARK in request.enable_time_pointing:
                        for name, seconds in marks:
                            response.timepoints.add(mark_name=name, time_seconds=seconds)
                self._log.add("tts", number, "speech", bytes=len(response.audio_content))
            return response

        async def voices(request: Any, context: Any) -> Any:
            async with self._unary.call(context, "list_voices", language_code=request.language_code):
                return list_voices(request.language_code, types.ListVoicesResponse)

        return [
            Rpc("StreamingSynthesize", types.StreamingSynthesizeRequest.pb(), stream, streams=True),
            Rpc("SynthesizeSpeech", types.SynthesizeSpeechRequest.pb(), synthesize),
            Rpc("ListVoices", types.ListVoicesRequest.pb(), voices),
        ]

    def _long(self, version: str) -> Sequence[Rpc]:
        types: Any = importlib.import_module(f"google.cloud.texttospeech_{version}.types.cloud_tts_lrs")

        async def synthesize(request: Any, context: Any) -> Any:
            async with self._unary.call(context, "synthesize_long_audio", voice=request.voice.name):
                self._admit()
                voice = parse_batch_config(request)
                metadata = types.SynthesizeLongAudioMetadata.pb()()
                metadata.start_time.GetCurrentTime()

                async def work() -> Any:
                    limits = dataclasses.replace(self.limits, text_bytes=self.limits.long_text_bytes)
                    pcm, _ = await self._speak_all(request.input, voice, limits)
                    audio = await asyncio.to_thread(voice.encode_whole, pcm)
                    await asyncio.to_thread(self._buckets.write, request.output_gcs_uri, audio)
                    return types.SynthesizeLongAudioResponse.pb()()

                return self._operations.begin(f"{request.parent}/operations/{uuid.uuid4().hex}", work(), metadata)

        return [Rpc("SynthesizeLongAudio", types.SynthesizeLongAudioRequest.pb(), synthesize)]

    def _admit(self) -> None:
        if not self._quota.admit(asyncio.get_running_loop().time()):
            raise exhausted()

    async def _stream(self, response: Any, requests: AsyncIterator[Any], context: Any) -> None:
        now = asyncio.get_running_loop().time()
        if self._sessions >= self.limits.sessions or not self._quota.admit(now):
            error = exhausted()
            await abort(context, error.code, error.text)
        machine = SynthesizeStream(now, self.limits, self.profile.speaker.chunk, response)
        call = _SynthesizeCall(machine, self.speaker, self.profile.network.one_way, self._faults, self._log)
        self._sessions += 1
        try:
            await call.run(requests, context)
        finally:
            self._sessions -= 1

    async def _speak_all(
        self, source: Any, voice: StreamVoice, limits: TtsLimits | None = None
    ) -> tuple[bytes, list[tuple[str, float]]]:
        """Speak a whole input; give the audio, and the times of its marks."""
        pcm = bytearray()
        marks: list[tuple[str, float]] = []
        for piece in parse_batch_input(source, voice, limits or self.limits):
            match piece:
                case Pause(seconds):
                    pcm += silence(seconds)
                case Mark(name):
                    marks.append((name, len(pcm) / (2 * SPEAKER_RATE)))
                case Turn(text, name):
                    request = dataclasses.replace(voice.request, voice=name or voice.request.voice)
                    pcm += await self._speak(request, text)
                case str(text):
                    pcm += await self._speak(voice.request, text)
        return bytes(pcm), marks

    async def _speak(self, request: SynthesisRequest, text: str) -> bytes:
        synthesis = self.speaker.synthesize(request)
        try:
            await synthesis.text(text)
            await synthesis.finish()
            return b"".join([piece async for piece in synthesis.audio()])
        finally:
            await synthesis.close()


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
                "encoding": AudioEncoding(config.streaming_audio_config.audio_encoding).name,
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
