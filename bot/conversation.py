"""One conversation: its servers, devices and pipeline, and what watches over them."""

import asyncio
import importlib
import os
import threading
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loguru import logger

from halfcascade.bot.backend import Choice, Emulator, check_google_access, choose_backend
from halfcascade.bot.finish import EndOfConversation
from halfcascade.bot.logs import LOG_FILE
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.session.events import Event
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.processors.errors import ConfigurationError

if TYPE_CHECKING:
    from pipecat.pipeline.worker import PipelineWorker

    from halfcascade.bot.mirror import Mirror
    from halfcascade.bot.pipeline import Tool
    from halfcascade.bot.session.folder import Session
    from halfcascade.transports.local import LocalDuplexTransport
    from halfcascade.transports.tap import AudioTap
    from halfcascade.transports.wav import WavTransport

# Ending in order flushes what is queued; a service that hangs shall not keep a person waiting longer than this.
_END_SECS = 15.0
# When services fail, their server may have died: how long to wait for the news before blaming the service.
_DEATH_SECS = 1.0


class _Taps:
    """Several taps as one."""

    def __init__(self, *taps: "AudioTap"):
        self._taps = taps

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        for tap in self._taps:
            tap.captured(audio, sample_rate, at)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        for tap in self._taps:
            tap.played(audio, sample_rate, at)


