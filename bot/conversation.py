"""A talk at this desk: its servers, its devices or recordings, and what is told on the terminal."""

import asyncio
import os
import time
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from loguru import logger

from halfcascade.bot.backend import END_SECS, Choice, Emulator, check_google_access, choose_backend
from halfcascade.bot.choices import check_choices, check_command, check_model_file, check_services
from halfcascade.bot.controls import Microphone, TalkControls
from halfcascade.bot.finish import EndOfConversation
from halfcascade.bot.gaps import GapNews
from halfcascade.bot.loading import load
from halfcascade.bot.logs import LOG_FILE
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.threads import on_daemon_thread, watched

if TYPE_CHECKING:
    from pipecat.processors.aggregators.llm_context import LLMContextMessage

    from halfcascade.bot.mirror import Mirror
    from halfcascade.bot.replay.recorded import RecordedServices
    from halfcascade.bot.services import Services
    from halfcascade.bot.session.folder import Session
    from halfcascade.bot.talk import Talk
    from halfcascade.bot.toolbox import Tool, Toolbox
    from halfcascade.transports.local import LocalDuplexTransport
    from halfcascade.transports.wav import WavTransport

# When services fail, their server may have died: how long to wait for the news before blaming the service.
_DEATH_SECS = 1.0
# How often it is looked whether what is heard has gaps.
_SOUND_SECS = 2.0
# What a talk was prepared with is let go in this time, or left behind.
_LET_GO_SECS = 10.0


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
        self._emulator = Emulator(session.folder, llm_path=settings.llm_path, mind=mind, tell=terminal.say)
        self._finish = EndOfConversation()
        self._last_trouble = ""
        self._microphone: Microphone | None = None
        self._transport: WavTransport | LocalDuplexTransport | None = None
        self._opened: Mirror | None = None
        self._toolbox: Toolbox | None = None
        self._recorded: RecordedServices | None = None
        self._watchers: set[asyncio.Task[None]] = set()
        self._loading: asyncio.Task[None] | None = None
        self._imported = asyncio.Event()
        self._may_connect = asyncio.Event()

    async def run(self) -> None:
        """Hold the conversation until it is over.

        Raises:
            ConfigurationError: If it cannot begin.
        """
        preparing = asyncio.create_task(self._prepare(), name="prepare")
        over = asyncio.create_task(self._outcome.over.wait(), name="over")
        try:
            await asyncio.wait({preparing, over}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                talk = await preparing
                controls = TalkControls(talk, self._session, self._outcome, self._microphone, self._transport)
                async with self._terminal.watching(self._session, controls):
                    await talk.run()
        finally:
            tasks = [over, preparing, *self._watchers, *([self._loading] if self._loading else [])]
            for task in tasks:
                task.cancel()
            await self._wait(tasks, share=0.6)
            closing = [asyncio.create_task(work) for work in self._closings()]
            await self._wait(closing, share=0.95)
            for task in closing:
                if task.done():
                    task.result()

    def _closings(self) -> "Iterator[Coroutine[Any, Any, None]]":
        """What lets go of all that the talk used."""
        yield self._emulator.stop(self._outcome.patience(END_SECS, share=0.8))
        if self._recorded:
            yield self._recorded.close()
        if self._toolbox:
            yield self._toolbox.close(self._outcome.patience(_LET_GO_SECS / 2, share=0.9))
        if self._opened:
            yield on_daemon_thread(self._opened.close)

    async def _wait(self, tasks: "Sequence[asyncio.Task[Any]]", *, share: float) -> None:
        """Wait for tasks that end, in as much time as there is."""
        if held := (await asyncio.wait(tasks, timeout=self._outcome.patience(_LET_GO_SECS, share=share)))[1]:
            logger.error(f"Did not end, and is left behind: {', '.join(task.get_name() for task in held)}.")

    async def _prepare(self) -> "Talk":
        settings = self._settings
        # What is wrong is told before anybody waits for what loads.
        await on_daemon_thread(check_choices, settings)
        history = await self._take_up_earlier()
        servers = self._usable_tool_servers()
        choice = await on_daemon_thread(choose_backend, settings.backend)
        self._session.emit(EventType.BACKEND, backend=choice.backend.value, reason=choice.reason)
        told = tr("Talking to {backend}, because {reason}.")
        name = tr(_NAMES[choice.backend])
        self._terminal.say(told.format(backend=name, reason=tr_error(choice.reason)))
        environ = await self._find_servers_and_devices(choice)
        from halfcascade.bot.talk import Talk

        tools = [*await self._open_toolbox(servers), *self._open_notes()]
        settings = self._settings
        transport = self._transport = await self._open_transport()
        self._session.watch_transport(lambda: transport.stats.as_dict())  # noqa: PLW0108 read anew each time
        services = self._open_services(environ)
        talk = Talk(settings, transport, self._session, self._outcome, tools=tools, services=services, history=history)
        talk.started = self._on_started
        talk.failing = self._on_failing
        self._session.listen(self._on_event)
        return talk

    def _open_services(self, environ: Mapping[str, str]) -> "Services":
        from halfcascade.bot.services import GoogleServices

        services = GoogleServices(environ)
        if not self._settings.record_services:
            return services
        from halfcascade.bot.replay.recorded import RecordedServices

        self._recorded = RecordedServices.of_session(services, self._session)
        return self._recorded

    async def _take_up_earlier(self) -> "Sequence[LLMContextMessage]":
        if not self._settings.continue_from:
            return ()
        from halfcascade.bot.earlier import EarlierTalk

        folder = self._session.folder.resolve()
        earlier = await asyncio.to_thread(EarlierTalk, self._settings.continue_from, folder.parent)
        self._session.emit(EventType.CONTINUED, folder=str(earlier.folder), messages=len(earlier.messages))
        told = tr("Continuing {folder}: {messages} messages.")
        self._terminal.say(told.format(folder=earlier.folder, messages=len(earlier.messages)), "dim")
        if warning := earlier.warning(self._settings.language):
            self._terminal.say(tr_error(warning), "yellow")
        return earlier.messages

    def _open_notes(self) -> "Sequence[Tool]":
        if not self._settings.notes:
            return ()
        from halfcascade.bot.notes import Notes

        notes = Notes(self._settings.notes)
        instruction = f"{self._settings.instruction}\n\n{notes.instruction()}"
        self._settings = self._settings.model_copy(update={"instruction": instruction})
        return notes.tools()

    def _usable_tool_servers(self) -> list[str]:
        """The MCP servers whose programs are here; the others are told of."""
        usable = []
        for address in self._settings.mcp_servers:
            try:
                check_command(address)
                usable.append(address)
            except ConfigurationError as error:
                self._tell_lost_tools(error)
        return usable

    def _tell_lost_tools(self, error: ConfigurationError) -> None:
        line = f"{error} The talk begins without it."
        self._session.emit(EventType.ERROR, message=line, source="tools", permanent=False)
        self._terminal.say(f"{tr_error(str(error))} {tr('The talk begins without it.')}", "yellow")

    async def _open_toolbox(self, servers: "Sequence[str]") -> "Sequence[Tool]":
        from halfcascade.bot.toolbox import Toolbox
        from halfcascade.processors.gemini_live.mcp_tools import McpServer

        self._toolbox = toolbox = Toolbox(builtin=self._settings.tools)
        for address in servers:
            server = McpServer(address)
            try:
                with self._terminal.working(tr("Connecting the MCP server {name}").format(name=server.name)):
                    await toolbox.add(server)
            except ConfigurationError as error:
                self._tell_lost_tools(error)
        for line in toolbox.renamed:
            self._terminal.say(tr_error(line), "yellow")
        if offered := toolbox.describe():
            self._terminal.say(tr("Tools: {offered}").format(offered=offered), "dim")
        return toolbox.tools

    async def _find_servers_and_devices(self, choice: Choice) -> Mapping[str, str]:
        """Do it all at once: who has no loudspeaker, or names no voice, need not wait for models to be told so."""
        try:
            async with asyncio.TaskGroup() as tasks:
                servers = tasks.create_task(self._find_servers(choice), name="servers")
                tasks.create_task(self._check_services(), name="services")
                if not self._settings.user_audio:
                    tasks.create_task(self._check_devices(), name="devices")
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return servers.result()

    async def _check_services(self) -> None:
        # Not before: two threads that import modules which import each other see some of them unfinished.
        await self._imported.wait()
        await on_daemon_thread(check_services, self._settings)

    async def _check_devices(self) -> None:
        # Whoever lacks credentials too is always told of those first.
        await self._may_connect.wait()
        await on_daemon_thread(self._find_devices)

    def _find_devices(self) -> None:
        from halfcascade.transports.devices import check_devices

        check_devices(self._settings.input_device, self._settings.output_device)

    async def _find_servers(self, choice: Choice) -> Mapping[str, str]:
        """Load what is heavy while the servers start, and give the variables that lead to them."""
        if choice.backend is Backend.EMULATOR:
            # Said before anything is loaded: nobody should wait for what cannot understand them.
            if warning := self._emulator.deaf_to(self._settings.listen_for):
                self._terminal.say(warning, "yellow")
            check_model_file(self._settings.llm_path)
            self._may_connect.set()
        transport = "halfcascade.transports." + ("wav" if self._settings.user_audio else "local")
        modules = (transport, *self._terminal.modules)
        self._loading = asyncio.create_task(
            load(self._settings.listen_for, modules, imported=self._imported), name="load"
        )
        environ = dict(os.environ)
        if choice.backend is Backend.EMULATOR:
            with self._terminal.working(tr("Loading the embedded speech and language models")):
                environ |= await self._emulator.start()
            self._watch(self._watch_emulator())
        else:
            with self._terminal.working(tr("Looking for credentials")):
                await on_daemon_thread(check_google_access)
            self._may_connect.set()
        with self._terminal.working(tr("Loading")):
            await self._loading
        return environ

    async def _open_transport(self) -> "WavTransport | LocalDuplexTransport":
        settings = self._settings
        if settings.user_audio:
            from halfcascade.transports.wav import WavTransport

            self._microphone = Microphone(self._session, *self._terminal.taps, *await self._open_mirror())
            recorded = WavTransport(user_audio=settings.user_audio, tap=self._microphone)
            recorded.add_event_handler("on_user_audio_finished", self._on_user_audio_finished)
            return recorded
        from halfcascade.transports.local import LocalDuplexParams, LocalDuplexTransport

        self._microphone = Microphone(self._session, *self._terminal.taps)
        local = LocalDuplexTransport(
            LocalDuplexParams(
                input_device=settings.input_device,
                output_device=settings.output_device,
                echo_cancel=settings.echo_cancel,
                noise_suppression=settings.noise_suppression,
                tap=self._microphone,
            )
        )
        local.add_event_handler("on_device_problem", self._on_device_news)
        local.add_event_handler("on_device_recovered", self._on_device_news)
        local.add_event_handler("on_half_duplex", self._on_half_duplex)
        with self._terminal.working(tr("Opening microphone and loudspeaker")):
            await local.open()
        return local

    async def _open_mirror(self) -> "list[Mirror]":
        if not self._mirror:
            return []
        try:
            from halfcascade.bot.mirror import Mirror

            mirror = Mirror()
            await asyncio.to_thread(mirror.open)
        except ConfigurationError as error:
            logger.info(f"Nobody listens: {error}")
            self._terminal.say(tr("No loudspeaker was found, so the conversation is shown and recorded only."), "dim")
            return []
        self._opened = mirror
        return [mirror]

    def _on_event(self, event: Event) -> None:
        self._finish.apply(event, time.monotonic())
        if event.type == EventType.ERROR and not event.fields["permanent"]:
            self._last_trouble = event.fields["message"]
        elif event.type == EventType.SPEAKING_STARTED:
            self._last_trouble = ""

    async def _on_failing(self, message: str) -> None:
        # Services of a server that has died complain too, perhaps before the news of its death.
        if self._emulator.has_started:
            await asyncio.sleep(_DEATH_SECS)
        if not self._emulator.has_died:
            self._outcome.fail(message)

    async def _watch_sound(self) -> None:
        news = GapNews()
        while (transport := self._transport) is not None:
            if gaps := news.look(transport.stats.as_dict(), time.monotonic()):
                told = tr(
                    "What you hear has gaps ({gaps} lately): this machine does not keep up. Close other programs."
                )
                await self._on_device_news(transport, told.format(gaps=gaps))
            await asyncio.sleep(_SOUND_SECS)

    async def _on_started(self) -> None:
        self._watch(self._watch_sound(), "What watched the sound")
        recorded = self._settings.user_audio
        self._terminal.say(tr("The recorded user talks.") if recorded else tr("Talk now; Ctrl-C ends."), "dim")
        if recorded:
            await self._watch_finish()

    async def _on_device_news(self, transport: Any, message: str) -> None:
        self._session.emit(EventType.DEVICE, message=message)
        self._terminal.say(message, "yellow")

    async def _on_half_duplex(self, transport: Any, active: bool) -> None:
        news = tr("Echo cancelling does not work here: the microphone is closed while the bot speaks.")
        await self._on_device_news(transport, news if active else tr("Echo cancelling works again."))

    async def _on_user_audio_finished(self, transport: Any) -> None:
        self._session.emit(EventType.USER_AUDIO_FINISHED)

    async def _watch_finish(self) -> None:
        while not self._finish.over(time.monotonic()):  # noqa: ASYNC110 silence is no event
            await asyncio.sleep(0.1)
        deaf = self._finish.spoken and not self._finish.understood
        if not deaf and self._finish.lost_secs and not self._finish.unanswered:
            lost = f"{self._finish.lost_secs:.1f} s of what the user said could not be recognized"
            self._outcome.fail(f"{lost}: {self._last_trouble or 'see the log'}")
            return
        if not deaf and not self._finish.unanswered:
            if not self._finish.spoken:
                self._terminal.say(tr("No speech was found in the user audio."), "yellow")
            self._outcome.end("finished")
            return
        logger.error(f"Given up, still under way: {', '.join(self._finish.unanswered) or 'nothing'}.")
        what = "The user spoke, but no words were understood" if deaf else "The bot did not answer any more"
        hint = "is --language right?" if deaf else f"see {self._session.folder / LOG_FILE}."
        self._outcome.fail(f"{what}: {self._last_trouble or hint}")

    async def _watch_emulator(self) -> None:
        message = await self._emulator.died()
        if not self._outcome.over.is_set():
            self._session.emit(EventType.ERROR, message=message, source="emulator", permanent=True)
            self._outcome.fail(message)

    def _watch(self, watching: Coroutine[Any, Any, None], what: str = "What watched the servers") -> None:
        task = watched(asyncio.create_task(watching), what)
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)


_NAMES = {Backend.GOOGLE: "Google", Backend.EMULATOR: "the embedded emulator"}
