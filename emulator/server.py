"""Google's three streaming APIs on loopback, as a library: ``async with GoogleEmulator(...) as google``."""

import asyncio
import importlib
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import grpc

from halfcascade.emulator.buckets import Buckets
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault, Faults
from halfcascade.emulator.generate.service import GenerateService
from halfcascade.emulator.limits import SpeechLimits, TtsLimits
from halfcascade.emulator.live.service import LiveService
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind, MindError
from halfcascade.emulator.minds.scripted import Scenario, create_scripted_mind, load_scenario
from halfcascade.emulator.operations import Operations
from halfcascade.emulator.profiles import Profile, load_profile
from halfcascade.emulator.rest import Rest
from halfcascade.emulator.rpc import Interface, Interfaces
from halfcascade.emulator.speech.server import SpeechService
from halfcascade.emulator.tls import LoopbackCertificate
from halfcascade.emulator.tts.server import TextToSpeechService
from halfcascade.emulator.web.app import App
from halfcascade.emulator.web.server import WebServer
from halfcascade.installing import how_to_install

HOST = "127.0.0.1"
PLACEHOLDER_KEY = "emulator"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
# Without this a second server on the same port would silently share it.
_SERVER_OPTIONS = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 16 * 1024 * 1024)]


class GoogleEmulator:
    """Speech-to-Text v2, Text-to-Speech v1 and Gemini Live on loopback ports.

    Parameters:
        mind: ``scripted``, ``local``, or a mind of one's own.
        scenario: Of the scripted mind: a file, its content, or a parsed ``Scenario``.
        profile: Name or file of a latency profile, or a ``Profile``. The local mind is as slow as it is; of the profile
            only the network counts for it.
        faults: What goes wrong; more can be added to ``self.faults`` while it runs.
        speech_port: Port of Speech-to-Text, 0 = any.
        tts_port: Port of Text-to-Speech, 0 = any.
        live_port: Port of Gemini Live, 0 = any.
        llm_path: GGUF file of a language model for the local mind; None = the one it comes with.
        api_key: The one API key that Gemini Live accepts; None = any.
        speech_limits: What Speech-to-Text enforces.
        tts_limits: What Text-to-Speech enforces.
        clock_scale: How much faster the clocks of all limits run.
        buckets: Folder that stands for Cloud Storage: ``gs://bucket/path`` is the file ``bucket/path`` in it.
        log_entries: How many entries the log keeps; None = all.

    Attributes:
        env: Environment that leads Google's clients here; known once started.
        ports: Ports by API (``speech``, ``tts``, ``live``); known once started.
        log: What the services received and sent.
        mind: What listens, thinks and speaks; known once started.
    """

    def __init__(
        self,
        *,
        mind: Mind | Literal["scripted", "local"] = "scripted",
        scenario: Path | str | Mapping[str, Any] | Scenario | None = None,
        profile: Profile | Path | str = "instant",
        faults: Faults | Iterable[Fault] = (),
        speech_port: int = 0,
        tts_port: int = 0,
        live_port: int = 0,
        llm_path: Path | None = None,
        api_key: str | None = None,
        speech_limits: SpeechLimits | None = None,
        tts_limits: TtsLimits | None = None,
        clock_scale: float = 1.0,
        buckets: Path | None = None,
        log_entries: int | None = None,
    ) -> None:
        self.profile = profile if isinstance(profile, Profile) else load_profile(profile)
        self.faults = faults if isinstance(faults, Faults) else Faults(list(faults))
        self.log = UsageLog(log_entries)
        self.env: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.mind: Mind | None = None
        self._mind = mind
        self._scenario = scenario
        self._wanted = {"speech": speech_port, "tts": tts_port, "live": live_port}
        self._llm_path = llm_path
        self._api_key = api_key
        self._speech_limits = (speech_limits or SpeechLimits()).scaled(clock_scale)
        self._tts_limits = (tts_limits or TtsLimits()).scaled(clock_scale)
        self._clock_scale = clock_scale
        self._operations = Operations()
        self._buckets = Buckets(buckets)
        self._servers: list[grpc.aio.Server] = []
        self._web: WebServer | None = None
        self._certificate: LoopbackCertificate | None = None

    async def __aenter__(self) -> "GoogleEmulator":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Load the mind and listen.

        Raises:
            EmulatorError: If the mind cannot be loaded or a port is taken.
        """
        try:
            self.mind = await self._create_mind()
            await self.mind.start()
            await self._serve(self.mind)
        except MindError as error:
            await self.stop()
            raise EmulatorError(str(error)) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """End all calls, close the ports, release the mind, delete the certificate."""
        if self._web is not None:
            await self._web.stop()
            self._web = None
        await self._operations.stop()
        servers, self._servers = self._servers, []
        await asyncio.gather(*(server.stop(None) for server in servers))
        if self.mind is not None:
            await self.mind.close()
            self.mind = None
        if self._certificate is not None:
            self._certificate.remove()
            self._certificate = None

    async def _create_mind(self) -> Mind:
        if isinstance(self._mind, Mind):
            return self._mind
        if self._mind == "local":
            return await asyncio.to_thread(_create_local_mind, self._llm_path)
        scenario = self._scenario
        if not isinstance(scenario, Scenario):
            scenario = await asyncio.to_thread(load_scenario, scenario)
        return await asyncio.to_thread(create_scripted_mind, scenario, self.profile)

    async def _serve(self, mind: Mind) -> None:
        shared: dict[str, Any] = {
            "profile": self.profile,
            "faults": self.faults,
            "log": self.log,
            "operations": self._operations,
            "buckets": self._buckets,
        }
        speech = SpeechService(mind.listener, limits=self._speech_limits, **shared)
        tts = TextToSpeechService(mind.speaker, limits=self._tts_limits, **shared)
        operations = Interface("speech", "google.longrunning", "", "Operations", self._operations.rpcs)
        interfaces = Interfaces([*speech.interfaces(), *tts.interfaces(), operations])
        self.ports["speech"] = await self._serve_grpc("Speech-to-Text", self._wanted["speech"], interfaces)
        self.ports["tts"] = await self._serve_grpc("Text-to-Speech", self._wanted["tts"], interfaces)
        self._certificate = await asyncio.to_thread(LoopbackCertificate)
        live = LiveService(
            mind,
            self.profile,
            faults=self.faults,
            log=self.log,
            clock_scale=self._clock_scale,
            api_key=self._api_key,
        )
        generate = GenerateService(
            mind, self.profile, live.tokens, faults=self.faults, log=self.log, api_key=self._api_key
        )
        self._web = WebServer(App([*Rest(interfaces).routes(), *generate.routes()], [live.serve]))
        tls = self._certificate.server_context()
        self.ports["live"] = await self._web.listen(HOST, self._wanted["live"], tls, name="Gemini Live")
        self.env = {
            "SPEECH_EMULATOR_HOST": f"{HOST}:{self.ports['speech']}",
            "TEXTTOSPEECH_EMULATOR_HOST": f"{HOST}:{self.ports['tts']}",
            "GOOGLE_GEMINI_BASE_URL": f"https://{HOST}:{self.ports['live']}",
            "GOOGLE_API_KEY": self._api_key or PLACEHOLDER_KEY,
            "GOOGLE_GENAI_USE_VERTEXAI": "false",
            "SSL_CERT_FILE": str(self._certificate.bundle),
            **_proxy_exception(),
        }

    async def _serve_grpc(self, name: str, port: int, handler: grpc.GenericRpcHandler) -> int:
        server = grpc.aio.server(handlers=[handler], options=_SERVER_OPTIONS)
        try:
            _probe(port)
            bound = server.add_insecure_port(f"{HOST}:{port}")
        except (OSError, RuntimeError) as error:
            raise EmulatorError(
                f"{name} cannot listen on {HOST}:{port} (is it in use?): choose another port, or 0 for any."
            ) from error
        await server.start()
        self._servers.append(server)
        return bound


def _probe(port: int) -> None:
    """Fail if a port is taken: gRPC would say so in lines of its own on stderr."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((HOST, port))


def _create_local_mind(llm_path: Path | None) -> Mind:
    try:
        local = importlib.import_module("halfcascade.emulator.minds.local")
    except ImportError as error:
        raise EmulatorError(
            f"The local mind is not installed ({error}): run {how_to_install('demo')}, or use `--mind scripted`."
        ) from error
    return local.create_local_mind(llm_path=llm_path)


def _proxy_exception() -> dict[str, str]:
    """Keep clients from asking a proxy for loopback, where one is set."""
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return {}
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(filter(None, (known, HOST, "localhost")))
    return {"no_proxy": value, "NO_PROXY": value}
