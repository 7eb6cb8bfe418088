"""``say``, ``hear``, ``ask``: each of the three services alone."""

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from halfcascade.bot.backend import BRAIN, EARS, VOICE, extras_of_servers
from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.harmless import harmless
from halfcascade.bot.settings import Backend, Settings
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require

_Backend = Annotated[Backend | None, typer.Option(help="Which servers; auto looks for credentials.")]
_Language = Annotated[str | None, typer.Option(help="Locale, such as en-US or ko-KR.", metavar="LOCALE")]


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the commands.

    Args:
        app: The command line.
        settings_of: Makes settings of options.
    """

    @app.command()
    def say(  # noqa: PLR0917 a command's options
        text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.", metavar="TEXT")],
        out: Annotated[
            Path | None,
            typer.Option("--out", "-o", help="A file (.wav, .flac, .ogg) instead of the loudspeaker.", metavar="FILE"),
        ] = None,
        batch: Annotated[bool, typer.Option("--batch", help="Ask for the whole audio in one answer.")] = False,
        backend: _Backend = None,
        language: _Language = None,
        voice: Annotated[str | None, typer.Option(help="Chirp 3 HD voice, such as Charon.", metavar="NAME")] = None,
    ) -> None:
        """Speak a text: the voice alone."""
        terminal = notes()
        settings = settings_of({"backend": backend, "language": language, "voice": voice}, terminal)
        spoken = sys.stdin.read() if text == "-" else text
        _require("Speaking", settings, VOICE, terminal)
        _run(_say(settings, spoken, out, batch=batch, terminal=terminal), terminal)

    @app.command()
    def hear(
        audio: Annotated[
            str, typer.Argument(help="A sound file; - takes a WAV or 16 kHz PCM from standard input.", metavar="FILE")
        ],
        backend: _Backend = None,
        language: _Language = None,
        finals: Annotated[bool, typer.Option("--finals", help="Leave out the words that may still change.")] = False,
    ) -> None:
        """Write down what is said in a recording: the ears alone."""
        terminal = notes()
        settings = settings_of({"backend": backend, "language": language}, terminal)
        _require("Listening", settings, EARS, terminal)
        _run(_hear(settings, audio, finals=finals, terminal=terminal), terminal)

    @app.command()
    def ask(
        text: Annotated[
            str | None, typer.Argument(help="The question; without it, a typed conversation.", metavar="TEXT")
        ] = None,
        backend: _Backend = None,
        language: _Language = None,
        model: Annotated[str | None, typer.Option(help="Gemini Live model.", metavar="NAME")] = None,
    ) -> None:
        """Ask the Live session in writing: the brain alone."""
        terminal = notes()
        settings = settings_of({"backend": backend, "language": language, "model": model}, terminal)
        _require("Asking", settings, BRAIN, terminal)
        _run(_ask(settings, sys.stdin.read() if text == "-" else text, terminal), terminal)


def notes() -> Terminal:
    """What is no result goes to standard error, so that results can be piped on."""
    from rich.console import Console

    return Terminal(Console(stderr=True, highlight=False))


def write(text: str) -> None:
    """Write a part of a result to standard output, at once.

    Args:
        text: From outside; what a terminal would act on is taken out.
    """
    sys.stdout.write(harmless(text, lines=True, longest=10**9))
    sys.stdout.flush()


def _require(purpose: str, settings: Settings, service: str, terminal: Terminal) -> None:
    try:
        require(purpose, *extras_of_servers(settings.backend, frozenset((service,))))
    except ConfigurationError as error:
        terminal.fail(str(error))
        raise typer.Exit(1) from None


def _run(work: Coroutine[Any, Any, None], terminal: Terminal) -> None:
    try:
        asyncio.run(_told(work))
    except ConfigurationError as error:
        terminal.fail(str(error))
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _told(work: Coroutine[Any, Any, None]) -> None:
    from halfcascade.processors.chirp_tts.errors import SynthesisError

    try:
        await work
    except SynthesisError as error:
        raise ConfigurationError(str(error)) from error


@asynccontextmanager
async def serving(settings: Settings, terminal: Terminal, service: str) -> AsyncIterator[None]:
    """Have servers to talk to while a block lasts: Google, or the embedded ones.

    Args:
        settings: Names the backend.
        terminal: Told what takes its time.
        service: Which of them is asked, of ``bot.backend.SERVICES``.

    Yields:
        Nothing; the environment leads Google's clients there.

    Raises:
        ConfigurationError: If there are none.
    """
    import os
    import tempfile

    from halfcascade.bot.backend import Emulator, check_google_access, choose_backend

    needed = frozenset((service,))
    choice = await asyncio.to_thread(choose_backend, settings.backend, services=needed)
    if choice.backend is Backend.GOOGLE:
        await asyncio.to_thread(check_google_access, needed)
        yield
        return
    with tempfile.TemporaryDirectory(prefix="halfcascade-") as folder:
        emulator = Emulator(Path(folder), llm_path=settings.llm_path, tell=terminal.say)
        told = tr("Using the embedded emulator, because {reason}; its mind is a stand-in.")
        terminal.say(told.format(reason=tr_error(choice.reason)))
        if service == EARS and (warning := emulator.deaf_to(settings.listen_for)):
            terminal.say(warning, "yellow")
        try:
            with terminal.working(tr("Loading the embedded speech and language models")):
                environment = await emulator.start()
            os.environ.update(environment)
            yield
        finally:
            await emulator.stop()


async def _say(settings: Settings, text: str, out: Path | None, *, batch: bool, terminal: Terminal) -> None:
    from halfcascade.processors.alone import Speech, synthesize_stream
    from halfcascade.processors.alone.synthesize import check_sound_file

    options: dict[str, Any] = {
        "voice": settings.voice_name,
        "language": settings.language,
        "speaking_rate": settings.speaking_rate,
        "location": settings.tts_location,
        "batch": batch,
    }
    if out:
        check_sound_file(out)
    async with serving(settings, terminal, VOICE):
        speech = synthesize_stream(text, **options)
        if out:
            whole = Speech(b"".join([chunk async for chunk in speech]))
            await asyncio.to_thread(whole.save, out)
            terminal.say(tr("{file}: {secs} s.").format(file=out, secs=f"{whole.seconds:.1f}"))
            return
        from halfcascade.bot.commands.playing import Loudspeaker

        async with Loudspeaker(settings.output_device) as loudspeaker:
            async for chunk in speech:
                loudspeaker.put(chunk)
            await loudspeaker.drain()


async def _hear(settings: Settings, audio: str, *, finals: bool, terminal: Terminal) -> None:
    from halfcascade.bot.commands.stdin import read_stdin
    from halfcascade.processors.alone import transcribe
    from halfcascade.processors.alone.transcribe import read_samples

    # What is wrong with the file is told before any server is started.
    source = read_stdin(sys.stdin.buffer) if audio == "-" else await asyncio.to_thread(read_samples, audio)
    async with serving(settings, terminal, EARS):
        async for heard in transcribe(
            source, languages=settings.listen_for, model=settings.stt_model, location=settings.stt_location
        ):
            if heard.final or not finals:
                mark = " " if heard.final else "…"
                write(f"{heard.start:7.2f} {heard.end:7.2f} {mark} {heard.text}\n")


async def _ask(settings: Settings, text: str | None, terminal: Terminal) -> None:
    from halfcascade.processors.alone import TypedConversation
    from halfcascade.processors.gemini_live import builtin_tools

    async with (
        serving(settings, terminal, BRAIN),
        TypedConversation(
            model=settings.model,
            language=settings.language,
            instruction=settings.instruction,
            tools=builtin_tools() if settings.tools else [],
            on_trouble=terminal.warn,
        ) as chat,
    ):
        if text is not None:
            await _answer(chat, text)
            return
        from halfcascade.bot.commands.typed import converse

        await converse(lambda typed: _answer(chat, typed), write, terminal)


async def _answer(chat: Any, text: str) -> None:
    async for piece in chat.ask(text):
        write(piece)
    write("\n")
