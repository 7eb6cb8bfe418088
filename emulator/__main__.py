"""``python -m emulator``: Google's three streaming APIs on loopback, for any Google client."""

import asyncio
import json
import os
import shlex
import signal
import stat
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from loguru import logger

from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.server import GoogleEmulator

_PARENT_CHECK_SECS = 0.5
_LOG_ENTRIES = 1_000  # Nobody reads the log of a program; it may run for days.
_REDIRECT = Path(__file__).parent / "redirect"


class MindName(StrEnum):
    """Minds that come with the emulator."""

    SCRIPTED = "scripted"
    LOCAL = "local"


app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def main(
    *,
    mind: Annotated[MindName, typer.Option(help="What listens, thinks and speaks.")] = MindName.SCRIPTED,
    scenario: Annotated[Path | None, typer.Option(help="TOML or JSON file of the scripted mind.")] = None,
    profile: Annotated[str, typer.Option(help="Latency profile: a name or a TOML file.")] = "",
    llm: Annotated[Path | None, typer.Option(help="GGUF file of a bigger language model for the local mind.")] = None,
    port_speech: Annotated[int, typer.Option(min=0, max=65_535, help="Speech-to-Text, 0 = any.")] = 0,
    port_tts: Annotated[int, typer.Option(min=0, max=65_535, help="Text-to-Speech, 0 = any.")] = 0,
    port_live: Annotated[int, typer.Option(min=0, max=65_535, help="Gemini Live, 0 = any.")] = 0,
    api_key: Annotated[str | None, typer.Option(help="The one API key that Gemini Live accepts.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line instead of export lines.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Write the same JSON here once ready.")] = None,
    exit_with_parent: Annotated[bool, typer.Option(help="End when the process that started this one ends.")] = False,
) -> None:
    """Serve Speech-to-Text v2, Text-to-Speech v1 and Gemini Live on loopback until SIGINT or SIGTERM."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    try:
        if mind == MindName.LOCAL:
            asyncio.run(_fetch_weights(llm))
        google = GoogleEmulator(
            mind=mind.value,
            scenario=scenario,
            # Scripted without a profile is for trying out clients, so it is as fast as the services are.
            profile=profile or ("reference" if mind == MindName.SCRIPTED else "instant"),
            speech_port=port_speech,
            tts_port=port_tts,
            live_port=port_live,
            api_key=api_key,
            llm_path=llm,
            log_entries=_LOG_ENTRIES,
        )
        asyncio.run(_serve(google, as_json=as_json, ready_file=ready_file, exit_with_parent=exit_with_parent))
    except EmulatorError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


async def _fetch_weights(llm: Path | None) -> None:
    from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages
    from halfcascade.emulator.minds.local.weights import fetch_weights

    if lacks_weights(llm) and not missing_packages():
        await fetch_weights(lambda line: typer.echo(line, err=True))


async def _serve(google: GoogleEmulator, *, as_json: bool, ready_file: Path | None, exit_with_parent: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    watch = asyncio.create_task(_watch_parent(ended)) if exit_with_parent else None
    running = asyncio.create_task(google.start())
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return
        running.result()
        _announce(google, as_json=as_json, ready_file=ready_file)
        await waiting
    finally:
        for task in (running, waiting, watch):
            if task is not None:
                task.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await google.stop()


def _announce(google: GoogleEmulator, *, as_json: bool, ready_file: Path | None) -> None:
    ready: dict[str, Any] = {"pid": os.getpid(), "ports": google.ports, "environment": google.env}
    if ready_file is not None:
        # In one step, so that nobody reads half of it.
        unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(ready, file)
        unfinished.replace(ready_file)
    if as_json:
        typer.echo(json.dumps(ready))
    else:
        typer.echo("# Google's APIs are served here until Ctrl-C. For another terminal:")
        for name, value in google.env.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        typer.echo("# Google's Python speech clients know no such variables; unchanged programs follow them with:")
        typer.echo(f"export PYTHONPATH={shlex.quote(str(_REDIRECT))}")
    sys.stdout.flush()


async def _watch_parent(ended: asyncio.Event) -> None:
    """End when the parent does: its process id changes then, or its end of a pipe on stdin is closed."""
    parent = os.getppid()
    if stat.S_ISFIFO(os.fstat(sys.stdin.fileno()).st_mode):
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _read_stdin, ended)
    while os.getppid() == parent:  # noqa: ASYNC110 - the system tells nobody
        await asyncio.sleep(_PARENT_CHECK_SECS)
    ended.set()


def _read_stdin(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


if __name__ == "__main__":
    app()
