"""The command line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from loguru import logger
from pydantic import ValidationError

from halfcascade import __version__
from halfcascade.bot.backend import extras_of_servers
from halfcascade.bot.commands import alone, records, serve
from halfcascade.bot.environment import PREFIX, SETTINGS_FILE, Environment, load_environment
from halfcascade.bot.listings import list_settings, print_models, print_settings, print_voices, shown
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr_error, use_language
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require
from halfcascade.usage import Commands, Program

# Pipecat greets on the terminal when it is imported; a session sends log lines to its folder.
logger.remove()

_DEFAULT_COMMAND = "talk"
_GROUP_OPTIONS = ("-h", "--help", "--version", "--install-completion", "--show-completion")
_DEMO_AUDIO = Path(__file__).parent / "assets" / "demo_user.wav"


class _TalkByDefault(Program):
    """Without a command, ``talk`` is meant, with or without options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        # While a shell completes the line, what is meant by it is not known yet.
        if not ctx.resilient_parsing and (not args or (args[0].startswith("-") and args[0] not in _GROUP_OPTIONS)):
            args = [_DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, _with_values(args))


def _with_values(args: list[str]) -> list[str]:
    """Let ``--continue`` stand alone: the newest talk is meant then."""
    result: list[str] = []
    for place, arg in enumerate(args):
        result.append(arg)
        following = args[place + 1] if place + 1 < len(args) else "-"
        if arg == "--continue" and following.startswith("-"):
            result.append("last")
    return result


