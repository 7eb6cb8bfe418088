"""Services whose answers are kept while a talk goes on."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from google import genai
from google.cloud import speech_v2, texttospeech_v1
from google.cloud import texttospeech_v1 as tts
from google.cloud.speech_v2.types import cloud_speech
from google.genai import types

from halfcascade.bot.replay.hearing import SentAudio, UserAudio
from halfcascade.bot.replay.memory import results_of, text_of
from halfcascade.bot.replay.tape import USER_RATE, Line, TapeWriter
from halfcascade.bot.services import Services
from halfcascade.processors.gemini_live.connection import ConnectionLost, ConnectionRefused

if TYPE_CHECKING:
    from halfcascade.bot.session.folder import Session

_USER_BLOCK_BYTES = 10 * USER_RATE * 2
Clock = Callable[[], float]


class RecordedServices:
    """Passes everything through and writes down what was asked, answered and when.

    Args:
        services: Where the clients come from.
        tape: Where it is written.
        clock: Seconds on the recording's clock.
    """

    def __init__(self, services: Services, tape: TapeWriter, clock: Clock):
        self._services = services
        self._tape = tape
        self._clock = clock
        self._user = UserAudio()
        self._block = bytearray()
        self._connections = 0

    @classmethod
    def of_session(cls, services: Services, session: "Session") -> Self:
        """Write it down in a session folder.

        Args:
            services: Where the clients come from.
            session: Whose folder.

        Raises:
            OSError: If it cannot be written.
        """
        tape = TapeWriter(session.folder, session.redactor, session.writer_failed)
        return cls(services, tape, session.clock.seconds)

    def heard(self, audio: bytes) -> None:
        """Keep what the ears are about to be given.

        Args:
            audio: 16-bit mono PCM.
        """
        self._services.heard(audio)
        self._user.append(audio)
        self._block += audio
        if len(self._block) >= _USER_BLOCK_BYTES:
            self._keep_block()

    async def close(self) -> None:
        """Write what is left; the talk is over."""
        if self._block:
            self._keep_block()
        await asyncio.to_thread(self._tape.close)

    def speech(self, location: str) -> tuple[speech_v2.SpeechAsyncClient, str]:
        """Make a Speech-to-Text client that is recorded (see ``Services``).

        Args:
            location: Google Cloud location.
        """
        client, project = self._services.speech(location)
        recorded: Any = _RecordedEars(client, self._tape, self._clock, self._user)
        return recorded, project

    def texttospeech(self, location: str | None) -> texttospeech_v1.TextToSpeechAsyncClient:
        """Make a Text-to-Speech client that is recorded.

        Args:
            location: Region of the endpoint, or None for the global one.
        """
        recorded: Any = _RecordedVoice(self._services.texttospeech(location), self._tape, self._clock)
        return recorded

    def gemini(self) -> genai.Client:
        """Make a google-genai client."""
        return self._services.gemini()

    async def open_live(self, client: genai.Client, model: str, config: types.LiveConnectConfig) -> "_RecordedLive":
        """Open a Live connection that is recorded (see ``Services``).

        Args:
            client: From ``gemini``.
            model: Model name.
            config: Setup.
        """
        self._connections += 1
        log = _BrainLog(self._tape, self._clock, self._connections)
        try:
            connection = await self._services.open_live(client, model, config)
        except ConnectionRefused as refused:
            log.write("refused", error={"code": refused.code, "reason": refused.reason})
            raise
        log.write("opened")
        return _RecordedLive(connection, log)

    def _keep_block(self) -> None:
        samples = len(self._block) // 2
        line = {"kind": "user", "t": round(self._clock(), 4), "at": self._user.samples - samples}
        self._tape.write(line, bytes(self._block), USER_RATE)
        self._block.clear()


class _RecordedEars:
    def __init__(self, client: speech_v2.SpeechAsyncClient, tape: TapeWriter, clock: Clock, user: UserAudio):
        self._client = client
        self._tape = tape
        self._clock = clock
        self._user = user
        self.transport = client.transport

    async def streaming_recognize(
        self, requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest]
    ) -> AsyncIterator[cloud_speech.StreamingRecognizeResponse]:
        sent, line = SentAudio(self._user), {"kind": "ears", "t": round(self._clock(), 4), "responses": []}
        try:
            call = await self._client.streaming_recognize(requests=_watched(requests, sent))
        except Exception as error:
            self._keep(line, sent, error)
            raise
        return self._answers(call, sent, line)

    async def _answers(self, call: Any, sent: SentAudio, line: Line) -> AsyncIterator[Any]:
        error: BaseException | None = None
        try:
            async for response in call:
                line["responses"].append({**_cause(sent), **_results(response)})
                yield response
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._keep(line, sent, error)

    def _keep(self, line: Line, sent: SentAudio, error: BaseException | None) -> None:
        line |= {"begin": sent.begin, "sent": sent.samples}
        self._tape.write({**line, "end": _cause(sent) | _error(error)})


async def _watched(
    requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest], sent: SentAudio
) -> AsyncIterator[cloud_speech.StreamingRecognizeRequest]:
    async for request in requests:
        sent.take(request)
        yield request
    sent.close()


def _cause(sent: SentAudio) -> Line:
    """What an answer that comes now is counted from."""
    if sent.closed_at is not None:
        return {"after": "close", "secs": round(time.monotonic() - sent.closed_at, 4)}
    return {"after": sent.samples, "secs": round(time.monotonic() - sent.last_at, 4)}


def _results(response: cloud_speech.StreamingRecognizeResponse) -> Line:
    billed: Any = response.metadata.total_billed_duration
    results = [
        {
            "text": result.alternatives[0].transcript if result.alternatives else "",
            "final": result.is_final,
            "end": _secs(result.result_end_offset),
            "language": result.language_code,
        }
        for result in response.results
    ]
    return {"results": results, "billed": _secs(billed)}


def _secs(duration: Any) -> float:
    return round(duration.total_seconds(), 3) if duration else 0.0


def _error(error: BaseException | None) -> Line:
    if error is None:
        return {}
    return {"error": {"type": type(error).__name__, "message": str(getattr(error, "message", error))[:500]}}


class _RecordedVoice:
    def __init__(self, client: tts.TextToSpeechAsyncClient, tape: TapeWriter, clock: Clock):
        self._client = client
        self._tape = tape
        self._clock = clock
        self.transport = client.transport

    async def streaming_synthesize(
        self, requests: AsyncIterator[tts.StreamingSynthesizeRequest]
    ) -> "_RecordedVoiceCall":
        log = _VoiceLog(self._tape, self._clock)
        try:
            return _RecordedVoiceCall(await self._client.streaming_synthesize(requests=log.watch(requests)), log)
        except Exception as error:
            log.keep(error)
            raise

    async def synthesize_speech(
        self, request: tts.SynthesizeSpeechRequest, **options: Any
    ) -> tts.SynthesizeSpeechResponse:
        log = _VoiceLog(self._tape, self._clock)
        log.spoken(request.input.text or request.input.markup)
        log.line["whole"] = True
        try:
            response = await self._client.synthesize_speech(request, **options)
            log.audio(response.audio_content[_WAV_HEADER_BYTES:])
        except BaseException as error:
            log.keep(error)
            raise
        log.keep(None)
        return response


_WAV_HEADER_BYTES = 44


class _VoiceLog:
    """Of one call: what was to be said, and the audio that came."""

    def __init__(self, tape: TapeWriter, clock: Clock):
        self._tape = tape
        self._clock = clock
        self._sent_at: float | None = None
        self._pcm = bytearray()
        self.line: Line = {"kind": "voice", "chunks": []}

    async def watch(
        self, requests: AsyncIterator[tts.StreamingSynthesizeRequest]
    ) -> AsyncIterator[tts.StreamingSynthesizeRequest]:
        async for request in requests:
            if said := request.input.text or request.input.markup:
                self.spoken(said)
            yield request

    def spoken(self, text: str) -> None:
        if self._sent_at is not None:
            self.line.setdefault("more", []).append(text)
            return
        self._sent_at = time.monotonic()
        self.line |= {"t": round(self._clock(), 4), "text": text}

    def audio(self, pcm: bytes) -> None:
        self._pcm += pcm
        self.line["chunks"].append([self._secs(), len(pcm) // 2])

    def keep(self, error: BaseException | None) -> None:
        if self._sent_at is not None:  # a call that stood ready and was given nothing to say is nobody's answer
            self._tape.write({**self.line, "end": {"secs": self._secs()} | _error(error)}, bytes(self._pcm))
            self._sent_at = None

    def _secs(self) -> float:
        return round(time.monotonic() - (self._sent_at or 0.0), 4)


class _RecordedVoiceCall:
    def __init__(self, call: Any, log: _VoiceLog):
        self._call = call
        self._log = log

    async def __aiter__(self) -> AsyncIterator[tts.StreamingSynthesizeResponse]:
        error: BaseException | None = None
        try:
            async for response in self._call:
                if response.audio_content:
                    self._log.audio(response.audio_content)
                yield response
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._log.keep(error)

    def cancel(self) -> bool:
        return bool(self._call.cancel())

    def done(self) -> bool:
        return bool(self._call.done())


class _BrainLog:
    """Of one connection: what passes."""

    def __init__(self, tape: TapeWriter, clock: Clock, connection: int):
        self._tape = tape
        self._clock = clock
        self._connection = connection
        self._began = self._sent_at = time.monotonic()

    def write(self, event: str, **fields: Any) -> None:
        now = time.monotonic()
        line = {
            "kind": "brain",
            "t": round(self._clock(), 4),
            "connection": self._connection,
            "event": event,
            "secs": round(now - self._sent_at, 4),
            "age": round(now - self._began, 4),
        }
        if event in ("sent", "opened"):
            self._sent_at = now
        self._tape.write({**line, **fields})


class _RecordedLive:
    def __init__(self, connection: Any, log: _BrainLog):
        self._connection = connection
        self._log = log

    async def messages(self) -> AsyncIterator[types.LiveServerMessage]:
        try:
            async for message in self._connection.messages():
                self._log.write("message", message=message.model_dump(mode="json", exclude_none=True))
                yield message
        except ConnectionLost as lost:
            self._log.write("lost", error={"code": lost.code, "reason": lost.reason})
            raise

    async def send_content(self, contents: Sequence[types.Content], *, complete: bool) -> None:
        self._log.write("sent", text=text_of(contents), complete=complete)
        await self._connection.send_content(contents, complete=complete)

    async def send_text(self, text: str) -> None:
        self._log.write("sent", text=text, complete=True)
        await self._connection.send_text(text)

    async def send_results(self, responses: Sequence[types.FunctionResponse]) -> None:
        self._log.write("sent", results=results_of(responses), complete=True)
        await self._connection.send_results(responses)

    async def ping(self) -> bool:
        return bool(await self._connection.ping())

    async def close(self, *args: Any) -> bool:
        return bool(await self._connection.close(*args))
