"""A Live server on loopback, and google-genai clients led to it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from google import genai

from halfcascade.emulator.live.server import LiveServer
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Thinker
from halfcascade.emulator.minds.scripted_thinker import ScriptedThinker
from halfcascade.emulator.tls import LoopbackCertificate

KEY = "a-secret-key"
Serve = Callable[..., Awaitable[LiveServer]]


@pytest.fixture(scope="session")
def certificate() -> Iterator[LoopbackCertificate]:
    certificate = LoopbackCertificate()
    yield certificate
    certificate.remove()


@pytest.fixture
async def serve(certificate: LoopbackCertificate, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Start servers; the last one started is where new google-genai clients go."""
    servers = []

    async def start(thinker: Thinker | None = None, **options: Any) -> LiveServer:
        server = LiveServer(
            thinker or ScriptedThinker(), ssl_context=certificate.server_context(), log=UsageLog(), **options
        )
        port = await server.start()
        servers.append(server)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"https://127.0.0.1:{port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.bundle))
        monkeypatch.setenv("GOOGLE_API_KEY", KEY)
        for name in ("GEMINI_API_KEY", "GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_ENTERPRISE"):
            monkeypatch.delenv(name, raising=False)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture
def client(serve: Serve) -> Callable[..., genai.Client]:
    """Make google-genai clients after the server was started."""
    return genai.Client