app = Commands(
    cls=_TalkByDefault,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _option(help_text: str, setting: str = "", metavar: str | None = None) -> Any:
    """An option that leaves a setting as it is unless it is given; the help shows the setting's own default."""
    default = shown(Settings.model_fields[setting].get_default(call_default_factory=True)) if setting else ""
    return typer.Option(help=help_text, show_default=default or False, metavar=metavar)


_Backend = Annotated[Backend | None, _option("Which servers; auto looks for credentials.", "backend")]
_Session = Annotated[
    Path | None, _option("Folder for recording, events, transcript and metrics; earlier ones are kept.", metavar="DIR")
]
_Language = Annotated[str | None, _option("Locale, such as en-US or ko-KR.", "language", "LOCALE")]
_Voice = Annotated[str | None, _option("Chirp 3 HD voice; `voices` lists them.", "voice", "NAME")]
_Model = Annotated[str | None, _option("Gemini Live model; `models` lists them.", "model", "NAME")]
_InputDevice = Annotated[
    str | None, _option("Microphone, by name or part of it; the system's default otherwise.", metavar="NAME")
]
_OutputDevice = Annotated[
    str | None, _option("Loudspeaker, by name or part of it; the system's default otherwise.", metavar="NAME")
]
_UserAudio = Annotated[Path | None, _option("A WAV file that plays the user's part.", metavar="FILE")]
_Processors = Annotated[
    list[str] | None,
    typer.Option(
        "--processor",
        help="A processor of your own, package.module:factory; repeatable.",
        show_default=False,
        metavar="MODULE:FACTORY",
    ),
]
_EchoCancel = Annotated[
    bool | None,
    typer.Option(
        "--echo-cancel/--no-echo-cancel", help="Cancel the bot's voice in the microphone.", show_default="echo-cancel"
    ),
]
_Budget = Annotated[
    float | None, _option("US dollars the talk may cost; it ends politely when they are spent.", metavar="USD")
]
_Prices = Annotated[
    Path | None, _option("A table of prices of your own (TOML), before the one that comes with it.", metavar="FILE")
]
_Continue = Annotated[
    str | None,
    typer.Option(
        "--continue", help="Go on with an earlier talk: its session folder; without one, the newest.", metavar="DIR"
    ),
]
_Notes = Annotated[Path | None, _option("A Markdown file of what the bot shall remember across talks.", metavar="FILE")]
_Plain = Annotated[bool | None, typer.Option("--plain", help="Tell the talk in lines, not on the whole screen.")]
_Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show log lines too.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"halfcascade {__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A local voice bot: Google Speech-to-Text, a Gemini Live session as text, and a Chirp 3 HD voice.

    Without a command, `talk` is meant. Every setting has a name in the environment too: see `settings`.
    """


@app.command()
def talk(  # noqa: PLR0917 a command's options
    context: typer.Context,
    backend: _Backend = None,
    user_audio: _UserAudio = None,
    session: _Session = None,
    language: _Language = None,
    voice: _Voice = None,
    model: _Model = None,
    input_device: _InputDevice = None,
    output_device: _OutputDevice = None,
    processors: _Processors = None,
    echo_cancel: _EchoCancel = None,
    budget: _Budget = None,
    prices: _Prices = None,
    continue_from: _Continue = None,
    notes: _Notes = None,
    plain: _Plain = None,
    verbose: _Verbose = False,
) -> None:
    """Talk over the local microphone and loudspeaker."""
    raise typer.Exit(_converse(_given(context), verbose=verbose))


@app.command()
def demo(session: _Session = None, verbose: _Verbose = False) -> None:
    """Let a recorded user talk with the bot on the embedded emulator: no account, no microphone."""
    chosen = {"backend": Backend.EMULATOR, "user_audio": _DEMO_AUDIO, "session": session}
    raise typer.Exit(_converse(chosen, verbose=verbose, mirror=True))


@app.command()
def devices() -> None:
    """List the audio devices."""
    from halfcascade.bot.doctor import list_devices

    terminal = Terminal()
    _settings({}, terminal)
    raise typer.Exit(list_devices(terminal))


@app.command()
def doctor(  # noqa: PLR0917 a command's options
    context: typer.Context,
    backend: _Backend = None,
    user_audio: _UserAudio = None,
    session: _Session = None,
    language: _Language = None,
    voice: _Voice = None,
    model: _Model = None,
    input_device: _InputDevice = None,
    output_device: _OutputDevice = None,
    processors: _Processors = None,
    echo_cancel: _EchoCancel = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Play nothing on the loudspeaker.")] = False,
    measure: Annotated[
        bool, typer.Option("--measure-voice", help="Measure the voice too, for up to a minute, and recommend settings.")
    ] = False,
) -> None:
    """Check everything that can be wrong before talking; takes the options of `talk`."""
    from halfcascade.bot.doctor import run_doctor

    terminal = Terminal()
    settings = _settings(_given(context), terminal)
    raise typer.Exit(run_doctor(settings, make_noise=not quiet, measure_voice=measure, terminal=terminal))


@app.command()
def settings(
    explain: Annotated[bool, typer.Option("--explain", help="Say what each is.")] = False,
) -> None:
    """Print every setting with its value, where that comes from, its default and its name in the environment."""
    terminal = Terminal()
    found = _environment(terminal)
    print_settings(list_settings(_checked({}, found, terminal), {}, found), terminal, explain=explain)


@app.command()
def voices(language: _Language = None) -> None:
    """List the voices, and the locales that they speak."""
    terminal = Terminal()
    with _telling(terminal):
        require("The list of voices", "bot")
        print_voices(_settings({"language": language}, terminal).language, terminal)


@app.command()
def models() -> None:
    """List the models that are known: Gemini Live, and speech recognition."""
    terminal = Terminal()
    _settings({}, terminal)
    with _telling(terminal):
        require("The list of models", "bot")
        print_models(terminal)


@app.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
    add_help_option=False,
)
def emulator(context: typer.Context) -> None:
    """Serve Google's three APIs on loopback, for any Google client: no account, nothing of the bot needed."""
    from halfcascade.emulator.__main__ import app as program

    program(context.args, prog_name=f"{context.find_root().info_name} emulator")


def _given(context: typer.Context) -> dict[str, Any]:
    """The options of a command that are settings, by their names."""
    return {name: value for name, value in context.params.items() if name in Settings.model_fields}


def _settings(chosen: dict[str, Any], terminal: Terminal) -> Settings:
    """Put options over environment and settings file; end with one line if that makes no sense."""
    return _checked(chosen, _environment(terminal), terminal)


def _environment(terminal: Terminal) -> Environment:
    # Until the settings are known that may name another.
    use_language()
    with _telling(terminal, code=2):
        found = load_environment()
    use_language(os.environ.get(f"{PREFIX}LANGUAGE"))
    for warning in found.warnings:
        terminal.say(tr_error(warning), "yellow")
    _quieten()
    return found


def _checked(chosen: dict[str, Any], found: Environment, terminal: Terminal) -> Settings:
    given = {name: value for name, value in chosen.items() if value not in (None, "", [])}
    try:
        settings = Settings(_env_file=None, **given)
    except ValidationError as error:
        use_language(given.get("language") or os.environ.get(f"{PREFIX}LANGUAGE"))
        first = error.errors()[0]
        name = str(first["loc"][0])
        variable = f"{PREFIX}{name.upper()}"
        where = f"{variable} ({SETTINGS_FILE})" if variable in found.from_file else variable
        where = f"--{name.replace('_', '-')}" if name in given else where
        terminal.fail(f"{where}: {first['msg']}.")
        raise typer.Exit(2) from None
    # Lines are in the language of the talk, if one was chosen, or else of this machine.
    use_language(settings.language if "language" in settings.model_fields_set else None)
    return settings


def _quieten() -> None:
    # Credentials of a cloud machine's metadata server are of no use for a local bot, and asking for them takes seconds.
    os.environ.setdefault("NO_GCE_CHECK", "true")
    # gRPC's core writes to the terminal by itself; what matters reaches the log as exceptions.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")


def _converse(chosen: dict[str, Any], *, verbose: bool, mirror: bool = False) -> int:
    terminal = Terminal()
    wanted = _settings(chosen, terminal)
    with _telling(terminal):
        servers = extras_of_servers(wanted.backend)
        if wanted.user_audio:
            require("Talking", *servers)
        else:
            require("Talking over microphone and loudspeaker", *servers, "talk")
        from halfcascade.bot.desk import run_conversation
    shown = terminal if wanted.plain or verbose else _screen_or(terminal, wanted)
    return run_conversation(wanted, terminal=shown, verbose=verbose, mirror=mirror)


def _screen_or(terminal: Terminal, settings: Settings) -> Terminal:
    from halfcascade.bot.screen.terminal import ScreenTerminal, has_screen

    return ScreenTerminal(slow_secs=settings.latency_budget) if has_screen() else terminal


@contextmanager
def _telling(terminal: Terminal, code: int = 1) -> Iterator[None]:
    """End with one line if something inside cannot be done."""
    try:
        yield
    except ConfigurationError as error:
        terminal.fail(str(error))
        raise typer.Exit(code) from None


alone.register(app, _settings)
records.register(app, _settings)
serve.register(app, _settings)
