"""Google's speech and language APIs on one machine, as a library: ``async with GoogleEmulator(...) as google``."""

import asyncio
import importlib
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import grpc

from halfcascade.emulator.control import Control, clear_faults
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Fault, Faults
from halfcascade.emulator.limits import SpeechLimits, TtsLimits
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind, MindError
from halfcascade.emulator.minds.scripted import Scenario, create_scripted_mind, load_scenario
from halfcascade.emulator.profiles import Profile, load_profile, parse_profile
from halfcascade.emulator.services import Services
from halfcascade.emulator.tls import LoopbackCertificate
from halfcascade.emulator.web.front import TlsFront
from halfcascade.emulator.web.server import WebServer
from halfcascade.installing import how_to_install

HOST = "127.0.0.1"
PLACEHOLDER_KEY = "emulator"
PROJECT = "emulator"
_ANY_ADDRESS = ("0.0.0.0", "::", "")  # noqa: S104 - compared with, not listened on
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
# Without the first a second server on the same port would silently share it.
_SERVER_OPTIONS = [
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 16 * 1024 * 1024),
    ("grpc.max_send_message_length", -1),
]


class GoogleEmulator:
    """Speech-to-Text, Text-to-Speech and Gemini on loopback ports.

    Parameters:
        mind: ``scripted``, ``local``, or a mind of one's own.
        scenario: Of the scripted mind: a file, its content, or a parsed ``Scenario``.
        profile: Name or file of a latency profile, or a ``Profile``. The local mind is as slow as it is; of the profile
            only the network counts for it.
        faults: What goes wrong; more can be added to ``self.faults`` while it runs.
        host: Address to listen on.
        advertise: Name or address under which clients reach it; "" = ``host``, or loopback where that is any address.
        speech_port: Port of Speech-to-Text, 0 = any.
        tts_port: Port of Text-to-Speech, 0 = any.
        live_port: HTTPS port of Gemini, of the REST transports and of control, 0 = any.
        http_port: The same without TLS, 0 = any.
        grpc_tls_port: Both speech services over TLS, 0 = any.
        tls_port: gRPC and HTTPS together, as Google serves them; 0 = any, None = there is none.
        llm_path: GGUF file of a language model for the local mind; None = the one it comes with.
        api_key: The one API key that Gemini accepts; None = any.
        speech_limits: What Speech-to-Text enforces.
        tts_limits: What Text-to-Speech enforces.
        clock_scale: How much faster the clocks of all limits run.
        buckets: Folder that stands for Cloud Storage: ``gs://bucket/path`` is the file ``bucket/path`` in it.
        tls_folder: Where the bundle and the credentials are written too, for other containers; None = nowhere.
        log_entries: How many entries the log keeps; None = all.

    Attributes:
        env: Environment that leads Google's clients here; known once started.
        extra_env: Further variables, for clients in other languages, TLS gRPC, Vertex and REST; known once started.
        ports: Ports by API (``speech``, ``tts``, ``live``, ``http``, ``grpc_tls``, ``tls``); known once started.
        log: What the services received and sent.
        mind: What listens, thinks and speaks; known once started.
        services: The services; known once started.
    """

    def __init__(
        self,
        *,
        mind: Mind | Literal["scripted", "local"] = "scripted",
        scenario: Path | str | Mapping[str, Any] | Scenario | None = None,
        profile: Profile | Path | str = "instant",
        faults: Faults | Iterable[Fault] = (),
        host: str = HOST,
        advertise: str = "",
        speech_port: int = 0,
        tts_port: int = 0,
        live_port: int = 0,
        http_port: int = 0,
        grpc_tls_port: int = 0,
        tls_port: int | None = None,
        llm_path: Path | None = None,
        api_key: str | None = None,
        speech_limits: SpeechLimits | None = None,
        tts_limits: TtsLimits | None = None,
        clock_scale: float = 1.0,
        buckets: Path | None = None,
        tls_folder: Path | None = None,
        log_entries: int | None = None,
    ) -> None:
        self.profile = profile if isinstance(profile, Profile) else load_profile(profile)
        self.faults = faults if isinstance(faults, Faults) else Faults(list(faults))
        self.log = UsageLog(log_entries)
        self.env: dict[str, str] = {}
        self.extra_env: dict[str, str] = {}
        self.ports: dict[str, int] = {}
        self.mind: Mind | None = None
        self.services: Services | None = None
        self.host = host
        self.advertised = advertise or (HOST if host in _ANY_ADDRESS else host)
        self._mind = mind
        self._scenario = scenario
        self._wanted = {
            "speech": speech_port,
            "tts": tts_port,
            "live": live_port,
            "http": http_port,
            "grpc_tls": grpc_tls_port,
        }
        self._tls_port = tls_port
        self._tls_folder = tls_folder
        self._llm_path = llm_path
        self._api_key = api_key
        self._clock_scale = clock_scale
        self._settings: dict[str, Any] = {
            "api_key": api_key,
            "speech_limits": speech_limits,
            "tts_limits": tts_limits,
            "clock_scale": clock_scale,
            "buckets": buckets,
        }
        self._grpc: grpc.aio.Server | None = None
        self._web: WebServer | None = None
        self._front: TlsFront | None = None
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
        if self._front is not None:
            await self._front.stop()
            self._front = None
        if self._web is not None:
            await self._web.stop()
            self._web = None
        if self.services is not None:
            await self.services.operations.stop()
        if self._grpc is not None:
            await self._grpc.stop(None)
            self._grpc = None
        if self.mind is not None:
            await self.mind.close()
            self.mind = None
        if self._certificate is not None:
            self._certificate.remove()
            self._certificate = None

    # Control

    def describe(self) -> dict[str, Any]:
        """Say how it is set."""
        scripted = isinstance(self._mind, str) and self._mind == "scripted"
        return {
            "mind": self._mind if isinstance(self._mind, str) else type(self._mind).__name__,
            "profile": self.profile.name,
            "clock_scale": self._clock_scale,
            "scripted": scripted,
            "ports": self.ports,
            "live_sessions": len(self.services.live.store.sessions) if self.services else 0,
        }

    async def change(self, settings: Mapping[str, Any]) -> None:
        """Take other settings, from the next call or connection on.

        Args:
            settings: ``scenario`` (as its file's content), ``profile`` (a name, or tables), ``clock_scale``.

        Raises:
            EmulatorError: If one of them is not valid; then none is taken.
        """
        if unknown := sorted(set(settings) - {"scenario", "profile", "clock_scale"}):
            raise EmulatorError(f"There is no setting {unknown[0]!r}: use scenario, profile or clock_scale.")
        scale = settings.get("clock_scale", self._clock_scale)
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not scale > 0:
            raise EmulatorError("clock_scale must be a number above zero.")
        profile = self.profile
        if isinstance(wanted := settings.get("profile"), Mapping):
            profile = parse_profile("custom", dict(wanted))
        elif wanted is not None:
            profile = load_profile(str(wanted))
        scenario = self._scenario
        if "scenario" in settings:
            if not isinstance(settings["scenario"], Mapping):
                raise EmulatorError("scenario must be an object, as a scenario file holds it.")
            scenario = await asyncio.to_thread(load_scenario, settings["scenario"])
        if self._mind == "scripted":
            mind = await asyncio.to_thread(_create_scripted_mind, scenario, profile)
            self._use(mind)
        elif "scenario" in settings:
            raise EmulatorError("Only the scripted mind follows a scenario.")
        self._scenario, self.profile, self._clock_scale = scenario, profile, float(scale)
        if self.services is not None:
            self.services.use_profile(profile)
            self.services.scale_clock(self._clock_scale)

    async def reset(self) -> None:
        """Begin anew: the scenario from its start, no faults, an empty log."""
        clear_faults(self.faults)
        if self.services is not None:
            self.services.live.script.reset(self.faults.live)
        self.log.clear()
        if self._mind == "scripted":
            self._use(await asyncio.to_thread(_create_scripted_mind, self._scenario, self.profile))

    def _use(self, mind: Mind) -> None:
        self.mind = mind
        if self.services is not None:
            self.services.use_mind(mind)

    # Starting

    async def _create_mind(self) -> Mind:
        if isinstance(self._mind, Mind):
            return self._mind
        if self._mind == "local":
            return await asyncio.to_thread(_create_local_mind, self._llm_path)
        return await asyncio.to_thread(_create_scripted_mind, self._scenario, self.profile)

    async def _serve(self, mind: Mind) -> None:
        self.services = Services(mind, self.profile, faults=self.faults, log=self.log, **self._settings)
        certificate = self._certificate = await asyncio.to_thread(LoopbackCertificate, [self.advertised])
        await self._serve_grpc(self.services, certificate)
        self._web = WebServer(self.services.app(Control(self).routes()))
        context = certificate.server_context()
        self.ports["live"] = await self._web.listen(self.host, self._wanted["live"], context, name="Gemini Live")
        self.ports["http"] = await self._web.listen(self.host, self._wanted["http"], None, name="HTTP")
        if self._tls_port is not None:
            self._front = TlsFront(self.ports["grpc_tls"], self.ports["live"])
            self.ports["tls"] = await self._front.listen(self.host, self._tls_port)
        self._set_environment(certificate)

    async def _serve_grpc(self, services: Services, certificate: LoopbackCertificate) -> None:
        server = self._grpc = grpc.aio.server(handlers=[services.interfaces], options=_SERVER_OPTIONS)
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
        for key, name in (("speech", "Speech-to-Text"), ("tts", "Text-to-Speech"), ("grpc_tls", "gRPC over TLS")):
            port = self._wanted[key]
            address = f"{_bracketed(self.host)}:{port}"
            try:
                _probe(self.host, port)
                if key == "grpc_tls":
                    self.ports[key] = server.add_secure_port(address, credentials)
                else:
                    self.ports[key] = server.add_insecure_port(address)
            except (OSError, RuntimeError) as error:
                raise EmulatorError(
                    f"{name} cannot listen on {address} (is it in use?): choose another port, or 0 for any."
                ) from error
        await server.start()

    def _set_environment(self, certificate: LoopbackCertificate) -> None:
        host = _bracketed(self.advertised)
        https = f"https://{host}:{self.ports['live']}"
        bundle = str(certificate.bundle)
        self.env = {
            "SPEECH_EMULATOR_HOST": f"{host}:{self.ports['speech']}",
            "TEXTTOSPEECH_EMULATOR_HOST": f"{host}:{self.ports['tts']}",
            "GOOGLE_GEMINI_BASE_URL": https,
            "GOOGLE_API_KEY": self._api_key or PLACEHOLDER_KEY,
            "GOOGLE_GENAI_USE_VERTEXAI": "false",
            "SSL_CERT_FILE": bundle,
            **_proxy_exception(self.advertised),
        }
        credentials = certificate.write_credentials(f"{https}/token")
        self.extra_env = {
            "GOOGLE_VERTEX_BASE_URL": https,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "GOOGLE_CLOUD_LOCATION": "us-central1",
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
            "REQUESTS_CA_BUNDLE": bundle,
            "NODE_EXTRA_CA_CERTS": bundle,
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": bundle,
            "HALFCASCADE_EMULATOR_URL": f"http://{host}:{self.ports['http']}",
            "HALFCASCADE_EMULATOR_GRPC_TLS": f"{host}:{self.ports['grpc_tls']}",
        }
        if self._tls_folder is not None:
            certificate.share(self._tls_folder)


def _probe(host: str, port: int) -> None:
    """Fail if a port is taken: gRPC would say so in lines of its own on stderr."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _create_scripted_mind(scenario: Any, profile: Profile) -> Mind:
    parsed = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
    return create_scripted_mind(parsed, profile)


def _create_local_mind(llm_path: Path | None) -> Mind:
    try:
        local = importlib.import_module("halfcascade.emulator.minds.local")
    except ImportError as error:
        raise EmulatorError(
            f"The local mind is not installed ({error}): run {how_to_install('demo')}, or use `--mind scripted`."
        ) from error
    mind: Mind = local.create_local_mind(llm_path=llm_path)
    return mind


def _proxy_exception(host: str) -> dict[str, str]:
    """Keep clients from asking a proxy for the emulator, where one is set."""
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return {}
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(dict.fromkeys(name for name in (known, host, HOST, "localhost") if name))
    return {"no_proxy": value, "NO_PROXY": value}
