"""The gRPC shell of Speech-to-Text v1, v1p1beta1 and v2."""

import asyncio
import dataclasses
import functools
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from google.cloud.location import locations_pb2
from google.cloud.speech_v2.types import cloud_speech
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToJson
from google.rpc import code_pb2

from halfcascade.emulator.actions import Action, RequestError, invalid
from halfcascade.emulator.buckets import Buckets
from halfcascade.emulator.call import MindStream, StreamCall, UnaryCalls
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.limits import SpeechLimits
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import (
    LISTENER_RATE,
    Hypothesis,
    Listener,
    Recognition,
    RecognitionRequest,
    SpeechActivity,
)
from halfcascade.emulator.operations import Operations
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.rpc import Interface, Rpc
from halfcascade.emulator.speech.adaptation import AdaptationV1, spelled_v1, spelled_v2
from halfcascade.emulator.speech.batch import (
    MOST_BYTES,
    BatchJob,
    v1_job,
    v1_response,
    v2_job,
    v2_response,
    v2_transcript,
)
from halfcascade.emulator.speech.catalogue import LOCATIONS
from halfcascade.emulator.speech.dialect import Dialect
from halfcascade.emulator.speech.machine import RecognizeStream
from halfcascade.emulator.speech.resources import Resources, effective_config
from halfcascade.emulator.speech.v1 import V1, Protos
from halfcascade.emulator.speech.v2 import V2

PACKAGE = "google.cloud.speech"
# Audio goes to the listener in pieces of this size, so that a batch does not stall other calls.
_BATCH_PIECE = LISTENER_RATE // 5 * 2


