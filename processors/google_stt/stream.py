"""One call to Speech-to-Text: a segment's audio goes out as the machine has it, results come in."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from google.api_core import exceptions as google_errors
from google.cloud import speech_v2
from google.cloud.speech_v2.types import cloud_speech

from halfcascade.processors.google_stt.protocol.streams import SpeechStreams
from halfcascade.processors.google_stt.requests import duration_secs, results

# Satisfies both of the limits Google names, 15 KB and 25,600 bytes (facts/stt#requests).
MAX_AUDIO_BYTES = 15_000
MESSAGE_SECS = 0.1
"""How much audio goes into a message while the bot is silent, after Google's advice.

A message costs as much processor time as all else that a block of 20 ms passes. What is left at an endpoint is sent at
once, so that no final is later for it.
"""


class RecognizeStream:
    """Sends one stream's audio and hands its responses to the machine."""

    def __init__(
        self,
        stream: int,
        machine: SpeechStreams,
        *,
        sample_rate: int,
        least_secs: Callable[[], float],
        on_change: Callable[[], Awaitable[None]],
        on_half_close: Callable[[], None],
    ) -> None:
        """Initialize without calling.

        Args:
            stream: Its number at the machine.
            machine: The streams.
            sample_rate: Of the audio.
            least_secs: Tells how much audio goes into a message at least.
            on_change: Awaited when the machine was given results.
            on_half_close: Called when everything was sent.
        """
        self._stream = stream
        self._machine = machine
        self._sample_rate = sample_rate
        self._least_secs = least_secs
        self._on_change = on_change
        self._on_half_close = on_half_close
        self._wakeup = asyncio.Event()
        self._over = False
        self._sent_secs = 0.0
        self._billed_secs = 0.0

    @property
    def secs(self) -> float:
        """Seconds of audio that the stream cost."""
        return self._billed_secs or self._sent_secs

    def wake(self) -> None:
        """Send what the machine has, if it is enough."""
        if self._machine.has_to_send(self._stream, self._least_secs()):
            self._wakeup.set()

    async def run(
        self,
        client: speech_v2.SpeechAsyncClient,
        first_request: Callable[[], cloud_speech.StreamingRecognizeRequest],
    ) -> Exception | None:
        """Call, until the server ends the stream.

        Args:
            client: Makes the call.
            first_request: Makes the message that configures it.

        Returns:
            Why it failed, or None if it did not.
        """
        try:
            responses = await client.streaming_recognize(requests=self._requests(first_request))
            async for response in responses:
                self._billed_secs = max(self._billed_secs, duration_secs(response.metadata.total_billed_duration))
                if response.results:
                    self._machine.received(self._stream, results(response), time.monotonic())
                    await self._on_change()
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            # So gRPC reports a stream that the server ended with the status CANCELLED.
            return google_errors.Cancelled("The server cancelled the stream.")
        except Exception as error:
            # Whatever it is (credentials that cannot be refreshed are no API error), the words must not be lost to it.
            return error
        finally:
            self._over = True
            # gRPC leaves a waiting request generator to itself: woken, it finds the stream over and ends.
            self._wakeup.set()
        return None

    async def _requests(
        self, first_request: Callable[[], cloud_speech.StreamingRecognizeRequest]
    ) -> AsyncIterator[cloud_speech.StreamingRecognizeRequest]:
        """Yield the configuration and then audio until the segment ends; returning half-closes the stream."""
        yield first_request()
        while True:
            self._wakeup.clear()
            while audio := self._machine.take(self._stream, MAX_AUDIO_BYTES, self._least_secs()):
                self._sent_secs += len(audio) / (2 * self._sample_rate)
                yield cloud_speech.StreamingRecognizeRequest(audio=audio)
            if self._over or self._machine.exhausted(self._stream, time.monotonic()):
                self._on_half_close()
                return
            await self._wakeup.wait()
