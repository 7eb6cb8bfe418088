"""A server of talks on one node of a cluster, as a Ray actor: an `App` like any, with tickets for the front alone."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from loguru import logger
from pydantic import SecretStr

from halfcascade.bot.loading import load
from halfcascade.bot.logs import intercept_logging, log_to
from halfcascade.bot.scale.placement import Report
from halfcascade.bot.serve.access import Gatekeeper, is_loopback
from halfcascade.bot.serve.app import App
from halfcascade.bot.serve.house import House
from halfcascade.bot.serve.server import bind, server_of, set_up_traces
from halfcascade.bot.serve.settings import SERVE_PREFIX, ServeSettings
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.settings import Settings
from halfcascade.processors.errors import ConfigurationError


class Place:
    """Holds talks on the node on which Ray starts it.

    Args:
        settings: What a talk is like.
        serve: What the front is like; the place has an address of its own.
        origins: Origins of pages that may connect: the front's.
        emulator: Variables that lead to an emulator on the front's machine, or None to use the node's own environment.
        front_host: The front's address in the cluster.
    """

    def __init__(
        self,
        settings: Settings,
        serve: ServeSettings,
        origins: Sequence[str],
        emulator: Mapping[str, str] | None,
        front_host: str,
    ):
        self._settings = settings
        # Without a token that somebody knows, there is still no way in but by a ticket.
        token = serve.token or SecretStr(secrets.token_urlsafe(32))
        # The world reaches a node by a name of its own, if it does; certificates are the business of what stands there.
        public_host = os.environ.get(f"{SERVE_PREFIX}PUBLIC_HOST") or None
        own = {"port": 0, "token": token, "public_host": public_host, "origins": list(origins), "cluster": None}
        self._serve = serve.model_copy(update={**own, "tls_certificate": None, "tls_key": None})
        self._emulator = emulator
        self._front_host = front_host
        self._opening: asyncio.Task[None] | None = None
        self._app: App | None = None
        self._server: Any = None

    async def open(self, host: str) -> Report:
        """Serve, unless it does already.

        Args:
            host: The node's address.

        Returns:
            The first report.

        Raises:
            ConfigurationError: If the services cannot be reached from here, or the address cannot be served.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(host))
        await asyncio.shield(self._opening)
        return await self.report()

    async def _open(self, host: str) -> None:
        if self._emulator and not is_loopback(host) and host != self._front_host:
            raise ConfigurationError(
                "The embedded emulator serves its own machine only: nodes elsewhere need Google credentials."
            )
        self._serve.host = host
        redactor = Redactor.from_environment({**os.environ, "TOKEN": self._serve.secret or ""})
        log_to(sys.stderr, redactor, level="INFO")
        intercept_logging()
        await load(self._settings.listen_for)
        environ = {**os.environ, **(self._emulator or {})}
        self._house = House(self._settings, self._serve, environ, redactor=redactor, traced=set_up_traces())
        self._keeper = Gatekeeper(self._serve.secret, self._serve.origins, hosts=())
        socket = bind(self._serve)
        self._app = App(self._house, self._keeper)
        self._server = server_of(self._app, self._serve)
        self._serving = asyncio.create_task(self._server.serve(sockets=[socket]))
        await self._server.serving.wait()
        logger.info(f"Talks are held at {self._serve.url}.")

    async def report(self) -> Report:
        """Tell how it goes."""
        rooms = self._house.rooms
        return Report(self._serve.url, self._stream_url(), rooms.taken, rooms.most, rooms.draining)

    def _stream_url(self) -> str:
        if self._serve.public_host:
            return f"wss://{self._serve.public_host}"
        return self._serve.url.replace("http", "ws", 1)

    async def issue(self, wishes: dict[str, Any]) -> str | None:
        """Give a ticket for one talk here.

        Args:
            wishes: What is asked for.

        Returns:
            The ticket, or None if there is no room.
        """
        return self._keeper.issue(time.monotonic(), wishes) if self._house.rooms.has_room else None

    async def drain(self, patience: float) -> None:
        """Let nobody else in, let talks finish, and end those that do not.

        Args:
            patience: How long they may go on, in seconds.
        """
        if self._app:
            await self._app.drain(patience)
            await self._app.close()
