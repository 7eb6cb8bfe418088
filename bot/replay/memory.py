"""The clients of the three services without a network behind them: whoever makes them says what is answered."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from google import genai
from google.api_core import exceptions as google_errors
from google.cloud import speech_v2, texttospeech_v1
from google.cloud import texttospeech_v1 as tts
from google.cloud.speech_v2.types import cloud_speech
from google.genai import types
from google.protobuf.duration_pb2 import Duration

from halfcascade.bot.replay.tape import Line
from halfcascade.processors.gemini_live.connection import ConnectionLost

Recognize = Callable[
    [AsyncIterator[cloud_speech.StreamingRecognizeRequest]], AsyncIterator[cloud_speech.StreamingRecognizeResponse]
]
Speak = Callable[[str], AsyncIterator[bytes]]
OnSent = Callable[["MemoryLive", Line], None]


async def until(at: float) -> None:
    """Wait.

    Args:
        at: ``time.monotonic()`` seconds.
    """
    await asyncio.sleep(max(0.0, at - time.monotonic()))


class MemoryTransport:
    """What the services ask of a client's transport."""

    def __init__(self) -> None:
        self.grpc_channel = self

    def get_state(self, try_to_connect: bool = False) -> None:
        """Connect early: there is nothing to connect.

        Args:
            try_to_connect: As gRPC has it.
        """

    async def close(self, grace: float | None = None) -> None:
        """Close.

        Args:
            grace: As gRPC has it.
        """


class MemoryEars:
    """A Speech-to-Text client.

    Args:
        recognize: Gives the responses to a stream's requests.
    """

    def __init__(self, recognize: Recognize):
        self._recognize = recognize
        self.transport = MemoryTransport()

    async def streaming_recognize(
        self, requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest]
    ) -> AsyncIterator[cloud_speech.StreamingRecognizeResponse]:
        """Open a stream.

        Args:
            requests: Configuration, then audio.

        Returns:
            The responses.
        """
        return self._recognize(requests)


def recognized(
    results: Sequence[Mapping[str, Any]], billed_secs: float = 0.0
) -> cloud_speech.StreamingRecognizeResponse:
    """Make a response of the recognizer.

    Args:
        results: ``text``, ``final``, ``end`` in seconds, ``language`` each.
        billed_secs: How much audio is billed.
    """
    return cloud_speech.StreamingRecognizeResponse(
        results=[
            cloud_speech.StreamingRecognitionResult(
                alternatives=[cloud_speech.SpeechRecognitionAlternative(transcript=result.get("text", ""))],
                is_final=bool(result.get("final")),
                result_end_offset=_duration(result.get("end", 0.0)),
                language_code=result.get("language", ""),
            )
            for result in results
        ],
        metadata=cloud_speech.RecognitionResponseMetadata(total_billed_duration=_duration(billed_secs)),
    )


def _duration(secs: float) -> Duration:
    return Duration(seconds=int(secs), nanos=round(secs % 1 * 1e9))


class MemoryVoice:
    """A Text-to-Speech client.

    Args:
        speak: Gives the audio of a text as it comes, 16-bit mono at ``VOICE_RATE``.
    """

    def __init__(self, speak: Speak):
        self._speak = speak
        self.transport = MemoryTransport()

    async def streaming_synthesize(self, requests: AsyncIterator[tts.StreamingSynthesizeRequest]) -> "MemoryVoiceCall":
        """Open a call.

        Args:
            requests: Configuration, then the text.

        Returns:
            The call.
        """
        return MemoryVoiceCall(self._speak, requests)

    async def synthesize_speech(
        self, request: tts.SynthesizeSpeechRequest, **options: Any
    ) -> tts.SynthesizeSpeechResponse:
        """Speak a text in one answer: voices that do not stream are none of these.

        Args:
            request: What to say.
            **options: Ignored.
        """
        raise google_errors.MethodNotImplemented("What was recorded streams.")


class MemoryVoiceCall:
    """One call of ``MemoryVoice``."""

    def __init__(self, speak: Speak, requests: AsyncIterator[tts.StreamingSynthesizeRequest]):
        self._speak = speak
        self._requests = requests
        self._over = False

    async def __aiter__(self) -> AsyncIterator[tts.StreamingSynthesizeResponse]:
        async for request in self._requests:
            if text := request.input.text or request.input.markup:
                async for pcm in self._speak(text):
                    yield tts.StreamingSynthesizeResponse(audio_content=pcm)
        self._over = True

    def cancel(self) -> bool:
        """End the call."""
        self._over = True
        return True

    def done(self) -> bool:
        """Whether the call is over."""
        return self._over


