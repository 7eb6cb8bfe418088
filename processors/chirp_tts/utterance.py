"""One utterance of the voice: the shell that makes its machine's calls and hands its audio and words on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Protocol

from pipecat.frames.frames import AggregatedTextFrame
from pipecat.utils.errors import ErrorCategory

from halfcascade.processors.chirp_tts.errors import SynthesisError
from halfcascade.processors.chirp_tts.feed import TextFeed
from halfcascade.processors.chirp_tts.heard.playback import PlaybackRecord
from halfcascade.processors.chirp_tts.protocol.events import Action, Append, Cancel, Close, Failure, Feed, Fetch
from halfcascade.processors.chirp_tts.protocol.speech import SpeechMachine


class UtteranceHost(Protocol):
    """What an utterance needs from the service."""

    def now(self) -> float:
        """Pipeline clock, in seconds."""

    def synthesize(self, text: str, *, phrase: bool, again: bool, feed: TextFeed | None = None) -> AsyncIterator[bytes]:
        """Yield audio of a text, and of what else a feed brings, from one call; raises SynthesisError."""

    async def append_audio(self, utterance: "Utterance", pcm: bytes) -> None:
        """Queue audio."""

    async def perform(self, utterance: "Utterance", action: Action) -> None:
        """Do what concerns the pipeline."""


class Utterance:
    """Speaks the segments of one audio context, in order."""

    def __init__(
        self,
        context_id: str,
        host: UtteranceHost,
        machine: SpeechMachine,
        create_task: Callable[[Coroutine[Any, Any, None]], asyncio.Task],
    ):
        """Start; it waits for segments.

        Args:
            context_id: Audio context it fills.
            host: The service.
            machine: What decides.
            create_task: The processor's task manager.
        """
        self.context_id = context_id
        self._host = host
        self._machine = machine
        self._create_task = create_task
        self._changed = asyncio.Event()
        self._calls: dict[int, asyncio.Task] = {}
        # Of the calls that are open for more text.
        self._feeds: dict[int, TextFeed] = {}
        self._main = create_task(self._run())

    @property
    def record(self) -> PlaybackRecord:
        """When what of its audio is heard."""
        return self._machine.record

    def say(self, text: str, frame: AggregatedTextFrame | None, *, markup: str = "", phrase: bool = False) -> None:
        """Add a segment.

        Args:
            text: What to say.
            frame: The frame that announced it.
            markup: The same with markup, if it has any.
            phrase: Whether it may be spoken often.
        """
        self._machine.say(text, frame, self._host.now(), markup=markup, phrase=phrase)
        self._changed.set()

    def end(self) -> None:
        """No more segments will come."""
        self._machine.end(self._host.now())
        self._changed.set()

    def runs_dry_at(self) -> float:
        """Clock time, in seconds, until which there is something to hear, by what is known of its length."""
        return self._machine.runs_dry_at(self._host.now())

    def played(self, at: float, secs: float) -> None:
        """Audio of the utterance was handed to the loudspeaker.

        Args:
            at: Clock time at which it begins to be heard.
            secs: Its length.
        """
        self._machine.played(at, secs, self._host.now())
        self._changed.set()

    def stop(self) -> list[str]:
        """End at once: calls are cancelled on the wire.

        Returns:
            What was not heard, segment by segment.
        """
        for task in (self._main, *self._calls.values()):
            task.cancel()
        self._calls.clear()
        return self._machine.stop()

    async def _run(self) -> None:
        while True:
            while (action := self._machine.next_action()) is not None:
                await self._perform(action)
            if self._machine.done:
                return
            self._changed.clear()
            deadline = self._machine.deadline()
            wait = None if deadline is None else max(0.0, deadline - self._host.now())
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                self._machine.tick(self._host.now())

    async def _perform(self, action: Action) -> None:
        match action:
            case Fetch():
                if action.more:
                    self._feeds[action.call] = TextFeed(action.text)
                self._calls[action.call] = self._create_task(self._fetch(action))
            case Feed(call, text):
                if feed := self._feeds.get(call):
                    feed.add(text)
            case Close(call):
                if feed := self._feeds.get(call):
                    feed.close()
            case Cancel(call):
                if task := self._calls.pop(call, None):
                    task.cancel()
            case Append(pcm):
                await self._host.append_audio(self, pcm)
            case _:
                await self._host.perform(self, action)

    async def _fetch(self, fetch: Fetch) -> None:
        machine, now, feed = self._machine, self._host.now, self._feeds.get(fetch.call)
        try:
            async for chunk in self._host.synthesize(fetch.text, phrase=fetch.phrase, again=fetch.again, feed=feed):
                machine.audio(fetch.call, chunk, now())
                self._changed.set()
            machine.finished(fetch.call, now())
        except SynthesisError as error:
            machine.failed(fetch.call, _failure(error), now())
        except Exception as error:
            # Whatever it is, the turn must go on.
            machine.failed(fetch.call, _failure(SynthesisError(f"The voice failed ({error}).", _UNKNOWN)), now())
        finally:
            self._calls.pop(fetch.call, None)
            self._feeds.pop(fetch.call, None)
            self._changed.set()


_UNKNOWN = ErrorCategory.UNKNOWN


def _failure(error: SynthesisError) -> Failure:
    return Failure(
        error.reason,
        retry=error.retry,
        wait_secs=error.wait_secs,
        about_text=error.category in (ErrorCategory.APPLICATION, ErrorCategory.UNKNOWN),
        cause=error,
    )
