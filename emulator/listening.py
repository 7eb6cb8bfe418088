"""The ports of one emulator, whatever answers behind them, and the environment that leads clients there."""

import asyncio
import os
import socket
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.tls import LoopbackCertificate
from halfcascade.emulator.web.front import TlsFront
from halfcascade.emulator.web.server import WebServer

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


class Ports:
    """gRPC in plaintext and over TLS, HTTP and websockets in plaintext and over TLS.

    Parameters:
        host: Address to listen on.
        advertise: Name or address under which clients reach it; "" = ``host``, or loopback where that is any address.
        speech_port: Port of Speech-to-Text, 0 = any.
        tts_port: Port of Text-to-Speech, 0 = any.
        live_port: HTTPS port of Gemini, of the REST transports and of control, 0 = any.
        http_port: The same without TLS, 0 = any.
        grpc_tls_port: Both speech services over TLS, 0 = any.
        tls_port: gRPC and HTTPS together, as Google serves them; 0 = any, None = there is none.
        tls_folder: Where the bundle and the credentials are written too, for other containers; None = nowhere.
        api_key: What clients are told to use for their key; None = anything.

    Attributes:
        ports: Ports by API (``speech``, ``tts``, ``live``, ``http``, ``grpc_tls``, ``tls``); known once started.
        env: Environment that leads Google's clients here; known once started.
        extra_env: Further variables, for clients in other languages, TLS gRPC, Vertex and REST; known once started.
    """

    def __init__(
        self,
        *,
        host: str = HOST,
        advertise: str = "",
        speech_port: int = 0,
        tts_port: int = 0,
        live_port: int = 0,
        http_port: int = 0,
        grpc_tls_port: int = 0,
        tls_port: int | None = None,
        tls_folder: Path | None = None,
        api_key: str | None = None,
    ) -> None:
        self.ports: dict[str, int] = {}
        self.env: dict[str, str] = {}
        self.extra_env: dict[str, str] = {}
        self._host = host
        self._advertised = advertise or (HOST if host in _ANY_ADDRESS else host)
        self._wanted = {
            "speech": speech_port,
            "tts": tts_port,
            "live": live_port,
            "http": http_port,
            "grpc_tls": grpc_tls_port,
        }
        self._tls_port = tls_port
        self._tls_folder = tls_folder
        self._api_key = api_key
        self._grpc: grpc.aio.Server | None = None
        self._web: WebServer | None = None
        self._front: TlsFront | None = None
        self._certificate: LoopbackCertificate | None = None

    async def open(self, handler: grpc.GenericRpcHandler, app: Any) -> None:
        """Listen.

        Args:
            handler: Answers gRPC calls.
            app: ASGI application that answers HTTP requests and websockets.

        Raises:
            EmulatorError: If a port is taken.
        """
        certificate = self._certificate = await asyncio.to_thread(LoopbackCertificate, [self._advertised])
        await self._serve_grpc(handler, certificate)
        self._web = WebServer(app)
        context = certificate.server_context()
        self.ports["live"] = await self._web.listen(self._host, self._wanted["live"], context, name="Gemini Live")
        self.ports["http"] = await self._web.listen(self._host, self._wanted["http"], None, name="HTTP")
        if self._tls_port is not None:
            self._front = TlsFront(self.ports["grpc_tls"], self.ports["live"])
            self.ports["tls"] = await self._front.listen(self._host, self._tls_port)
        self._set_environment(certificate)

    async def close_web(self) -> None:
        """End HTTP and websockets."""
        if self._front is not None:
            await self._front.stop()
            self._front = None
        if self._web is not None:
            await self._web.stop()
            self._web = None

    async def close_grpc(self) -> None:
        """End all gRPC calls."""
        if self._grpc is not None:
            await self._grpc.stop(None)
            self._grpc = None

    def remove_certificate(self) -> None:
        """Delete the files by which clients trust these ports."""
        if self._certificate is not None:
            self._certificate.remove()
            self._certificate = None

    async def _serve_grpc(self, handler: grpc.GenericRpcHandler, certificate: LoopbackCertificate) -> None:
        server = self._grpc = grpc.aio.server(handlers=[handler], options=_SERVER_OPTIONS)
        credentials = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
        for key, name in (("speech", "Speech-to-Text"), ("tts", "Text-to-Speech"), ("grpc_tls", "gRPC over TLS")):
            port = self._wanted[key]
            address = f"{_bracketed(self._host)}:{port}"
            try:
                _probe(self._host, port)
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
        host = _bracketed(self._advertised)
        https = f"https://{host}:{self.ports['live']}"
        bundle = str(certificate.bundle)
        self.env |= {
            "SPEECH_EMULATOR_HOST": f"{host}:{self.ports['speech']}",
            "TEXTTOSPEECH_EMULATOR_HOST": f"{host}:{self.ports['tts']}",
            "GOOGLE_GEMINI_BASE_URL": https,
            "GOOGLE_API_KEY": self._api_key or PLACEHOLDER_KEY,
            "GOOGLE_GENAI_USE_VERTEXAI": "false",
            "SSL_CERT_FILE": bundle,
            **proxy_exception(self._advertised),
        }
        credentials = certificate.write_credentials(f"{https}/token")
        self.extra_env |= {
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


class Served(ABC):
    """Whatever answers behind ports, from ``start`` to ``stop``; ``async with`` does both.

    Attributes:
        ports: Ports by API (see ``Ports``); known once started.
        env: Environment that leads Google's clients here; known once started.
        extra_env: Further variables (see ``Ports``); known once started.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.ports, self.env, self.extra_env = ports.ports, ports.env, ports.extra_env

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.stop()

    @abstractmethod
    async def start(self) -> None:
        """Listen."""

    @abstractmethod
    async def stop(self) -> None:
        """End all calls and close the ports."""


def _probe(host: str, port: int) -> None:
    """Fail if a port is taken: gRPC would say so in lines of its own on stderr."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def proxy_exception(host: str) -> dict[str, str]:
    """Keep clients from asking a proxy for the emulator, where one is set."""
    if not any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return {}
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(dict.fromkeys(name for name in (known, host, HOST, "localhost") if name))
    return {"no_proxy": value, "NO_PROXY": value}
