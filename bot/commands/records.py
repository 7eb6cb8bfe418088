"""``report`` and ``sessions``: what session folders hold."""

from pathlib import Path
from typing import Annotated

import typer

from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.money import Models, Tariff, dollars, load_tariff
from halfcascade.bot.terminal import Terminal
from halfcascade.processors.errors import ConfigurationError


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
    def sessions(
        words: Annotated[list[str] | None, typer.Argument(help="Words that were said; beginnings do.")] = None,
        root: Annotated[Path, typer.Option(help="The folder that holds the session folders.")] = Path("sessions"),
        limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 30,
    ) -> None:
        """List the talks, or those in which something was said; the newest first."""
        _list_sessions(" ".join(words or []), root, limit, Terminal())


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
