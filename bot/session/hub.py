"""What happens in one talk: its clock, its events, and what is reduced from them. Nothing here touches a disk."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from loguru import logger
from pipecat.clocks.base_clock import BaseClock

from halfcascade.bot.session.clock import SessionClock
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.metrics import Metrics
from halfcascade.bot.session.observer import SessionObserver
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.sound import SoundEdges
from halfcascade.bot.session.transcript import Problem, Transcript
from halfcascade.processors.harmless import harmless_lines, harmless_value

# Fields that hold ``time.monotonic()`` seconds until they are passed on.
_TIMES = ("speech_at",)

Listener = Callable[[Event], None]


class EventHub:
    """Where all that happens in a talk comes together; also the audio tap that gives it its clock.

    Args:
        redactor: Keeps secrets out.
    """

    def __init__(self, redactor: Redactor):
        self.clock = SessionClock()
        self.metrics = Metrics()
        self.transcript = Transcript()
        self.redactor = redactor
        self._listeners: list[Listener] = []
        self._edges = SoundEdges()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def listen(self, listener: Listener) -> None:
        """Tell somebody else about events too.

        Args:
            listener: Called on the event loop with each event, free of secrets.
        """
        self._listeners.append(listener)

    def begin(self) -> None:
        """Take the running event loop as the one on which events are passed on."""
        self._loop = asyncio.get_running_loop()

    def observer(self, clock: BaseClock) -> SessionObserver:
        """Make the observer that feeds this hub.

        Args:
            clock: The clock given to the pipeline's worker.

        Returns:
            The observer.
        """
        return SessionObserver(self._take, clock)

    def emit(self, type_: EventType, **fields: Any) -> None:
        """Pass on something that happens now. Call it on the event loop.

        Args:
            type_: The event's type.
            fields: Its fields.
        """
        self._take(type_, None, fields)

    def typed(self, text: str) -> None:
        """Pass on what the user typed, before it is sent as a turn.

        Args:
            text: The words.
        """
        self.emit(EventType.TYPED, text=text)

    def has_told(self, message: str) -> bool:
        """Whether an error has been passed on.

        Args:
            message: Its message.
        """
        hidden = harmless_lines(self.redactor.text(message))
        return any(isinstance(entry, Problem) and entry.message == hidden for entry in self.transcript.entries)

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample.
        """
        self.clock.start(at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard.
        """
        for kind, edge in self._edges.feed(audio, sample_rate, at):
            self._call_on_loop(self._take, kind, edge, {})

    def _take(self, type_: EventType, at: float | None, fields: dict[str, Any]) -> None:
        if self._closed:
            return
        fields = {
            name: self.clock.seconds(value) if name in _TIMES else harmless_value(self.redactor.value(value))
            for name, value in fields.items()
        }
        event = Event(self.clock.seconds(time.monotonic() if at is None else at), type_, fields)
        changed = [reducer.apply(event) for reducer in (self.transcript, self.metrics)]
        self._happened(event, changed=any(changed))
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # whoever watches must not end what is watched
                logger.exception(f"Somebody who listens failed at {type_}.")

    def _happened(self, event: Event, *, changed: bool) -> None:
        """Keep an event, in whatever keeps them."""

    def _call_on_loop(self, callback: Callable[..., None], *args: Any) -> None:
        # The loop may have been closed while a device thread was still at work.
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(callback, *args)