class Conversation:
    """What runs between the first and the last line of a session: servers, devices and pipeline.

    Args:
        settings: Everything that can be chosen.
        session: Where it is written down.
        terminal: Where it is shown.
        outcome: Learns how it ends, and ends it.
        mirror: Whether the conversation of a recorded user is heard on the loudspeaker, if there is one.
        mind: What stands behind the embedded servers.
    """

    def __init__(
        self, settings: Settings, session: "Session", terminal: Terminal, outcome: Outcome, *, mirror: bool, mind: str
    ):
        self._settings = settings
        self._session = session
        self._terminal = terminal
        self._outcome = outcome
        self._mirror = mirror
        self._emulator = Emulator(session.folder, llm_path=settings.llm_path, mind=mind)
        self._finish = EndOfConversation()
        self._last_trouble = ""
        self._worker: PipelineWorker | None = None
        self._opened: Mirror | None = None
        self._watchers: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Hold the conversation until it is over.

        Raises:
            ConfigurationError: If it cannot begin.
        """
        talking = asyncio.create_task(self._talk(), name="conversation")
        over = asyncio.create_task(self._outcome.over.wait(), name="over")
        try:
            await asyncio.wait({talking, over}, return_when=asyncio.FIRST_COMPLETED)
            if not talking.done():
                await self._end(talking)
            if talking.done() and not talking.cancelled():
                await talking
        finally:
            for task in (over, talking, *self._watchers):
                task.cancel()
            await asyncio.gather(over, talking, *self._watchers, return_exceptions=True)
            await self._emulator.stop()
            if self._opened:
                await asyncio.to_thread(self._opened.close)

    async def _end(self, talking: asyncio.Task[None]) -> None:
        if not self._worker:
            talking.cancel()
        elif self._outcome.reason == "finished":
            await self._worker.stop_when_done()
        else:
            await self._worker.cancel(reason=self._outcome.reason)
        await asyncio.wait({talking}, timeout=_END_SECS)
        if not talking.done():
            logger.error("The pipeline did not end in time.")
            talking.cancel()

    async def _talk(self) -> None:
        settings = self._settings
        if settings.user_audio:
            from halfcascade.transports.wav_file import check_wav

            check_wav(settings.user_audio)
        choice = await asyncio.to_thread(choose_backend, settings.backend)
        self._session.emit("backend", backend=choice.backend.value, reason=choice.reason)
        self._terminal.say(f"Talking to {_NAMES[choice.backend]}, because {choice.reason}.", "dim")
        await self._prepare(choice)
        from pipecat.workers.runner import WorkerRunner

        tools = [tool for server in settings.mcp_servers for tool in await _tools_of(server)]
        self._worker = self._make_worker(await self._open_transport(), tools)
        runner = WorkerRunner(handle_sigint=False, handle_sigterm=False)
        await runner.add_workers(self._worker)
        with self._terminal.showing(self._session):
            await runner.run()
        if not self._outcome.over.is_set():
            self._outcome.fail("The pipeline ended by itself; the log tells more.")

    async def _prepare(self, choice: Choice) -> None:
        """Load what is heavy while the servers start."""
        loading = _start_imports()
        if choice.backend is Backend.EMULATOR:
            with self._terminal.working("Loading the embedded speech and language models"):
                environment = await self._emulator.start()
            os.environ.update(environment)
            self._watch(self._watch_emulator())
        else:
            with self._terminal.working("Looking for credentials"):
                await asyncio.to_thread(check_google_access)
        with self._terminal.working("Loading"):
            await loading

    def _make_worker(
        self, transport: "WavTransport | LocalDuplexTransport", tools: "Sequence[Tool]"
    ) -> "PipelineWorker":
        from pipecat.clocks.system_clock import SystemClock
        from pipecat.pipeline.worker import PipelineParams, PipelineWorker, ProcessorUnusablePolicy

        from halfcascade.bot.pipeline import AUDIO_IN_RATE, AUDIO_OUT_RATE, build_pipeline

        self._session.watch_transport(lambda: transport.stats.as_dict())  # noqa: PLW0108 read anew each time
        clock = SystemClock()
        worker = PipelineWorker(
            build_pipeline(transport, self._settings, tools).pipeline,
            params=PipelineParams(
                audio_in_sample_rate=AUDIO_IN_RATE,
                audio_out_sample_rate=AUDIO_OUT_RATE,
                enable_metrics=True,
                enable_usage_metrics=True,
            ),
            clock=clock,
            observers=[self._session.observer(clock)],
            # A bot without ears, brain or voice would be silently deaf or mute.
            processor_unusable_policy=ProcessorUnusablePolicy.CONTINUE,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        self._session.listen(self._on_event)
        worker.add_event_handler("on_pipeline_started", self._on_started)
        worker.add_event_handler("on_setup_timeout", self._on_timeout)
        worker.add_event_handler("on_pipeline_timeout", self._on_timeout)
        return worker

    async def _open_transport(self) -> "WavTransport | LocalDuplexTransport":
        settings = self._settings
        if settings.user_audio:
            from halfcascade.transports.wav import WavTransport

            tap = _Taps(self._session, *await self._open_mirror())
            recorded = WavTransport(user_audio=settings.user_audio, tap=tap)
            recorded.add_event_handler("on_user_audio_finished", self._on_user_audio_finished)
            return recorded
        from halfcascade.transports.local import LocalDuplexParams, LocalDuplexTransport

        local = LocalDuplexTransport(
            LocalDuplexParams(
                input_device=settings.input_device,
                output_device=settings.output_device,
                echo_cancel=settings.echo_cancel,
                noise_suppression=settings.noise_suppression,
                tap=self._session,
            )
        )
        local.add_event_handler("on_device_problem", self._on_device_news)
        local.add_event_handler("on_device_recovered", self._on_device_news)
        local.add_event_handler("on_half_duplex", self._on_half_duplex)
        with self._terminal.working("Opening microphone and loudspeaker"):
            await local.open()
        return local

    async def _open_mirror(self) -> "list[Mirror]":
        if not self._mirror:
            return []
        from halfcascade.bot.mirror import Mirror

        mirror = Mirror()
        try:
            await asyncio.to_thread(mirror.open)
        except ConfigurationError as error:
            logger.info(f"Nobody listens: {error}")
            self._terminal.say("No loudspeaker was found, so the conversation is shown and recorded only.", "dim")
            return []
        self._opened = mirror
        return [mirror]

    def _on_event(self, event: Event) -> None:
        self._finish.apply(event, time.monotonic())
        if event.type == "error" and event.fields["permanent"]:
            self._watch(self._fail(event.fields["message"]))
        elif event.type == "error":
            self._last_trouble = event.fields["message"]
        elif event.type == "speaking_started":
            self._last_trouble = ""

    async def _fail(self, message: str) -> None:
        # Services of a server that has died complain too, perhaps before the news of its death.
        if self._emulator.has_started:
            await asyncio.sleep(_DEATH_SECS)
        if not self._emulator.has_died:
            self._outcome.fail(message)

    async def _on_started(self, worker: Any, frame: Any) -> None:
        recorded = self._settings.user_audio
        self._terminal.say("The recorded user talks." if recorded else "Talk now; Ctrl-C ends.", "dim")
        if recorded:
            self._watch(self._watch_finish())
        if self._settings.greeting:
            from pipecat.frames.frames import TTSSpeakFrame

            await worker.queue_frame(TTSSpeakFrame(self._settings.greeting))

    async def _on_timeout(self, worker: Any, *frame: Any) -> None:
        self._outcome.fail("The pipeline did not start in time: is the network slow, or a server not answering?")

    async def _on_device_news(self, transport: Any, message: str) -> None:
        self._session.emit("device", message=message)
        self._terminal.say(message, "yellow")

    async def _on_half_duplex(self, transport: Any, active: bool) -> None:
        news = "Echo cancelling does not work here: the microphone is closed while the bot speaks."
        await self._on_device_news(transport, news if active else "Echo cancelling works again.")

    async def _on_user_audio_finished(self, transport: Any) -> None:
        self._session.emit("user_audio_finished")

    async def _watch_finish(self) -> None:
        while not self._finish.over(time.monotonic()):  # noqa: ASYNC110 silence is no event
            await asyncio.sleep(0.1)
        deaf = self._finish.spoken and not self._finish.understood
        if not deaf and not self._finish.unanswered:
            if not self._finish.spoken:
                self._terminal.say("No speech was found in the user audio.", "yellow")
            self._outcome.end("finished")
            return
        logger.error(f"Given up, still under way: {', '.join(self._finish.unanswered) or 'nothing'}.")
        what = "The user spoke, but no words were understood" if deaf else "The bot did not answer any more"
        hint = "is --language right?" if deaf else f"see {self._session.folder / LOG_FILE}."
        self._outcome.fail(f"{what}: {self._last_trouble or hint}")

    async def _watch_emulator(self) -> None:
        message = await self._emulator.died()
        if not self._outcome.over.is_set():
            self._session.emit("error", message=message, source="emulator", permanent=True)
            self._outcome.fail(message)

    def _watch(self, watching: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(watching)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)


_NAMES = {Backend.GOOGLE: "Google", Backend.EMULATOR: "the embedded emulator"}


def _start_imports() -> asyncio.Future[None]:
    """Import what takes seconds, on a thread that nobody has to wait for after Ctrl-C."""
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[None] = loop.create_future()

    def settle(error: Exception | None) -> None:
        if loaded.done():
            return
        if error:
            loaded.set_exception(error)
        else:
            loaded.set_result(None)

    def load() -> None:
        error = None
        try:
            importlib.import_module("halfcascade.bot.pipeline")
            importlib.import_module("pipecat.workers.runner")
        except Exception as caught:  # raised again where it is awaited
            error = caught
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, error)

    threading.Thread(target=load, name="imports", daemon=True).start()
    return loaded


async def _tools_of(server: str) -> "Sequence[Tool]":
    from halfcascade.processors.gemini_live import mcp_tools

    return await mcp_tools(server)
