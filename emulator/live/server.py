"""Gemini alone, on a port of its own: for tests and benches that need no other API."""

import ssl

from halfcascade.emulator.faults import Faults
from halfcascade.emulator.generate.service import GenerateService
from halfcascade.emulator.live.service import LiveService
from halfcascade.emulator.log import UsageLog
from halfcascade.emulator.minds.base import Mind, Thinker
from halfcascade.emulator.minds.scripted_listener import ScriptedListener
from halfcascade.emulator.minds.scripted_speaker import ScriptedSpeaker
from halfcascade.emulator.profiles import Profile
from halfcascade.emulator.web.app import App
from halfcascade.emulator.web.server import WebServer


class LiveServer:
    """Serves Gemini, Live and over HTTP, the Developer API's and Vertex's.

    Parameters:
        thinker: What answers; None = that of the mind.
        profile: Latencies; None = none.
        ssl_context: TLS; None = plaintext, which google-genai does not speak.
        host: Address to listen on.
        port: Port, 0 = any.
        faults: Faults of all APIs; those in its ``live`` are obeyed.
        log: Where all that is received and sent is noted, but no API keys, and of audio only the size; None = nowhere.
        clock_scale: How much faster the clock of limits runs, see ``LiveService``.
        api_key: The one key that is accepted; None = any.
        mind: What listens and speaks too; None = the scripted ones.

    Attributes:
        port: The port; known once started.
    """

    def __init__(
        self,
        thinker: Thinker | None = None,
        profile: Profile | None = None,
        *,
        ssl_context: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        faults: Faults | None = None,
        log: UsageLog | None = None,
        clock_scale: float = 1.0,
        api_key: str | None = None,
        mind: Mind | None = None,
    ) -> None:
        profile, faults = profile or Profile(), faults or Faults()
        if mind is None:
            if thinker is None:
                raise ValueError("give a thinker or a mind")
            mind = Mind(ScriptedListener(profile.listener), thinker, ScriptedSpeaker(profile.speaker))
        self.log = log
        self.live = LiveService(mind, profile, faults=faults, log=log, clock_scale=clock_scale, api_key=api_key)
        self.store, self.script = self.live.store, self.live.script
        generate = GenerateService(
            mind, profile, self.live.tokens, faults=faults, log=log or UsageLog(0), api_key=api_key
        )
        self._web = WebServer(App(generate.routes(), [self.live.serve]))
        self._ssl = ssl_context
        self._host = host
        self.port = port

    async def start(self) -> int:
        """Listen.

        Returns:
            The port.

        Raises:
            EmulatorError: If the address cannot be listened on.
        """
        self.port = await self._web.listen(self._host, self.port, self._ssl, name="Gemini Live")
        return self.port

    async def stop(self) -> None:
        """Close every connection and the port."""
        await self._web.stop()
