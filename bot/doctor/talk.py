"""Checks of what a talk is made of: recording, processors, tools, and the three services, asked by their own doors."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from halfcascade.bot.backend import Choice, Emulator, deaf_to
from halfcascade.bot.choices import check_command
from halfcascade.bot.doctor.findings import Finding, Status, failure, within
from halfcascade.bot.settings import Backend, Settings
from halfcascade.installing import how_to_install
from halfcascade.lines import tr, tr_error

if TYPE_CHECKING:
    from halfcascade.bot.toolbox import Toolbox
    from halfcascade.processors.google_calls import Probe

SERVICE_SECS = {Backend.GOOGLE: 15.0, Backend.EMULATOR: 60.0}
"""How long a service may take; the emulator's models compute on this machine, perhaps all three at once."""

_PROCESSOR_SECS = 20.0
_SERVER_SECS = 30.0
_CREDENTIALS_SECS = 15.0
# The emulator's own limit comes first and says more.
_EMULATOR_SECS = 150.0
_MARGIN_SECS = 3.0


class Service(Protocol):
    """What can be asked whether it would work."""

    async def probe(self, secs: float = ...) -> "Probe":
        """Ask it."""
        ...


def check_recording(settings: Settings) -> list[Finding]:
    """Check the recorded user, if there is one.

    Args:
        settings: Names the file.

    Raises:
        ConfigurationError: If it cannot be played.
    """
    if not settings.user_audio:
        return []
    from halfcascade.transports.wav_file import check_wav

    check_wav(settings.user_audio)
    line = tr("The recording {file} plays the user's part").format(file=settings.user_audio)
    return [Finding(Status.OK, line)]


def check_language(settings: Settings) -> list[Finding]:
    """Warn of a locale that no voice is known to speak.

    Args:
        settings: Names the locale.
    """
    from halfcascade.processors.chirp_tts.voices import LOCALES

    if settings.language in LOCALES:
        return []
    near = [locale for locale in LOCALES if locale.split("-")[0] == settings.language.split("-")[0].lower()]
    remedy = tr("`halfcascade voices` lists them.")
    if near:
        remedy = tr("did you mean {locales}?").format(locales=", ".join(near))
    line = tr("{locale} is no locale that Chirp 3 HD is known to speak").format(locale=settings.language)
    return [Finding(Status.WARN, line, remedy)]


async def check_processors(settings: Settings) -> list[Finding]:
    """Make each of the user's own processors.

    Args:
        settings: Name them.
    """
    from halfcascade.bot.pipeline import load_processor

    findings: list[Finding] = []
    for path in settings.processors:

        async def load(path: str = path) -> Finding:
            processor = await asyncio.to_thread(load_processor, path)
            line = tr("Processor {path}: {kind}").format(path=path, kind=type(processor).__name__)
            return Finding(Status.OK, line)

        findings += await within(_PROCESSOR_SECS, f"--processor {path}", load())
    return findings


async def check_tools(settings: Settings, toolbox: "Toolbox") -> list[Finding]:
    """Connect each MCP server and list its tools.

    Args:
        settings: Name the servers.
        toolbox: Takes the tools.
    """
    from halfcascade.processors.gemini_live.mcp_tools import McpServer

    findings: list[Finding] = []
    for address in settings.mcp_servers:
        server = McpServer(address)

        async def connect(server: McpServer = server, address: str = address) -> Finding:
            check_command(address)
            names = await toolbox.add(server)
            line = tr("MCP server {name}: {tools}").format(name=server.name, tools=", ".join(names) or tr("no tools"))
            return Finding(Status.OK, line)

        findings += await within(
            _SERVER_SECS + _MARGIN_SECS, tr("The MCP server {name}").format(name=server.name), connect()
        )
    findings += [Finding(Status.WARN, tr_error(line).rstrip(".")) for line in toolbox.renamed]
    if offered := toolbox.describe():
        findings.append(Finding(Status.OK, tr("Tools: {offered}").format(offered=offered)))
    return findings


async def check_credentials(choice: Choice) -> Finding:
    """Check that there is something to authenticate with, and for which project.

    Args:
        choice: Which backend ``talk`` would take.

    Raises:
        ConfigurationError: If there is not, or it cannot be used.
    """
    if choice.backend is Backend.EMULATOR:
        line = tr("Google credentials are not needed: the emulator serves, because {reason}")
        return Finding(Status.OK, line.format(reason=tr_error(choice.reason)))
    async with asyncio.timeout(_CREDENTIALS_SECS):
        return await asyncio.to_thread(_find_access)


def _find_access() -> Finding:
    from halfcascade.processors.google_clients import (
        SPEECH_EMULATOR_HOST,
        TEXTTOSPEECH_EMULATOR_HOST,
        cloud_access,
        gemini_client,
    )

    projects = {cloud_access(host).project for host in (SPEECH_EMULATOR_HOST, TEXTTOSPEECH_EMULATOR_HOST)}
    via = tr("Vertex AI") if gemini_client().vertexai else tr("an API key")
    line = tr("Credentials: project {projects}, Gemini by {via}").format(projects=", ".join(sorted(projects)), via=via)
    return Finding(Status.OK, line)


