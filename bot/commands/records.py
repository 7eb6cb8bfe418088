"""``report``, ``sessions``, ``diff`` and ``replay``: what session folders hold."""

import tempfile
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.money import Models, Tariff, dollars, load_tariff
from halfcascade.bot.session.names import SERVICES, SERVICES_AUDIO
from halfcascade.bot.settings import Backend
from halfcascade.bot.terminal import Terminal
from halfcascade.lines import tr, tr_error
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require

if TYPE_CHECKING:
    from halfcascade.bot.report.compare import Limits


class Source(StrEnum):
    """Where a replay's answers come from."""

    RECORDED = "recorded"
    LIVE = "live"


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the commands.

    Args:
        app: The command line.
        settings_of: Makes settings of options.
    """

    @app.command()
    def report(
        folder: Annotated[Path, typer.Argument(help="The session folder.", metavar="DIR")],
        prices: Annotated[
            Path | None, typer.Option(help="A table of prices of your own (TOML).", metavar="FILE")
        ] = None,
    ) -> None:
        """Make the page that shows and plays a talk, anew or for an old folder."""
        terminal = Terminal()
        settings = settings_of({"prices": prices}, terminal)
        _require_bot("The report", terminal)
        from halfcascade.bot.report.page import write_report

        try:
            page = write_report(folder, _tariff(folder, settings.prices))
        except ConfigurationError as error:
            terminal.fail(str(error))
            raise typer.Exit(1) from None
        terminal.say(str(page))

    @app.command()
    def diff(  # noqa: PLR0917 a command's options
        before: Annotated[Path, typer.Argument(help="The session folder of what it was like.", metavar="BEFORE")],
        after: Annotated[Path, typer.Argument(help="The session folder of what it is like.", metavar="AFTER")],
        latency_ms: Annotated[
            float, typer.Option(min=0, help="Milliseconds a stage may take longer.", metavar="MS")
        ] = 150.0,
        words: Annotated[
            float, typer.Option(min=0, help="Part of a turn's words that may differ.", metavar="PART")
        ] = 0.1,
        said: Annotated[
            float, typer.Option(min=0, help="Part of a reply's words that may differ.", metavar="PART")
        ] = 0.5,
        money: Annotated[float, typer.Option(min=0, help="Part by which a talk may cost more.", metavar="PART")] = 0.2,
    ) -> None:
        """Tell, turn by turn, what became better or worse; ends with 1 if something became worse."""
        terminal = Terminal()
        settings_of({}, terminal)
        _require_bot("The comparison of talks", terminal)
        from halfcascade.bot.report.compare import Limits

        limits = Limits(latency_ms, words, said, money)
        raise typer.Exit(_tell_difference(before, after, limits, terminal))

    @app.command()
    def replay(
        folder: Annotated[Path, typer.Argument(help="The session folder of the talk.", metavar="DIR")],
        services: Annotated[
            Source | None,
            typer.Option(
                help="What answers: `recorded`, what the services answered then, faster than real time; `live`, "
                "today's services.",
                show_default="recorded, where the folder holds it and no backend is named",
            ),
        ] = None,
        backend: Annotated[
            Backend | None, typer.Option(help="Which live services; auto looks for credentials.")
        ] = None,
        session: Annotated[Path | None, typer.Option(help="Folder of the new talk.", metavar="DIR")] = None,
    ) -> None:
        """Play the user's part of a saved talk into today's code, and tell what differs."""
        terminal = Terminal()
        settings_of({}, terminal)
        again = session or Path("sessions") / datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
        try:
            require("Talking", "bot")
            recorded = services is Source.RECORDED or (services is None and backend is None and _has_tape(folder))
            code = (
                _replay_recorded(folder, again, terminal)
                if recorded
                else _replay_live(folder, again, backend, settings_of, terminal)
            )
        except ConfigurationError as error:
            terminal.fail(str(error))
            code = 2
        raise typer.Exit(code)

    @app.command()
    def sessions(
        words: Annotated[
            list[str] | None, typer.Argument(help="Words that were said; beginnings do.", metavar="WORDS")
        ] = None,
        root: Annotated[Path, typer.Option(help="The folder that holds the session folders.", metavar="DIR")] = Path(
            "sessions"
        ),
        limit: Annotated[int, typer.Option(min=1, help="How many at most.", metavar="N")] = 30,
    ) -> None:
        """List the talks, or those in which something was said; the newest first."""
        terminal = Terminal()
        settings_of({}, terminal)
        _require_bot("The list of talks", terminal)
        _list_sessions(" ".join(words or []), root, limit, terminal)


def _require_bot(what: str, terminal: Terminal) -> None:
    try:
        require(what, "bot")
    except ConfigurationError as error:
        terminal.fail(str(error))
        raise typer.Exit(1) from None


def _tell_difference(before: Path, after: Path, limits: "Limits | None", terminal: Terminal) -> int:
    from halfcascade.bot.report.compare import compare_talks

    try:
        comparison = compare_talks(before, after, limits)
    except ConfigurationError as error:
        terminal.fail(str(error))
        return 2
    for line in comparison.lines():
        terminal.say(line)
    return 1 if comparison.worse else 0


def _has_tape(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (SERVICES, SERVICES_AUDIO))


def _replay_recorded(folder: Path, again: Path, terminal: Terminal) -> int:
    from halfcascade.bot.replay.talk import replay_talk

    with terminal.working(tr("Replaying with the services of then")):
        replayed = replay_talk(folder, again)
    for guessed in replayed.guesses:
        told = tr("guess   {service}: the recording has no answer to {line}")
        terminal.say(told.format(service=guessed.service, line=guessed.line), "yellow")
    faster = replayed.talked_secs / max(0.001, replayed.took_secs)
    took = tr("{length} of talk in {secs} s ({faster} times real time)").format(
        length=_length(replayed.talked_secs), secs=f"{replayed.took_secs:.0f}", faster=f"{faster:.1f}"
    )
    terminal.say(f"{took}. {tr('Session folder: {folder}').format(folder=replayed.folder)}", "dim")
    code = _tell_difference(folder, replayed.folder, None, terminal)
    for hint in replayed.hints if code else ():
        terminal.say(tr_error(hint), "yellow")
    return code


def _replay_live(
    folder: Path, again: Path, backend: Backend | None, settings_of: SettingsOf, terminal: Terminal
) -> int:
    from halfcascade.bot.replay.again import settings_of_talk, write_user_part

    with tempfile.TemporaryDirectory(prefix="halfcascade-") as place:
        user = write_user_part(folder, Path(place) / "user.wav")
        chosen = {**settings_of_talk(folder), "user_audio": user, "session": again, "backend": backend}
        from halfcascade.bot.desk import run_conversation

        code = run_conversation(settings_of(chosen, terminal), terminal=terminal)
    return code or _tell_difference(folder, again, None, terminal)


def _list_sessions(query: str, root: Path, limit: int, terminal: Terminal) -> None:
    from halfcascade.bot.report.index import SessionIndex

    with SessionIndex(root) as index:
        index.refresh()
        talks, months = index.talks(query, limit), index.months()
    for talk in talks:
        cost = f"{dollars(talk.usd)}{'+' if talk.unpriced else ''}{tr(' (emulator)') if talk.emulated else ''}"
        started = talk.started[:16].replace("T", " ")
        turns = tr("1 turn") if talk.turns == 1 else tr("{count} turns").format(count=talk.turns)
        terminal.say_row(str(talk.folder), started, _length(talk.seconds), turns, talk.language, cost)
        if talk.excerpt:
            terminal.say_row("", talk.excerpt[:150], style="dim")
    if not talks:
        told = tr("No talk in {root} has that in it.") if query and months else tr("No talks in {root}.")
        terminal.say(told.format(root=root))
    elif not query:
        for month in months:
            talked = tr("1 talk") if month.talks == 1 else tr("{count} talks").format(count=month.talks)
            terminal.say(f"{month.month}: {talked}, {_length(month.seconds)}, {dollars(month.usd)}", "bold")


def _length(seconds: float) -> str:
    minutes = int(seconds // 60)
    if minutes >= 60:
        return tr("{hours} h {minutes} min").format(hours=minutes // 60, minutes=f"{minutes % 60:02d}")
    return tr("{minutes}:{seconds} min").format(minutes=minutes, seconds=f"{seconds % 60:02.0f}")


def _tariff(folder: Path, prices: Path | None) -> Tariff:
    """Today's prices for the models of that talk."""
    from halfcascade.bot.report.saved import load_talk

    title = load_talk(folder).title
    settings = title.get("settings", {})
    models = Models(
        str(settings.get("stt_model", "")) if isinstance(settings, dict) else "",
        str(title.get("model", "")),
        str(title.get("voice", "")),
    )
    return load_tariff(models, prices)
