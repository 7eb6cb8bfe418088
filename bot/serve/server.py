"""The server as a process: its address, signals, log, and an end that lets people finish."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import uvicorn
from loguru import logger

from halfcascade.bot.choices import check_choices, check_services
from halfcascade.bot.loading import load
from halfcascade.bot.logs import intercept_logging, log_to
from halfcascade.bot.outcome import Outcome, ending_on_signals
from halfcascade.bot.serve.access import Gatekeeper
from halfcascade.bot.serve.app import App
from halfcascade.bot.serve.house import House, Servers, find_servers
from halfcascade.bot.serve.limits import Allowance, Strain
from halfcascade.bot.serve.settings import ServeSettings
from halfcascade.bot.session.redaction import Redactor
from halfcascade.bot.session.retention import forget_old_sessions
from halfcascade.bot.settings import Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import missing_extra

_HOUR_SECS = 3600.0
# uvicorn's, between two ticks.
_TICK_SECS = 0.1


class Server(uvicorn.Server):
    """Leaves signals to us, so that talks may end first, tells when it serves, and feels how late it is.

    Args:
        config: Of uvicorn.
        strain: Learns how late each tick comes.
    """

    def __init__(self, config: uvicorn.Config, strain: Strain):
        super().__init__(config)
        self.serving = asyncio.Event()
        self._strain = strain
        self._ticked: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Begin to serve, and tell."""
        await super().startup(sockets)
        self.serving.set()

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does now and then.

        Args:
            counter: Number of the tick.

        Returns:
            Whether to end.
        """
        now = time.monotonic()
        if self._ticked is not None:
            self._strain.late(max(0.0, now - self._ticked - _TICK_SECS), now)
        self._ticked = now
        return await super().on_tick(counter)


def run_server(settings: Settings, serve: ServeSettings, *, terminal: Terminal, verbose: bool = False) -> int:
    """Serve until a signal comes.

    Args:
        settings: What a talk is like.
        serve: What the server is like.
        terminal: Where to tell.
        verbose: Whether log lines of every kind are shown.

    Returns:
        The process's exit code.
    """
    try:
        serve.check()
        with asyncio.Runner(loop_factory=_event_loop()) as runner:
            return runner.run(_serve(settings, serve, terminal, verbose=verbose))
    except ConfigurationError as error:
        terminal.fail(str(error))
    except KeyboardInterrupt:
        return 0
    return 1


def _event_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Whatever makes the fastest event loop there is; None where that is Python's own, as on Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(settings: Settings, serve: ServeSettings, terminal: Terminal, *, verbose: bool) -> int:
    redactor = Redactor.from_environment({**os.environ, "TOKEN": serve.secret or ""})
    log_to(sys.stderr, redactor, level="DEBUG" if verbose else "WARNING")
    intercept_logging()
    # At a lower level it writes the paths of sockets, tickets among them.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    outcome = Outcome()
    with ending_on_signals(outcome):
        socket = bind(serve)
        # Before anything is loaded for it, rather than to the first visitor.
        await asyncio.to_thread(check_choices, settings)
        with terminal.working(tr("Finding the servers")):
            loading = () if serve.cluster else (load(settings.listen_for),)
            servers, *_ = await asyncio.gather(find_servers(settings), *loading)
        house = House(settings, serve, servers.environ, redactor=redactor, traced=set_up_traces())
        keeper = Gatekeeper(serve.secret, serve.origins, serve.hosts)
        try:
            # Not before: what it imports is what was loaded.
            await asyncio.to_thread(check_services, settings)
            async with _app(house, keeper, servers) as app:
                await _hold_open(app, serve, servers, socket, outcome=outcome, terminal=terminal)
        finally:
            await servers.close()
    if outcome.failure:
        terminal.fail(redactor.text(outcome.failure))
    return outcome.exit_code


@contextlib.asynccontextmanager
async def _app(house: House, keeper: Gatekeeper, servers: Servers) -> AsyncIterator[App]:
    """The talks of this process, or the front of those that a cluster holds."""
    if not house.serve.cluster:
        yield App(house, keeper)
        return
    from halfcascade.bot.scale.front import front

    async with front(house, keeper, emulated=bool(servers.emulator)) as before_the_cluster:
        yield before_the_cluster


def set_up_traces() -> bool:
    """Send traces where OpenTelemetry's own variable says, if it is set.

    Returns:
        Whether they are sent.

    Raises:
        ConfigurationError: If they are wanted and the packages for it are missing.
    """
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return False
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise missing_extra("trace", error) from error
    from pipecat.utils.tracing.setup import setup_tracing

    return setup_tracing("halfcascade", OTLPSpanExporter())


def server_of(app: App, serve: ServeSettings) -> Server:
    """Make the server of an application.

    Args:
        app: What answers.
        serve: What the server is like.
    """
    return Server(
        uvicorn.Config(
            app.build(),
            log_config=None,
            # Tickets are part of paths: no line of a log shall hold one.
            access_log=False,
            ws_max_size=Allowance().message_bytes,
            ws_max_queue=64,
            # Samples hardly get smaller, and each talk would pay for the attempt.
            ws_per_message_deflate=False,
            ssl_certfile=serve.tls_certificate,
            ssl_keyfile=serve.tls_key,
            proxy_headers=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=5,
        ),
        app.strain,
    )


async def _hold_open(
    app: App, serve: ServeSettings, servers: Servers, socket: Any, *, outcome: Outcome, terminal: Terminal
) -> None:
    server = server_of(app, serve)
    running = asyncio.create_task(server.serve(sockets=[socket]), name="server")
    others = [
        asyncio.create_task(_watch(servers, outcome)),
        asyncio.create_task(_forget(serve)),
    ]
    over = asyncio.create_task(outcome.over.wait())
    serving = asyncio.create_task(server.serving.wait())
    await asyncio.wait({running, serving}, return_when=asyncio.FIRST_COMPLETED)
    terminal.say(tr("Talk at {url}  (Ctrl-C ends)").format(url=f"{serve.url}/"), "bold")
    try:
        await asyncio.wait({running, over}, return_when=asyncio.FIRST_COMPLETED)
        await _drain(app, serve, outcome, terminal)
        await app.close()
    finally:
        server.should_exit = True
        for task in (*others, over, serving):
            task.cancel()
        await asyncio.gather(running, *others, over, serving, return_exceptions=True)


async def _drain(app: App, serve: ServeSettings, outcome: Outcome, terminal: Terminal) -> None:
    """Let nobody else in, and let those who talk finish; on Ctrl-C a person waits, so talks end at once."""
    patience = serve.drain_secs if outcome.signal == signal.SIGTERM else 0.0
    if app.taken and patience:
        told = tr("Waiting up to {secs} s for {talks} talks to end …")
        terminal.say(told.format(secs=f"{patience:.0f}", talks=app.taken))
    await app.drain(patience)


async def _watch(servers: Servers, outcome: Outcome) -> None:
    if servers.emulator:
        outcome.fail(await servers.emulator.died())


async def _forget(serve: ServeSettings) -> None:
    while serve.keep_sessions:
        try:
            await asyncio.to_thread(forget_old_sessions, serve.keep_sessions, serve.keep_days)
        except OSError as error:
            logger.error(f"Old sessions in {serve.keep_sessions} could not be deleted: {error}.")
        await asyncio.sleep(_HOUR_SECS)


def bind(serve: ServeSettings) -> Any:
    """Take the port before anything slow is started.

    Args:
        serve: Names the address; learns the port if it was 0.

    Raises:
        ConfigurationError: If it cannot be had.
    """
    import socket

    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((serve.host, serve.port))
    except OSError as error:
        bound.close()
        raise ConfigurationError(
            f"{serve.host}:{serve.port} cannot be served ({error.strerror}): choose another with --port."
        ) from error
    serve.port = bound.getsockname()[1]
    return bound
