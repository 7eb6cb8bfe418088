"""``report``, ``sessions``, ``diff`` and ``replay``: what session folders hold."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.money import Models, Tariff, dollars, load_tariff
from halfcascade.bot.settings import Backend
from halfcascade.bot.terminal import Terminal
from halfcascade.processors.errors import ConfigurationError
from halfcascade.processors.extras import require

if TYPE_CHECKING:
    from halfcascade.bot.report.compare import Limits


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the commands.

    Args:
        app: The command line.
        settings_of: Makes settings of options.
    """

    @app.command()
    def report(
        folder: Annotated[Path, typer.Argument(help="The session folder.")],
        prices: Annotated[Path | None, typer.Option(help="A table of prices of your own (TOML).")] = None,
    ) -> None:
        """Make the page that shows and plays a talk, anew or for an old folder."""
        from halfcascade.bot.report.page import write_report

        terminal = Terminal()
        settings = settings_of({"prices": prices}, terminal)
        try:
            page = write_report(folder, _tariff(folder, settings.prices))
        except ConfigurationError as error:
            terminal.fail(str(error))
            raise typer.Exit(1) from None
        terminal.say(str(page))

    @app.command()
    def diff(  # noqa: PLR0917 a command's options
        before: Annotated[Path, typer.Argument(help="The session folder of what it was like.")],
        after: Annotated[Path, typer.Argument(help="The session folder of what it is like.")],
        latency_ms: Annotated[float, typer.Option(min=0, help="Milliseconds a stage may take longer.")] = 150.0,
        words: Annotated[float, typer.Option(min=0, help="Part of a turn's words that may differ.")] = 0.1,
        said: Annotated[float, typer.Option(min=0, help="Part of a reply's words that may differ.")] = 0.5,
        money: Annotated[float, typer.Option(min=0, help="Part by which a talk may cost more.")] = 0.2,
    ) -> None:
        """Tell, turn by turn, what became better or worse; ends with 1 if something became worse."""
        from halfcascade.bot.report.compare import Limits

        limits = Limits(latency_ms, words, said, money)
        raise typer.Exit(_tell_difference(before, after, limits, Terminal()))

    @app.command()
    def replay(
        folder: Annotated[Path, typer.Argument(help="The session folder of the talk.")],
        backend: Annotated[Backend | None, typer.Option(help="Which servers; auto looks for credentials.")] = None,
        session: Annotated[Path | None, typer.Option(help="Folder of the new talk.")] = None,
    ) -> None:
        """Play the user's part of a saved talk into today's code, in real time, and tell what differs."""
        terminal = Terminal()
        settings_of({}, terminal)
        raise typer.Exit(_replay(folder, backend, session, settings_of, terminal))

    @app.command()
    def sessions(
        words: Annotated[list[str] | None, typer.Argument(help="Words that were said; beginnings do.")] = None,
        root: Annotated[Path, typer.Option(help="The folder that holds the session folders.")] = Path("sessions"),
        limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 30,
    ) -> None:
        """List the talks, or those in which something was said; the newest first."""
        _list_sessions(" ".join(words or []), root, limit, Terminal())


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


def _replay(
    folder: Path, backend: Backend | None, session: Path | None, settings_of: SettingsOf, terminal: Terminal
) -> int:
    import tempfile
    from datetime import datetime

    from halfcascade.bot.report.again import settings_of_talk, write_user_part

    with tempfile.TemporaryDirectory(prefix="halfcascade-") as place:
        try:
            require("bot", "Talking")
            user = write_user_part(folder, Path(place) / "user.wav")
            wanted = settings_of_talk(folder)
        except ConfigurationError as error:
            terminal.fail(str(error))
            return 2
        again = session or Path("sessions") / datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
        chosen = {**wanted, "user_audio": user, "session": again, "backend": backend}
        from halfcascade.bot.desk import run_conversation

        code = run_conversation(settings_of(chosen, terminal), terminal=terminal)
    if code:
        return code
    return _tell_difference(folder, again, None, terminal)


def _list_sessions(query: str, root: Path, limit: int, terminal: Terminal) -> None:
    from halfcascade.bot.report.index import SessionIndex

    with SessionIndex(root) as index:
        index.refresh()
        talks, months = index.talks(query, limit), index.months()
    for talk in talks:
        cost = f"{dollars(talk.usd)}{'+' if talk.unpriced else ''}{' (emulator)' if talk.emulated else ''}"
        started = talk.started[:16].replace("T", " ")
        turns = f"{talk.turns} turn{'' if talk.turns == 1 else 's'}"
        terminal.say(f"{talk.folder}  {started}  {_length(talk.seconds)}  {turns}  {talk.language}  {cost}")
        if talk.excerpt:
            terminal.say(f"    {talk.excerpt[:150]}", "dim")
    if not talks:
        terminal.say(f"No talk in {root} has that in it." if query and months else f"No talks in {root}.")
    elif not query:
        for month in months:
            talked = f"{month.talks} talk{'' if month.talks == 1 else 's'}, {_length(month.seconds)}"
            terminal.say(f"{month.month}: {talked}, {dollars(month.usd)}", "bold")


def _length(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes}:{seconds % 60:02.0f} min"


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
