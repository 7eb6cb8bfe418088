"""The command line."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import load_dotenv
from loguru import logger
from pydantic import ValidationError
from typer.core import TyperGroup

from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal

# Pipecat greets on the terminal when it is imported; a session sends log lines to its folder.
logger.remove()

_DEFAULT_COMMAND = "talk"
_DEMO_AUDIO = Path(__file__).parent / "assets" / "demo_user.wav"


class _TalkByDefault(TyperGroup):
    """Without a command, ``talk`` is meant, with or without options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        wants_help = any(arg in ("--help", "--install-completion", "--show-completion") for arg in args[:1])
        if not wants_help and (not args or args[0] not in self.commands):
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=_TalkByDefault, no_args_is_help=False, pretty_exceptions_enable=False, add_completion=False)

_Backend = Annotated[Backend | None, typer.Option(help="Which servers; auto looks for credentials.")]
_Session = Annotated[
    Path | None, typer.Option(help="Folder for recording, events, transcript and metrics; earlier ones are kept.")
]
_Language = Annotated[str | None, typer.Option(help="Locale, such as en-US or ko-KR.")]
_Voice = Annotated[str | None, typer.Option(help="Chirp 3 HD voice, such as Charon.")]
_Model = Annotated[str | None, typer.Option(help="Gemini Live model.")]
_InputDevice = Annotated[str | None, typer.Option(help="Microphone, by name or part of it.")]
_OutputDevice = Annotated[str | None, typer.Option(help="Loudspeaker, by name or part of it.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show log lines too.")]


@app.callback()
def main() -> None:
    """A local voice bot: Google Speech-to-Text, a Gemini Live session as text, and a Chirp 3 HD voice."""


@app.command()
def talk(  # noqa: PLR0917 a command's options
    backend: _Backend = None,
    user_audio: Annotated[Path | None, typer.Option(help="A WAV file that plays the user's part.")] = None,
    session: _Session = None,
    language: _Language = None,
    voice: _Voice = None,
    model: _Model = None,
    input_device: _InputDevice = None,
    output_device: _OutputDevice = None,
    processor: Annotated[
        list[str] | None, typer.Option(help="A processor of your own, package.module:factory; repeatable.")
    ] = None,
    echo_cancel: Annotated[
        bool | None, typer.Option("--echo-cancel/--no-echo-cancel", help="Cancel the bot's voice in the microphone.")
    ] = None,
    verbose: _Verbose = False,
) -> None:
    """Talk over the local microphone and loudspeaker."""
    chosen = {
        "backend": backend,
        "user_audio": user_audio,
        "session": session,
        "language": language,
        "voice": voice,
        "model": model,
        "input_device": input_device,
        "output_device": output_device,
        "processors": processor or None,
        "echo_cancel": echo_cancel,
    }
    raise typer.Exit(_converse(chosen, verbose=verbose))


@app.command()
def demo(session: _Session = None, verbose: _Verbose = False) -> None:
    """Let a recorded user talk with the bot on the embedded emulator: no account, no microphone."""
    chosen = {"backend": Backend.EMULATOR, "user_audio": _DEMO_AUDIO, "session": session}
    raise typer.Exit(_converse(chosen, verbose=verbose, mirror=True))


@app.command()
def devices() -> None:
    """List the audio devices."""
    from halfcascade.bot.doctor import list_devices

    raise typer.Exit(list_devices(Terminal()))


@app.command()
def doctor(  # noqa: PLR0917 a command's options
    backend: _Backend = None,
    language: _Language = None,
    voice: _Voice = None,
    model: _Model = None,
    input_device: _InputDevice = None,
    output_device: _OutputDevice = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Play nothing on the loudspeaker.")] = False,
) -> None:
    """Check everything that can be wrong before talking."""
    from halfcascade.bot.doctor import run_doctor

    terminal = Terminal()
    chosen = {
        "backend": backend,
        "language": language,
        "voice": voice,
        "model": model,
        "input_device": input_device,
        "output_device": output_device,
    }
    raise typer.Exit(run_doctor(_settings(chosen, terminal), make_noise=not quiet, terminal=terminal))


def _settings(chosen: dict[str, Any], terminal: Terminal) -> Settings:
    """Put options over environment and ``.env``; end with one line if that makes no sense."""
    # Google's libraries read their names (GOOGLE_API_KEY, ...) from the environment only.
    load_dotenv(Path(".env"))
    _quieten()
    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        terminal.fail(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.")
        raise typer.Exit(2) from None


def _quieten() -> None:
    # Credentials of a cloud machine's metadata server are of no use for a local bot, and asking for them takes seconds.
    os.environ.setdefault("NO_GCE_CHECK", "true")
    # gRPC's core writes to the terminal by itself; what matters reaches the log as exceptions.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _converse(chosen: dict[str, Any], *, verbose: bool, mirror: bool = False) -> int:
    terminal = Terminal()
    settings = _settings(chosen, terminal)
    from halfcascade.bot.desk import run_conversation

    return run_conversation(settings, terminal=terminal, verbose=verbose, mirror=mirror)


def run(program: str = "halfcascade") -> None:
    """Run the command line and exit with its code.

    Args:
        program: How the person called it, for the help.
    """
    app(prog_name=program)
