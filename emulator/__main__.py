"""``python -m emulator``: Google's speech and language APIs on this machine, for any Google client."""

import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from loguru import logger

from halfcascade.emulator.lean import leave_out_clients

if __name__ == "__main__":
    leave_out_clients()

from halfcascade.emulator.announce import Reader, Served, lines, ready
from halfcascade.emulator.bugs import BUGS, add_bug
from halfcascade.emulator.errors import EmulatorError
from halfcascade.emulator.faults import Faults
from halfcascade.emulator.server import GoogleEmulator
from halfcascade.lines import tr_error, use_language
from halfcascade.usage import Commands, print_error

_PARENT_CHECK_SECS = 0.5
_LOG_ENTRIES = 1_000  # Nobody reads the log of a program; it may run for days.
# Ports that stay, so that they can be written into settings; a program that starts this one takes any.
_PORTS = {"speech": 9085, "tts": 9086, "live": 9443, "http": 9080, "grpc_tls": 9444}


class MindName(StrEnum):
    """Minds that come with the emulator."""

    SCRIPTED = "scripted"
    LOCAL = "local"


app = Commands(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _port(what: str) -> Any:
    return typer.Option(min=0, max=65_535, help=f"{what}; 0 = any.")


@app.command()
def main(
    *,
    mind: Annotated[MindName, typer.Option(help="What listens, thinks and speaks.")] = MindName.SCRIPTED,
    scenario: Annotated[Path | None, typer.Option(help="TOML or JSON file of the scripted mind.")] = None,
    profile: Annotated[str, typer.Option(help="Latency profile: a name or a TOML file.")] = "",
    llm: Annotated[Path | None, typer.Option(help="GGUF file of a bigger language model for the local mind.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 = reachable by others.")] = "127.0.0.1",
    advertise: Annotated[str, typer.Option(help="Name or address under which clients reach it.")] = "",
    port_speech: Annotated[int | None, _port("Speech-to-Text (9085)")] = None,
    port_tts: Annotated[int | None, _port("Text-to-Speech (9086)")] = None,
    port_live: Annotated[int | None, _port("Gemini, REST and control over HTTPS (9443)")] = None,
    port_http: Annotated[int | None, _port("the same without TLS (9080)")] = None,
    port_grpc_tls: Annotated[int | None, _port("both speech services over TLS (9444)")] = None,
    port_tls: Annotated[int | None, _port("gRPC and HTTPS together, as Google serves them (none)")] = None,
    any_port: Annotated[bool, typer.Option(help="Take any free ports instead of the usual ones.")] = False,
    api_key: Annotated[str | None, typer.Option(help="The one API key that Gemini accepts.")] = None,
    clock_scale: Annotated[float, typer.Option(min=0.001, help="How much faster the clocks of limits run.")] = 1.0,
    fault: Annotated[list[str] | None, typer.Option(help=f"Lets go wrong: {', '.join(BUGS)}.")] = None,
    seed: Annotated[int, typer.Option(help="Decides what is random in faults.")] = 0,
    buckets: Annotated[Path | None, typer.Option(help="Folder that stands for Cloud Storage.")] = None,
    record: Annotated[Path | None, typer.Option(help="Go on to Google, and write every call into this folder.")] = None,
    replay: Annotated[Path | None, typer.Option(help="Answer from the cassettes of this folder.")] = None,
    tls_folder: Annotated[Path | None, typer.Option(help="Write the trust bundle and credentials there too.")] = None,
    show: Annotated[Reader, typer.Option("--print", help="For whom the lines are that it prints.")] = Reader.SHELL,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --print json.")] = False,
    ready_file: Annotated[Path | None, typer.Option(help="Write the same JSON here once ready; any ports.")] = None,
    exit_with_parent: Annotated[bool, typer.Option(help="End when the process that started this one ends.")] = False,
) -> None:
    """Serve Speech-to-Text, Text-to-Speech and Gemini until SIGINT or SIGTERM."""
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    if ready_file is not None:
        use_language("en")  # A program reads what is told, and translates it for its own person.
    wanted = {
        "speech": port_speech,
        "tts": port_tts,
        "live": port_live,
        "http": port_http,
        "grpc_tls": port_grpc_tls,
    }
    usual = dict.fromkeys(_PORTS, 0) if any_port or ready_file is not None else _PORTS
    ports: dict[str, Any] = {f"{name}_port": usual[name] if port is None else port for name, port in wanted.items()}
    where: dict[str, Any] = {
        "host": host,
        "advertise": advertise,
        "tls_port": port_tls,
        "api_key": api_key,
        "tls_folder": tls_folder,
        **ports,
    }
    try:
        if ready_file is not None and not ready_file.absolute().parent.is_dir():
            told = f"There is no folder {ready_file.parent}: make it first, or name another file."
            raise EmulatorError(told)
        google: Served
        if record is not None or replay is not None:
            google = _of_cassettes(record, replay, speed=clock_scale, where=where)
        else:
            if mind == MindName.LOCAL:
                asyncio.run(_fetch_weights(llm))
            faults = Faults()
            faults.live.seed = seed
            for name in fault or ():
                add_bug(faults, name)
            google = GoogleEmulator(
                mind=mind.value,
                scenario=scenario,
                # Scripted without a profile is for trying out clients, so it is as fast as the services are.
                profile=profile or ("reference" if mind == MindName.SCRIPTED else "instant"),
                faults=faults,
                clock_scale=clock_scale,
                buckets=buckets,
                llm_path=llm,
                log_entries=_LOG_ENTRIES,
                **where,
            )
        reader = Reader.JSON if as_json else show
        asyncio.run(_serve(google, reader=reader, ready_file=ready_file, exit_with_parent=exit_with_parent))
    except EmulatorError as error:
        print_error(str(error))
        raise typer.Exit(1) from None
    finally:
        if ready_file is not None:
            ready_file.unlink(missing_ok=True)


def _of_cassettes(record: Path | None, replay: Path | None, *, speed: float, where: dict[str, Any]) -> Served:
    """Make what records, or what plays: most programs need neither."""
    if record is not None and replay is not None:
        raise EmulatorError("Either --record or --replay: one run does not do both.")
    if record is not None:
        from halfcascade.emulator.cassettes.recorder import Recorder

        return Recorder(record, **where)
    from halfcascade.emulator.cassettes.player import Player

    return Player(replay or Path(), speed=speed, **where)


async def _fetch_weights(llm: Path | None) -> None:
    from halfcascade.emulator.minds.local.packages import lacks_weights, missing_packages
    from halfcascade.emulator.minds.local.weights import fetch_weights

    if lacks_weights(llm) and not missing_packages():
        await fetch_weights(lambda line: typer.echo(tr_error(line), err=True))


async def _serve(google: Served, *, reader: Reader, ready_file: Path | None, exit_with_parent: bool) -> None:
    ended = asyncio.Event()
    _end_by_signal(ended)
    watch = asyncio.create_task(_watch_parent(ended)) if exit_with_parent else None
    running = asyncio.create_task(google.start())
    waiting = asyncio.create_task(ended.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return
        running.result()
        _announce(google, reader=reader, ready_file=ready_file)
        await waiting
    finally:
        for task in (running, waiting, watch):
            if task is not None:
                task.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await google.stop()


def _end_by_signal(ended: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, ended.set)
        except NotImplementedError:  # Windows: its event loop handles none.
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(ended.set))


def _announce(google: Served, *, reader: Reader, ready_file: Path | None) -> None:
    if ready_file is not None:
        # In one step, so that nobody reads half of it.
        unfinished = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(ready(google), file)
        unfinished.replace(ready_file)
    for line in lines(google, reader):
        typer.echo(line)
    sys.stdout.flush()


async def _watch_parent(ended: asyncio.Event) -> None:
    """End when the parent does: its process id changes then, or its end of a pipe on stdin is closed."""
    parent = os.getppid()
    # Windows watches no pipe, and a program without a console has none.
    with contextlib.suppress(NotImplementedError, AttributeError, OSError):
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
