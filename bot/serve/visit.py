"""One visitor's talk, from the opened door to the last frame."""

import asyncio
import time
import uuid
from typing import TYPE_CHECKING, Any

from loguru import logger
from pipecat.frames.frames import InputAudioRawFrame, InterruptionFrame

from halfcascade.bot.outcome import Outcome
from halfcascade.bot.serve.arrivals import Arrivals, Block
from halfcascade.bot.serve.captions import Captions
from halfcascade.bot.serve.doors import Door, open_door
from halfcascade.bot.serve.limits import Absence
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.settings import Settings
from halfcascade.bot.watching import Listener
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.frames import PlayoutDelayFrame
from halfcascade.processors.playout import Playout

if TYPE_CHECKING:
    from pipecat.processors.frameworks.rtvi import RTVIProcessor
    from pipecat.runner.types import RunnerArguments

    from halfcascade.bot.replay.recorded import RecordedServices
    from halfcascade.bot.serve.house import House
    from halfcascade.bot.services import Services
    from halfcascade.bot.talk import Talk

# A browser that was answered and does not come has closed its window meanwhile.
_ARRIVE_SECS = 30.0
# For a page that tries to come back over another network; it gives up after as long (app.js).
_LOST_SECS = 20.0
_LOOK_SECS = 1.0
_LONGEST_DELAY_SECS = 1.0
# What lies at the server while the client counts what lies at its side: a browser's track has 40 ms in store, and
# sends packets of 20 ms.
_SERVER_DELAY_SECS = 0.06


class _Listening(Listener):
    """Shows the microphone's audio to the hub."""

    def __init__(self, hub: EventHub):
        super().__init__(observe_every_push=False)
        self._hub = hub
        self._rate = 0
        self._arrivals: Arrivals | None = None

    def heard(self, frame: InputAudioRawFrame) -> None:
        if self._arrivals is None:
            self._rate, self._arrivals = frame.sample_rate, Arrivals(frame.sample_rate)
        self._show(self._arrivals.take(frame.audio, time.monotonic()))

    def finish(self) -> None:
        """Show what is held; nothing more comes."""
        if self._arrivals is not None:
            self._show(self._arrivals.finish())

    def _show(self, blocks: list[Block]) -> None:
        for audio, at in blocks:
            self._hub.captured(audio, self._rate, at)


