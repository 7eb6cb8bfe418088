"""What all talks of one process share, and nothing that belongs to one of them."""

import asyncio
import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from halfcascade.bot.backend import Emulator, check_google_access, choose_backend
from halfcascade.bot.money import Models, load_tariff
from halfcascade.bot.outcome import Outcome
from halfcascade.bot.serve.limits import Rooms
from halfcascade.bot.serve.measures import Measures
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.session.hub import EventHub
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Backend, Settings
from halfcascade.processors.chirp_tts.voices import LOCALES, VOICE_NAMES
from halfcascade.processors.threads import on_daemon_thread

if TYPE_CHECKING:
    from halfcascade.bot.replay.recorded import RecordedServices
    from halfcascade.bot.services import Services
    from halfcascade.bot.toolbox import Tool


@dataclass
class House:
    """Settings, servers and counters of a process that holds talks.

    Parameters:
        settings: What a talk is like unless its visitor wishes otherwise.
        serve: What the server is like.
        environ: Variables that say which servers are talked to; None means this process's.
        tools: Functions for the model besides the built-in ones.
        redactor: Keeps secrets out of logs and session folders.
        talks: How each talk that is held will have ended, by its name.
        traced: Whether OpenTelemetry spans of the talks are written.
    """

    settings: Settings
    serve: ServeSettings
    environ: Mapping[str, str] | None = None
    tools: "Sequence[Tool]" = ()
    redactor: Redactor = field(default_factory=Redactor.from_environment)
    talks: dict[str, Outcome] = field(default_factory=dict)
    traced: bool = False

    def __post_init__(self) -> None:
        self.rooms = Rooms(self.serve.most_talks)
        self.measures = Measures(self.serve.most_talks, lambda: self.rooms.strain.late_secs)

    def settings_for(self, wishes: Mapping[str, Any]) -> Settings:
        """Settings of one talk.

        Args:
            wishes: What the visitor asked for: ``language`` and ``voice``; anything else is left out.

        Returns:
            The settings, with those wishes that can be granted.
        """
        granted: dict[str, Any] = {}
        language, voice = wishes.get("language"), wishes.get("voice")
        if language in LOCALES:
            granted |= {"language": language, "stt_languages": []}
            # A voice given in full belongs to one locale.
            granted["voice"] = self.settings.voice.rpartition("-")[2]
        if voice in VOICE_NAMES:
            granted["voice"] = voice
        return self.settings.model_copy(update=granted)

    async def open_hub(self, name: str, settings: Settings) -> EventHub:
        """Where all that happens in a talk comes together: a session folder, if those of visitors are kept.

        Args:
            name: Of the talk.
            settings: Of the talk.

        Raises:
            ConfigurationError: If the folder cannot be written.
        """
        models = Models(settings.stt_model, settings.model, settings.voice_name)
        tariff = await asyncio.to_thread(load_tariff, models, settings.prices)
        if not self.serve.keep_sessions:
            hub = EventHub(self.redactor)
            hub.metrics.tariff = tariff
            hub.begin()
            return hub
        from halfcascade.bot.session.folder import Session

        session = await asyncio.to_thread(
            Session, self.serve.keep_sessions / name, self.redactor, settings.recording_options
        )
        session.metrics.tariff = tariff
        title = {"language": settings.language, "model": settings.model, "voice": settings.voice_name}
        session.start(title, settings.model_dump(mode="json", exclude_none=True))
        return session

    async def open_services(self, hub: EventHub, settings: Settings) -> "tuple[Services, RecordedServices | None]":
        """Where a talk's clients come from; what they answer is recorded in the session folder, if there is one.

        Args:
            hub: Of the talk.
            settings: Of the talk.

        Returns:
            Where they come from, and what is to be closed at the end, if anything.
        """
        from halfcascade.bot.services import GoogleServices
        from halfcascade.bot.session.folder import Session

        services = GoogleServices(self.environ)
        if not settings.record_services or not isinstance(hub, Session):
            return services, None
        from halfcascade.bot.replay.recorded import RecordedServices

        recorded = await asyncio.to_thread(RecordedServices.of_session, services, hub)
        return recorded, recorded

    def end_all(self, reason: str) -> None:
        """Let every talk end.

        Args:
            reason: For the last event of each.
        """
        for outcome in list(self.talks.values()):
            outcome.end(reason)


@dataclass(frozen=True)
class Servers:
    """Where the three services are.

    Parameters:
        environ: Variables that lead their clients there.
        emulator: The embedded servers, if it is them; they end with this process at the latest.
        folder: Where their log is.
    """

    environ: Mapping[str, str]
    emulator: Emulator | None = None
    folder: Path | None = None

    async def close(self) -> None:
        """End the embedded servers; of servers that ended by themselves the log is kept, which says why."""
        if self.emulator is None:
            return
        died = self.emulator.has_died
        await self.emulator.stop()
        if not died:
            self.forget_log()

    def forget_log(self) -> None:
        """Delete the log of the embedded servers."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


async def find_servers(settings: Settings) -> Servers:
    """Choose the servers, and start the embedded ones if it is them.

    Args:
        settings: Which are wanted.

    Raises:
        ConfigurationError: If there are no credentials, or the embedded servers do not start.
    """
    choice = await on_daemon_thread(choose_backend, settings.backend)
    logger.info(f"Talks go to {choice.backend.value}, because {choice.reason}.")
    if choice.backend is Backend.GOOGLE:
        await on_daemon_thread(check_google_access)
        return Servers(dict(os.environ))
    folder = Path(tempfile.mkdtemp(prefix="halfcascade-"))
    emulator = Emulator(folder, llm_path=settings.llm_path)
    servers = Servers({}, emulator, folder)
    try:
        return replace(servers, environ={**os.environ, **await emulator.start()})
    except BaseException as error:
        await emulator.stop()
        if str(folder) not in str(error):
            servers.forget_log()
        raise


_hosted: tuple[House, Servers] | None = None


async def hosted_house() -> House:
    """The house of a bot that Pipecat's own runner, or Pipecat Cloud, has started in this process.

    Raises:
        ConfigurationError: If settings make no sense or the embedded servers do not start.
    """
    global _hosted  # noqa: PLW0603 such a host knows one function; what outlives a talk has nowhere else to be
    if _hosted is None:
        settings = Settings()
        servers = await find_servers(settings)
        atexit.register(servers.forget_log)
        _hosted = House(settings, ServeSettings(evals=True), servers.environ), servers
    return _hosted[0]
