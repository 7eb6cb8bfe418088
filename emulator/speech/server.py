"""The gRPC shell of Speech-to-Text v2."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.emulator.actions import Action
from halfcascade.emulator.call import MindStream, StreamCall, UnaryCalls
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import LISTENER_RATE, Listener, Recognition, RecognitionRequest
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.speech.batch import batch_response, parse_batch
from halfcascade.emulator.speech.machine import RecognizeStream

SERVICE = "google.cloud.speech.v2.Speech"
# Audio goes to the listener in pieces of this size, so that a batch does not stall other calls.
_BATCH_PIECE = LISTENER_RATE // 5 * 2


class SpeechService:
    """Serves ``StreamingRecognize`` and ``Recognize``.

    Parameters:
        listener: The mind.
        profile: Latencies; the network's are applied here.
        limits: What is enforced.
        faults: What goes wrong.
        log: Where to write down what happens.
    """

    def __init__(
        self, listener: Listener, profile: Profile, limits: SpeechLimits, faults: Faults, log: UsageLog
    ) -> None:
        self._listener = listener
        self._profile = profile
        self._limits = limits
        self._faults = faults
        self._log = log
        self._unary = UnaryCalls("speech", profile.network.one_way, faults, log)

    def handler(self) -> grpc.GenericRpcHandler:
        """Make the handler for a gRPC server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "StreamingRecognize": grpc.stream_stream_rpc_method_handler(
                    self._streaming_recognize,
                    request_deserializer=cloud_speech.StreamingRecognizeRequest.pb().FromString,
                    response_serializer=_serialize,
                ),
                "Recognize": grpc.unary_unary_rpc_method_handler(
                    self._recognize,
                    request_deserializer=cloud_speech.RecognizeRequest.pb().FromString,
                    response_serializer=_serialize,
                ),
            },
        )

    async def _streaming_recognize(self, requests: AsyncIterator[Any], context: grpc.aio.ServicerContext) -> None:
        machine = RecognizeStream(asyncio.get_running_loop().time(), self._limits, _request_id())
        call = _RecognizeCall(machine, self._listener, self._profile.network.one_way, self._faults, self._log)
        await call.run(requests, context)

    async def _recognize(self, request: Any, context: grpc.aio.ServicerContext) -> Any:
        async with self._unary.call(context, "recognize", model=request.config.model) as number:
            job = await asyncio.to_thread(parse_batch, request)
            recognition = self._listener.recognize(job.request)
            try:
                for start in range(0, len(job.pcm), _BATCH_PIECE):
                    await recognition.audio(job.pcm[start : start + _BATCH_PIECE])
                await recognition.finish()
                events = [event async for event in recognition.results()]
            finally:
                await recognition.close()
            self._log.add("speech", number, "audio", bytes=len(job.pcm))
            return batch_response(job, events, _request_id())


class _RecognizeCall(StreamCall):
    api = "speech"

    def __init__(
        self, machine: RecognizeStream, listener: Listener, one_way: float, faults: Faults, log: UsageLog
    ) -> None:
        super().__init__(machine, one_way, faults, log)
        self._recognize = machine
        self._listener = listener

    def begin(self, request: RecognitionRequest) -> MindStream:
        return _RecognitionStream(self._listener.recognize(request))

    def take_made(self, made: list[Any], now: float) -> list[Action]:
        return self._recognize.heard(made, now)

    def take_done(self, now: float) -> list[Action]:
        return self._recognize.listener_done(now)

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        if request.WhichOneof("streaming_request") != "streaming_config":
            return "audio", {"bytes": len(request.audio)}
        streaming = request.streaming_config
        return "config", {
            "recognizer": request.recognizer,
            "model": streaming.config.model,
            "languages": list(streaming.config.language_codes),
            "interim_results": streaming.streaming_features.interim_results,
        }

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        if response.speech_event_type:
            kind = cloud_speech.StreamingRecognizeResponse.SpeechEventType(response.speech_event_type).name
            return "activity", {"kind": kind, "offset": response.speech_event_offset.ToTimedelta().total_seconds()}
        texts = [result.alternatives[0].transcript for result in response.results]
        return "result", {"texts": texts, "is_final": response.results[0].is_final}


class _RecognitionStream(MindStream):
    def __init__(self, recognition: Recognition) -> None:
        self._recognition = recognition

    async def feed(self, data: bytes) -> None:
        await self._recognition.audio(data)

    async def finish(self) -> None:
        await self._recognition.finish()

    def results(self) -> AsyncIterator[Any]:
        return self._recognition.results()

    async def close(self) -> None:
        await self._recognition.close()


def _serialize(message: Any) -> bytes:
    return message.SerializeToString()


def _request_id() -> str:
    return uuid.uuid4().hex