class Visit:
    """Holds the talk of one visitor.

    Args:
        house: What all talks of this process share.
        arguments: What Pipecat's runner, or our server, hands to a bot.
    """

    def __init__(self, house: "House", arguments: "RunnerArguments"):
        self._house = house
        self._arguments = arguments
        self.name = arguments.session_id or uuid.uuid4().hex
        self._delay_secs = 0.0
        self._outcome = Outcome()
        self._hub: EventHub | None = None
        self._talk: Talk | None = None

    async def hold(self) -> Outcome:
        """Hold the talk.

        Returns:
            How it ended. Whatever goes wrong in it ends it and nothing else.
        """
        with logger.contextualize(talk=self.name):
            try:
                await self._hold()
            except ConfigurationError as error:
                self._outcome.fail(str(error))
            except Exception as error:  # one visitor's trouble must not become another's
                logger.exception("The talk failed.")
                self._outcome.fail(f"{type(error).__name__}: {error}")
            if self._outcome.failure:
                logger.error(self._house.redactor.text(self._outcome.failure))
        return self._outcome

    async def _hold(self) -> None:
        playout = Playout(self._played)
        door = await open_door(self._arguments, playout, evals=self._house.serve.evals)
        self._delay_secs = door.delay_secs
        wishes = self._arguments.body if isinstance(self._arguments.body, dict) else {}
        settings = self._house.settings_for(wishes)
        self._hub = await self._house.open_hub(self.name, settings)
        gauge = self._house.measures.talks.labels(door.name)
        self._house.talks[self.name] = self._outcome
        gauge.inc()
        logger.info(f"A talk begins by {door.name}.")
        recorded: RecordedServices | None = None
        try:
            services, recorded = await self._house.open_services(self._hub, settings)
            await self._talk_through(door, playout, self._hub, settings, services)
        finally:
            if recorded:
                await recorded.close()
            gauge.dec()
            self._house.talks.pop(self.name, None)
            how = "failed" if self._outcome.failure else "well"
            self._house.measures.ended.labels(door.name, how).inc()
            await self._close(self._hub)
            logger.info(f"The talk is over: {self._outcome.reason}.")

    async def _talk_through(
        self, door: Door, playout: Playout, hub: EventHub, settings: Settings, services: "Services"
    ) -> None:
        from halfcascade.bot.talk import Talk

        listening = _Listening(hub)
        talk = self._talk = Talk(
            settings,
            door.transport,
            hub,
            self._outcome,
            tools=self._house.tools,
            services=services,
            playout=playout,
            rtvi=door.rtvi,
            idle_secs=self._house.serve.idle_secs,
            traced=self._house.traced,
            observers=[listening],
        )
        arrived = asyncio.Event()
        _follow_client(door, arrived, self._outcome)
        self._house.measures.follow(hub)
        talk.started = self._on_started
        if door.rtvi:
            self._serve_page(door.rtvi, hub)
        limits = asyncio.create_task(self._keep_limits(door, arrived), name="limits")
        try:
            await talk.run()
        finally:
            listening.finish()
            limits.cancel()
            await asyncio.gather(limits, return_exceptions=True)

    async def _on_started(self) -> None:
        if self._hub:
            # Who only types gives no sound to count from.
            self._hub.clock.start(time.monotonic())
        await self._tell_delay(self._delay_secs)

    async def _keep_limits(self, door: Door, arrived: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(arrived.wait(), _ARRIVE_SECS)
        except TimeoutError:
            self._outcome.end("the client did not come")
            return
        end = time.monotonic() + self._house.serve.talk_secs
        absence = Absence(_LOST_SECS)
        while (left := end - time.monotonic()) > 0:
            await asyncio.sleep(min(left, _LOOK_SECS) if door.is_there else left)
            if door.is_there and await self._is_lost(absence, there=door.is_there()):
                self._outcome.end("the connection was lost")
                return
        self._outcome.end("the time is up")

    async def _is_lost(self, absence: Absence, *, there: bool) -> bool:
        now = time.monotonic()
        if absence.look(there=there, now=now) and self._talk:
            # What would be said now, nobody would hear: it counts as cut off.
            await self._talk.worker.queue_frame(InterruptionFrame())
        return absence.too_long(now)

    def _serve_page(self, rtvi: "RTVIProcessor", hub: EventHub) -> None:
        """Answer what our page asks for beyond RTVI: captions word by word, and to be told of its delay."""
        captions = Captions(hub)
        wanted = False

        def on_event(event: Event) -> None:
            messages = captions.apply(event)
            if wanted:
                for message in messages:
                    self._send(rtvi, message)

        async def on_client_message(_: "RTVIProcessor", message: Any) -> None:
            nonlocal wanted
            if message.type == "captions":
                wanted = True
                for caption in captions.so_far():
                    self._send(rtvi, caption)
            elif message.type == "delay":
                await self._on_delay(message.data)

        hub.listen(on_event)
        rtvi.add_event_handler("on_client_message", on_client_message)

    def _send(self, rtvi: "RTVIProcessor", message: dict[str, Any]) -> None:
        if self._talk:
            self._talk.soon(rtvi.send_server_message({"type": "captions", **message}))

    async def _on_delay(self, data: Any) -> None:
        ms = data.get("ms") if isinstance(data, dict) else None
        if isinstance(ms, int | float) and ms >= 0:
            await self._tell_delay(min(ms / 1000 + _SERVER_DELAY_SECS, _LONGEST_DELAY_SECS))

    async def _tell_delay(self, secs: float) -> None:
        self._delay_secs = secs
        if self._talk:
            await self._talk.worker.queue_frame(PlayoutDelayFrame(secs))

    def _played(self, audio: bytes, sample_rate: int, at: float) -> None:
        if self._hub:
            self._hub.played(audio, sample_rate, at + self._delay_secs)

    async def _close(self, hub: EventHub) -> None:
        from halfcascade.bot.session.folder import Session

        if isinstance(hub, Session):
            if self._outcome.failure and not hub.has_told(self._outcome.failure):
                hub.emit(EventType.ERROR, message=self._outcome.failure, source="bot", permanent=True)
            await hub.close(self._outcome.reason)


def _follow_client(door: Door, arrived: asyncio.Event, outcome: Outcome) -> None:
    async def on_connected(*_: Any) -> None:
        arrived.set()

    async def on_disconnected(*_: Any) -> None:
        outcome.end("the client left")

    door.transport.add_event_handler("on_client_connected", on_connected)
    door.transport.add_event_handler("on_client_disconnected", on_disconnected)
