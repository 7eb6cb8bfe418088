"""``serve``: talking through browsers, telephones and WebSockets."""

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from halfcascade.bot.backend import extras_of_servers
from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.serve.settings import SERVE_PREFIX, ServeSettings
from halfcascade.bot.settings import Backend
from halfcascade.bot.terminal import Terminal
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the command.

    Args:
        app: The command line.
        settings_of: Makes settings of options.
    """

    @app.command()
    def serve(  # noqa: PLR0917 a command's options
        host: Annotated[
            str | None, typer.Option(help="Address to bind to; beyond loopback a token is needed.", metavar="HOST")
        ] = None,
        port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one.", metavar="PORT")] = None,
        backend: Annotated[Backend | None, typer.Option(help="Which servers; auto looks for credentials.")] = None,
        language: Annotated[str | None, typer.Option(help="Locale, such as en-US or ko-KR.", metavar="LOCALE")] = None,
        voice: Annotated[str | None, typer.Option(help="Chirp 3 HD voice, such as Charon.", metavar="NAME")] = None,
        model: Annotated[str | None, typer.Option(help="Gemini Live model.", metavar="NAME")] = None,
        most_talks: Annotated[
            int | None, typer.Option(help="How many talks there may be at once.", metavar="N")
        ] = None,
        keep_sessions: Annotated[
            Path | None,
            typer.Option(help="Keep the session folders of visitors here; without it nothing is kept.", metavar="DIR"),
        ] = None,
        public_host: Annotated[
            str | None, typer.Option(help="Name by which the world reaches this server behind a proxy.", metavar="NAME")
        ] = None,
        evals: Annotated[bool, typer.Option("--evals", help="Let Pipecat's eval harness in.")] = False,
        cluster: Annotated[
            str | None,
            typer.Option(help="Ray cluster that holds the talks: its address, auto, or local.", metavar="ADDRESS"),
        ] = None,
        verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show every log line.")] = False,
    ) -> None:
        """Serve a page to talk with in a browser, and the same bot by telephone and WebSocket."""
        terminal = Terminal()
        settings = settings_of({"backend": backend, "language": language, "voice": voice, "model": model}, terminal)
        chosen = {
            "host": host,
            "port": port,
            "most_talks": most_talks,
            "keep_sessions": keep_sessions,
            "public_host": public_host,
            "evals": evals or None,
            "cluster": cluster,
        }
        try:
            serving = _serve_settings({name: value for name, value in chosen.items() if value is not None})
            serving.check()
            require("Serving", *extras_of_servers(settings.backend), "serve")
            if serving.cluster:
                require("Talks on a cluster", "scale")
        except ConfigurationError as error:
            terminal.fail(str(error))
            raise typer.Exit(2) from None
        from halfcascade.bot.serve.server import run_server

        raise typer.Exit(run_server(settings, serving, terminal=terminal, verbose=verbose))


def _serve_settings(given: dict[str, Any]) -> ServeSettings:
    try:
        return ServeSettings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        where = f"--{name.replace('_', '-')}" if name in given else f"{SERVE_PREFIX}{name.upper()}"
        raise ConfigurationError(f"{where}: {first['msg']}.") from None