class MemoryLive:
    """A Live connection (see ``LiveConnection``).

    Args:
        on_sent: Told what was sent: ``text`` or ``results``, and whether it is ``complete``.
    """

    def __init__(self, on_sent: OnSent):
        self._on_sent = on_sent
        self._arrived: asyncio.Queue[types.LiveServerMessage | ConnectionLost] = asyncio.Queue()
        self._coming: list[tuple[asyncio.TimerHandle, types.LiveServerMessage | ConnectionLost]] = []
        self._closed = False

    def later(self, secs: float, what: types.LiveServerMessage | ConnectionLost) -> None:
        """Let something arrive.

        Args:
            secs: In how many seconds.
            what: A message, or the end of the connection.
        """
        handle = asyncio.get_running_loop().call_later(secs, self._arrived.put_nowait, what)
        self._coming.append((handle, what))

    def hurry(self, drop: Callable[[types.LiveServerMessage], bool]) -> None:
        """Something new was asked: what is still to come of the last answer comes now, or never.

        Args:
            drop: Tells which messages never come.
        """
        for handle, what in self._coming:
            waiting = not handle.cancelled() and handle.when() > asyncio.get_running_loop().time()
            if waiting and isinstance(what, types.LiveServerMessage):
                handle.cancel()
                if not drop(what):
                    self._arrived.put_nowait(what)
        self._coming = [(handle, what) for handle, what in self._coming if isinstance(what, ConnectionLost)]

    async def messages(self) -> AsyncIterator[types.LiveServerMessage]:
        """Yield what arrives.

        Raises:
            ConnectionLost: When the connection ends.
        """
        while True:
            what = await self._arrived.get()
            if isinstance(what, ConnectionLost):
                self._closed = True
                raise what
            yield what

    async def send_content(self, contents: Sequence[types.Content], *, complete: bool) -> None:
        """Take turns.

        Args:
            contents: Turns with roles.
            complete: Whether an answer is wanted.
        """
        self._send({"text": text_of(contents), "complete": complete})

    async def send_text(self, text: str) -> None:
        """Take a text.

        Args:
            text: Of the user.
        """
        self._send({"text": text, "complete": True})

    async def send_results(self, responses: Sequence[types.FunctionResponse]) -> None:
        """Take functions' results.

        Args:
            responses: One for each call.
        """
        self._send({"results": results_of(responses), "complete": True})

    async def ping(self) -> bool:
        """Ask for a sign of life.

        Returns:
            Whether the connection is open.
        """
        return not self._closed

    async def close(self, secs: float = 0.0) -> bool:
        """Close.

        Args:
            secs: Ignored.

        Returns:
            True: the other side has let go.
        """
        self._closed = True
        for handle, _ in self._coming:
            handle.cancel()
        return True

    def _send(self, line: Line) -> None:
        if self._closed:
            raise ConnectionLost(1006, "connection lost")
        self._on_sent(self, line)


def text_of(contents: Sequence[types.Content]) -> str:
    """The words of what is sent to the brain.

    Args:
        contents: Turns with roles.
    """
    return "\n".join(part.text for content in contents for part in content.parts or () if part.text)


def results_of(responses: Sequence[types.FunctionResponse]) -> list[Line]:
    """The functions' results that are sent to the brain.

    Args:
        responses: One for each call.
    """
    return [{"name": each.name, "response": json.loads(json.dumps(each.response, default=str))} for each in responses]


def google_error(kind: str, message: str) -> Exception:
    """Make an error of a Google client again.

    Args:
        kind: Name of its class.
        message: What it said.
    """
    error = getattr(google_errors, kind, None)
    if isinstance(error, type) and issubclass(error, google_errors.GoogleAPICallError):
        return error(message)
    return google_errors.Unknown(f"{kind}: {message}")


class MemoryServices:
    """Makes clients without a network (see ``Services``); what opens a Live connection and hears is its heir's.

    Args:
        recognize: Gives the responses to a recognition stream's requests.
        speak: Gives the audio of a text.
    """

    def __init__(self, recognize: Recognize, speak: Speak):
        self._memory_ears, self._memory_voice = recognize, speak

    def speech(self, location: str) -> tuple[speech_v2.SpeechAsyncClient, str]:
        """Make a Speech-to-Text client.

        Args:
            location: Ignored.
        """
        client: Any = MemoryEars(self._memory_ears)
        return client, "memory"

    def texttospeech(self, location: str | None) -> texttospeech_v1.TextToSpeechAsyncClient:
        """Make a Text-to-Speech client.

        Args:
            location: Ignored.
        """
        client: Any = MemoryVoice(self._memory_voice)
        return client

    def gemini(self) -> genai.Client:
        """Make nothing: connections in memory need no client."""
        client: Any = None
        return client
