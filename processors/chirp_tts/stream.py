"""StreamingSynthesize calls: one segment of text each, and one that stands ready before the text is there."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from google.api_core.exceptions import Cancelled
from google.cloud import texttospeech_v1 as tts
from loguru import logger

TaskFactory = Callable[[Coroutine[Any, Any, Any]], asyncio.Task]

# facts/tts#limits: a stream without input is aborted after 5 s. A second is left for the text to reach the server.
STAND_BY_SECS = 4.0
# facts/tts#limits: every stream counts against 200 a minute, so waiting for a turn that does not come ends after a
# while.
STAND_BY_RENEWALS = 3


class SynthesisStream:
    """One StreamingSynthesize call: opened with its config, given its inputs, half-closed.

    Usually each segment of a reply has a call of its own: responses do not say which input they belong to, so only the
    end of the call tells where a segment's audio ends, and half-closing is the documented way to have it spoken to the
    end (facts/tts#input, #first-audio).
    """

    def __init__(
        self,
        client: tts.TextToSpeechAsyncClient,
        config: tts.StreamingSynthesizeConfig,
        create_task: TaskFactory,
    ):
        """Start the call; nothing is awaited.

        Args:
            client: Text-to-Speech client.
            config: First message of the call.
            create_task: The processor's task manager.
        """
        # None ends them.
        self._inputs: asyncio.Queue[tts.StreamingSynthesisInput | None] = asyncio.Queue()
        self._config = config
        self._call: Any = None
        self._error: Exception | None = None
        # The call is opened by a task, so that the config travels while the text is still being written.
        self._opening = create_task(self._open(client))

    @property
    def failed(self) -> bool:
        """Whether the server has ended the call before it was given anything to say."""
        if self._opening.done():
            return self._opening.cancelled() or self._error is not None or _is_done(self._call)
        return False

    def speak(self, segment: tts.StreamingSynthesisInput) -> None:
        """Send an input.

        Args:
            segment: What to say.
        """
        self._inputs.put_nowait(segment)

    def half_close(self) -> None:
        """Send no more: what was sent is to be spoken to its end."""
        self._inputs.put_nowait(None)

    async def audio(self) -> AsyncIterator[bytes]:
        """Yield audio as it comes.

        Yields:
            16-bit little-endian mono PCM at the configured rate, in chunks of the server's size.

        Raises:
            GoogleAPICallError: If the server refuses or aborts the call.
        """
        try:
            await asyncio.shield(self._opening)
            if self._error is not None:
                raise self._error
            async for response in self._call:
                if response.audio_content:
                    yield response.audio_content
        except asyncio.CancelledError:
            # gRPC raises this too when the server ends the call with the status CANCELLED.
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            raise Cancelled("The call was cancelled.") from None

    def cancel(self) -> None:
        """End the call on the wire, at once. Safe to call at any time."""
        self._opening.cancel()
        if self._call is not None:
            self._call.cancel()
        self._inputs.put_nowait(None)

    async def _open(self, client: tts.TextToSpeechAsyncClient) -> None:
        try:
            self._call = await client.streaming_synthesize(requests=self._requests())
        except Exception as error:
            # For whoever wants its audio; a stand-by that died is nobody's error.
            self._error = error

    async def _requests(self) -> AsyncIterator[tts.StreamingSynthesizeRequest]:
        yield tts.StreamingSynthesizeRequest(streaming_config=self._config)
        while (segment := await self._inputs.get()) is not None:
            yield tts.StreamingSynthesizeRequest(input=segment)


def _is_done(call: Any) -> bool:
    done = getattr(call, "done", None)
    return bool(done()) if callable(done) else False


class StandBy:
    """Keeps one opened stream ready while a reply is expected, and none while idle.

    A stream is opened when a turn has been sent to the brain, so that the reply's first text finds the connection warm
    and the config already processed. The reply's first segment takes it, so that it costs nothing extra.
    """

    def __init__(
        self,
        open_stream: Callable[[], SynthesisStream],
        create_task: TaskFactory,
        *,
        max_age: float = STAND_BY_SECS,
        renewals: int = STAND_BY_RENEWALS,
    ):
        """Initialize without opening anything.

        Args:
            open_stream: Starts a call.
            create_task: The processor's task manager.
            max_age: Seconds after which an unused stream is replaced, below the server's 5 (facts/tts#limits).
            renewals: How often it is replaced before the wait is given up.
        """
        self._open_stream = open_stream
        self._create_task = create_task
        self._max_age = max_age
        self._renewals = renewals
        self._stream: SynthesisStream | None = None
        self._task: asyncio.Task | None = None

    def expect(self) -> None:
        """A reply is coming: have a stream ready from now on, for a while."""
        if self._task is None or self._task.done():
            self._task = self._create_task(self._keep_ready())

    def take(self) -> SynthesisStream | None:
        """Hand the ready stream over, if there is one that lives."""
        stream, self._stream = self._stream, None
        self._end_task()
        if stream is not None and stream.failed:
            stream.cancel()
            return None
        return stream

    def close(self) -> None:
        """Drop the stream and stop renewing it."""
        self._end_task()
        if self._stream is not None:
            self._stream.cancel()
            self._stream = None

    async def _keep_ready(self) -> None:
        try:
            for _ in range(1 + self._renewals):
                self._stream = self._open_stream()
                await asyncio.sleep(self._max_age)
                self._stream.cancel()
                self._stream = None
            logger.debug("no text came: the stand-by stream is given up")
        except Exception as error:
            # Without a stand-by the first segment opens its own stream and reports what is wrong.
            logger.debug(f"no stand-by stream: {error}")

    def _end_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
