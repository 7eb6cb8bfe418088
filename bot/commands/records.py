"""``report``: what session folders hold."""

from pathlib import Path
from typing import Annotated

import typer

from halfcascade.bot.commands import SettingsOf
from halfcascade.bot.money import Models, Tariff, load_tariff
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