class SpeechService:
    """Serves all of Speech-to-Text.

    Parameters:
        listener: The mind.
        profile: Latencies; the network's are applied here.
        limits: What is enforced.
        faults: What goes wrong.
        log: Where to write down what happens.
        operations: Where long work goes on.
        buckets: What ``gs://`` stands for.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        profile: Profile,
        limits: SpeechLimits,
        faults: Faults,
        log: UsageLog,
        operations: Operations | None = None,
        buckets: Buckets | None = None,
    ) -> None:
        self.listener = listener
        self.profile = profile
        self.limits = limits
        self._faults = faults
        self._log = log
        self._operations = operations or Operations()
        self._buckets = buckets or Buckets(None)
        self._unary = UnaryCalls("speech", profile.network.one_way, faults, log)
        self._recognizers = self._resources("Recognizer", "recognizer", "recognizers")
        self._classes = self._resources("CustomClass", "custom_class", "customClasses")
        self._phrase_sets = self._resources("PhraseSet", "phrase_set", "phraseSets")
        self._adaptation_v1 = AdaptationV1(self._unary)
        self._configs: dict[str, Any] = {}

    def interfaces(self) -> list[Interface]:
        """List what is served."""
        return [
            Interface("speech", PACKAGE, "v2", "Speech", self._v2),
            Interface("speech", PACKAGE, "v1", "Speech", functools.partial(self._v1, "v1")),
            Interface("speech", PACKAGE, "v1p1beta1", "Speech", functools.partial(self._v1, "v1p1beta1")),
            *(
                Interface(
                    "speech", PACKAGE, version, "Adaptation", functools.partial(self._adaptation_v1.rpcs, version)
                )
                for version in ("v1", "v1p1beta1")
            ),
            Interface("speech", "google.cloud.location", "", "Locations", self._locations),
        ]

    def _resources(self, kind: str, field: str, collection: str) -> Resources:
        return Resources(kind, field, collection, self._operations, self._unary)

    # v2

    def _v2(self) -> Sequence[Rpc]:
        types = cloud_speech
        return [
            Rpc("StreamingRecognize", types.StreamingRecognizeRequest.pb(), self._stream_v2, streams=True),
            Rpc("Recognize", types.RecognizeRequest.pb(), self._recognize_v2),
            Rpc("BatchRecognize", types.BatchRecognizeRequest.pb(), self._batch_v2),
            Rpc("GetConfig", types.GetConfigRequest.pb(), self._get_config),
            Rpc("UpdateConfig", types.UpdateConfigRequest.pb(), self._update_config),
            *self._recognizers.rpcs(),
            *self._classes.rpcs(),
            *self._phrase_sets.rpcs(),
        ]

    async def _stream_v2(self, requests: AsyncIterator[Any], context: Any) -> None:
        await self._stream(V2(str(uuid.uuid4()), self._effective), requests, context)

    async def _recognize_v2(self, request: Any, context: Any) -> Any:
        async with self._unary.call(context, "recognize", model=request.config.model) as number:
            config = self._effective(request.recognizer, request.config, request.config_mask)
            audio = await self._audio(request.content, request.uri)
            job = await asyncio.to_thread(v2_job, request.recognizer, config, audio, self.limits.batch_seconds)
            return v2_response(job, await self._recognize_all(job, number))

    async def _batch_v2(self, request: Any, context: Any) -> Any:
        async with self._unary.call(context, "batch_recognize", model=request.config.model) as number:
            config = self._effective(request.recognizer, request.config, request.config_mask)
            if not request.files:
                raise invalid("BatchRecognizeRequest must contain at least one file.")
            # What is wrong with the config is told at once.
            v2_job(request.recognizer, config, b"", self.limits.long_seconds)
            metadata = cloud_speech.OperationMetadata.pb()(resource=request.recognizer)
            metadata.batch_recognize_request.CopyFrom(request)
            metadata.method = "google.cloud.speech.v2.Speech.BatchRecognize"
            parent = "/".join(request.recognizer.split("/")[:4])
            work = self._batch_files(request, config, number)
            return self._operations.begin(f"{parent}/operations/{uuid.uuid4().hex}", work, metadata)

    async def _batch_files(self, request: Any, config: Any, number: int) -> Any:
        response = cloud_speech.BatchRecognizeResponse.pb()()
        output = request.recognition_output_config.gcs_output_config.uri
        for file in request.files:
            entry = response.results[file.uri]
            try:
                file_config = config
                if file.HasField("config"):
                    file_config = cloud_speech.RecognitionConfig.pb()()
                    file_config.CopyFrom(config)
                    file_config.MergeFrom(file.config)
                audio = await self._audio(b"", file.uri)
                job = await asyncio.to_thread(v2_job, request.recognizer, file_config, audio, self.limits.long_seconds)
                transcript = v2_transcript(v2_response(job, await self._recognize_all(job, number)))
                entry.metadata.total_billed_duration.CopyFrom(transcript.metadata.total_billed_duration)
                response.total_billed_duration.seconds += transcript.metadata.total_billed_duration.seconds
                if output:
                    name = file.uri.rpartition("/")[2].rpartition(".")[0] or "transcript"
                    uri = f"{output.rstrip('/')}/{name}_transcript_{uuid.uuid4().hex[:8]}.json"
                    await asyncio.to_thread(self._buckets.write, uri, MessageToJson(transcript).encode())
                    entry.uri = entry.cloud_storage_result.uri = uri
                else:
                    entry.inline_result.transcript.CopyFrom(transcript)
                    entry.transcript.CopyFrom(transcript)
            except RequestError as error:
                entry.error.code = code_pb2.Code.Value(error.code.name)
                entry.error.message = error.text
        return response

    def _effective(self, recognizer: str, config: Any, mask: FieldMask) -> Any:
        """Give the config that holds: a stored recognizer's with the request's over it, stored phrases spelled out."""
        if recognizer and not recognizer.endswith("/_"):
            config = effective_config(self._recognizers.find(recognizer), config, mask)
        return spelled_v2(config, self._phrase_sets.find, self._classes.find)

    async def _get_config(self, request: Any, context: Any) -> Any:
        async with self._unary.call(context, "get_config"):
            return self._configs.get(request.name) or cloud_speech.Config.pb()(name=request.name)

    async def _update_config(self, request: Any, context: Any) -> Any:
        async with self._unary.call(context, "update_config"):
            self._configs[request.config.name] = request.config
            return request.config

    # v1 and v1p1beta1

    def _v1(self, version: str) -> Sequence[Rpc]:
        protos = Protos(version)
        types = protos.types
        effective = functools.partial(
            spelled_v1,
            find_set=self._adaptation_v1.finder(version, "PhraseSet"),
            find_class=self._adaptation_v1.finder(version, "CustomClass"),
        )

        async def stream(requests: AsyncIterator[Any], context: Any) -> None:
            await self._stream(V1(protos, uuid.uuid4().int % 2**62, effective), requests, context)

        async def recognize(request: Any, context: Any) -> Any:
            async with self._unary.call(context, "recognize", model=request.config.model) as number:
                audio = await self._audio(request.audio.content, request.audio.uri)
                job = await asyncio.to_thread(
                    v1_job, effective(request.config), audio, self.limits.batch_seconds, protos
                )
                return v1_response(job, await self._recognize_all(job, number), types.RecognizeResponse)

        async def long_recognize(request: Any, context: Any) -> Any:
            async with self._unary.call(context, "long_running_recognize", model=request.config.model) as number:
                audio = await self._audio(request.audio.content, request.audio.uri)
                job = await asyncio.to_thread(
                    v1_job, effective(request.config), audio, self.limits.long_seconds, protos
                )
                metadata = types.LongRunningRecognizeMetadata.pb()(uri=request.audio.uri)
                metadata.start_time.GetCurrentTime()

                async def work() -> Any:
                    events = await self._recognize_all(job, number)
                    return v1_response(job, events, types.LongRunningRecognizeResponse)

                return self._operations.begin("", work(), metadata)

        return [
            Rpc("StreamingRecognize", types.StreamingRecognizeRequest.pb(), stream, streams=True),
            Rpc("Recognize", types.RecognizeRequest.pb(), recognize),
            Rpc("LongRunningRecognize", types.LongRunningRecognizeRequest.pb(), long_recognize),
        ]

    # All versions

    def _locations(self) -> Sequence[Rpc]:
        async def list_all(request: Any, context: Any) -> Any:
            found = [self._location(request.name, name) for name in LOCATIONS]
            return locations_pb2.ListLocationsResponse(locations=found)

        async def get(request: Any, context: Any) -> Any:
            parent, _, name = request.name.rpartition("/locations/")
            return self._location(parent, name)

        return [
            Rpc("ListLocations", locations_pb2.ListLocationsRequest, list_all),
            Rpc("GetLocation", locations_pb2.GetLocationRequest, get),
        ]

    @staticmethod
    def _location(parent: str, name: str) -> Any:
        return locations_pb2.Location(name=f"{parent}/locations/{name}", location_id=name, display_name=name)

    async def _stream(self, dialect: Dialect, requests: AsyncIterator[Any], context: Any) -> None:
        machine = RecognizeStream(asyncio.get_running_loop().time(), self.limits, dialect)
        one_way = self.profile.network.one_way
        call = _RecognizeCall(machine, dialect, self.listener, one_way=one_way, faults=self._faults, log=self._log)
        await call.run(requests, context)

    async def _audio(self, content: bytes, uri: str) -> bytes:
        if not uri:
            if len(content) > MOST_BYTES:
                raise invalid(f"Request payload size exceeds the limit: {MOST_BYTES} bytes.")
            return bytes(content)
        return await asyncio.to_thread(self._buckets.read, uri)

    async def _recognize_all(self, job: BatchJob, number: int) -> list[Any]:
        streams = _ChannelStreams(self.listener, [job.settings.request] * len(job.pcm))
        try:
            for start in range(0, max(len(pcm) for pcm in job.pcm), _BATCH_PIECE):
                await streams.feed([pcm[start : start + _BATCH_PIECE] for pcm in job.pcm])
            await streams.finish()
            events = [event async for event in streams.results()]
        finally:
            await streams.close()
        self._log.add("speech", number, "audio", bytes=sum(len(pcm) for pcm in job.pcm))
        return sorted(events, key=_when) if len(job.pcm) > 1 else events


def _tag(event: Hypothesis | SpeechActivity, channel: int) -> Hypothesis | SpeechActivity:
    return dataclasses.replace(event, channel=channel) if isinstance(event, Hypothesis) else event


def _when(event: Any) -> float:
    when: float = event.end if hasattr(event, "end") else event.offset
    return when


class _RecognizeCall(StreamCall):
    api = "speech"

    def __init__(
        self,
        machine: RecognizeStream,
        dialect: Dialect,
        listener: Listener,
        *,
        one_way: float,
        faults: Faults,
        log: UsageLog,
    ) -> None:
        super().__init__(machine, one_way, faults, log)
        self._recognize = machine
        self._dialect = dialect
        self._listener = listener

    def begin(self, request: Sequence[RecognitionRequest]) -> MindStream:
        return _ChannelStreams(self._listener, request)

    def take_made(self, made: list[Any], now: float) -> list[Action]:
        return self._recognize.heard(made, now)

    def take_done(self, now: float) -> list[Action]:
        return self._recognize.listener_done(now)

    def describe_request(self, request: Any) -> tuple[str, dict[str, Any]]:
        return self._dialect.describe_request(request)

    def describe_response(self, response: Any) -> tuple[str, dict[str, Any]]:
        return self._dialect.describe_response(response)


class _ChannelStreams(MindStream):
    """One recognition, or one for each channel."""

    def __init__(self, listener: Listener, requests: Sequence[RecognitionRequest]) -> None:
        self._recognitions: list[Recognition] = [listener.recognize(request) for request in requests]

    async def feed(self, data: Sequence[bytes]) -> None:
        for recognition, pcm in zip(self._recognitions, data, strict=True):
            if pcm:
                await recognition.audio(pcm)

    async def finish(self) -> None:
        for recognition in self._recognitions:
            await recognition.finish()

    def results(self) -> AsyncIterator[Any]:
        if len(self._recognitions) == 1:
            return self._recognitions[0].results()
        return self._tagged()

    async def _tagged(self) -> AsyncGenerator[Any, None]:
        """Yield what all channels find, as it comes, with the number of the channel."""
        queue: asyncio.Queue[Any] = asyncio.Queue()

        async def follow(recognition: Recognition, channel: int) -> None:
            try:
                async for event in recognition.results():
                    await queue.put(_tag(event, channel))
                await queue.put(None)
            except Exception as error:
                await queue.put(error)

        tasks = [asyncio.create_task(follow(item, number)) for number, item in enumerate(self._recognitions, start=1)]
        left = len(tasks)
        try:
            while left:
                event = await queue.get()
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    left -= 1
                else:
                    yield event
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def close(self) -> None:
        for recognition in self._recognitions:
            await recognition.close()