def check_emulator(settings: Settings) -> Finding:
    """Check that the embedded emulator's mind is installed.

    Args:
        settings: Where its language model is.
    """
    from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages, model_file
    from halfcascade.emulator.minds.local.weights import MEGABYTES

    if missing := missing_packages():
        remedy = tr("run {command}.").format(command=how_to_install("demo"))
        return Finding(Status.FAIL, tr("The emulator lacks {packages}").format(packages=", ".join(missing)), remedy)
    if lacks_weights(settings.llm_path):
        line = tr("The embedded emulator is installed; the first talk fetches its language model, {size} MB")
        return Finding(Status.OK, line.format(size=MEGABYTES))
    try:
        model = model_file(settings.llm_path)
    except FileNotFoundError as error:
        return failure(str(error))
    line = tr("The embedded emulator is installed, and thinks with {model}").format(model=model.name)
    return Finding(Status.OK, line)


def check_text_end(settings: Settings) -> list[Finding]:
    """Check that ends of turns are judged by all that can judge them, where the user speaks a language of the model.

    Args:
        settings: Name the languages.
    """
    from halfcascade.processors.turns.text_end import lacks_text_end

    if not lacks_text_end(settings.listen_for):
        return []
    line = tr("No small language model judges ends of turns, which come up to 1.4 s later without it")
    remedy = tr("run {command}, and once `halfcascade demo`, which fetches the model.")
    return [Finding(Status.WARN, line, remedy.format(command=how_to_install("demo")))]


def check_hearing(settings: Settings) -> list[Finding]:
    """Check that the embedded emulator understands what is spoken.

    Args:
        settings: Name the languages.
    """
    line, _, remedy = deaf_to(settings.listen_for).partition(". ")
    return [Finding(Status.WARN, line, remedy)] if line else []


def can_start_emulator(settings: Settings) -> bool:
    """Whether it can be started without fetching anything.

    Args:
        settings: Where its language model is.
    """
    from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages

    return not missing_packages() and not lacks_weights(settings.llm_path)


@asynccontextmanager
async def servers(choice: Choice, settings: Settings, note: Callable[[Finding], object]) -> AsyncIterator[Any]:
    """Have the servers of a talk while a block lasts.

    Args:
        choice: Google, or the embedded emulator.
        settings: Where the emulator's language model is.
        note: Called with what is wrong, if they do not come up.

    Yields:
        The variables that lead to them, or None if they do not come up.
    """
    if choice.backend is Backend.GOOGLE:
        yield dict(os.environ)
        return
    with tempfile.TemporaryDirectory(prefix="halfcascade-") as folder:
        emulator = Emulator(Path(folder), llm_path=settings.llm_path)
        environ: dict[str, str] | None = None

        async def start() -> list[Finding]:
            nonlocal environ
            environ = {**os.environ, **await emulator.start()}
            return []

        try:
            for finding in await within(_EMULATOR_SECS, tr("The embedded emulator"), start()):
                note(finding)
            yield environ
        finally:
            await emulator.stop()


async def check_services(
    settings: Settings, toolbox: "Toolbox", environ: Mapping[str, str] | None, backend: Backend, *, ask: bool
) -> list[Finding]:
    """Make the three services as a talk has them, and ask each whether it would work.

    Args:
        settings: What the bot would use.
        toolbox: What the model would be offered.
        environ: The variables that lead to the servers.
        backend: Whose servers they are.
        ask: Whether they are asked, or only made, which checks what needs no server.
    """
    from pipecat.processors.aggregators.llm_context import LLMContext

    from halfcascade.bot.pipeline import make_brain, make_ears, make_voice
    from halfcascade.processors.gemini_live import builtin_tools

    context = LLMContext(tools=[*(builtin_tools() if settings.tools else []), *toolbox.tools])
    makers: dict[str, Callable[[], Service]] = {
        "Speech-to-Text": lambda: make_ears(settings, environ),
        "Gemini Live": lambda: make_brain(settings, context, environ),
        "Text-to-Speech": lambda: make_voice(settings, environ),
    }
    secs = SERVICE_SECS[backend]
    found = await asyncio.gather(
        *(
            within(secs + _MARGIN_SECS, name, check_service(make, secs) if ask else _only_made(make))
            for name, make in makers.items()
        )
    )
    return [finding for findings in found for finding in findings]


async def check_service(make: Callable[[], Service], secs: float) -> list[Finding]:
    """Ask one of the three services.

    Args:
        make: Makes it.
        secs: How long it may take.

    Raises:
        ConfigurationError: Why it would not work, and what to do.
    """
    probe = await make().probe(secs)
    line = f"{tr_error(probe.line)} ({probe.secs * 1000:.0f} ms)"
    return [
        Finding(Status.OK, line, secs=probe.secs),
        *(Finding(Status.WARN, tr_error(told).rstrip(".")) for told in probe.warnings),
    ]


async def _only_made(make: Callable[[], Service]) -> list[Finding]:
    make()
    return []
