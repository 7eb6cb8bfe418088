"""Help, and what is told of a line that makes no sense: in the reader's language, for terminals of any width."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from halfcascade.bot.lines import tr, use_language
from halfcascade.bot.terminal import Terminal

# The names stand beside what they mean where that leaves room for half a line, else above it.
_WIDE_COLUMNS = 64
_NAMES_COLUMNS = 32
_WIDEST_COLUMNS = 110
# What pydantic puts before a validator's own words.
_PYDANTIC = "Value error, "
# The class of all that the parser refuses, whatever package it comes from in this release of typer.
_UsageError: type[Any] = typer.BadParameter.__base__  # type: ignore[assignment]


class Command(TyperCommand):
    """A command whose help is in the reader's language."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, translated."""
        return _translated(super().get_params(ctx))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write how the command is called."""
        formatter.write(_usage(self, ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        formatter.write(_help(self, ctx))


class Program(TyperGroup):
    """The program: its commands' help, and its errors, are in the reader's language."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:  # type: ignore[override]
        """Run a command line; what makes no sense is told in a line, as any other error is."""
        use_language(os.environ.get("HALFCASCADE_LANGUAGE"))
        for command in self.commands.values():
            command.help = _told(command.help)
        if not standalone_mode:
            return super().main(args, standalone_mode=False, **extra)
        try:
            code = super().main(args, standalone_mode=False, **extra)
        except _UsageError as error:
            _tell(error)
            code = error.exit_code
        except typer.Abort:
            code = 1
        sys.exit(code or 0)

    def get_params(self, ctx: Any) -> list[Any]:
        """Options, translated."""
        return _translated(super().get_params(ctx))

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write how the program is called."""
        formatter.write(_usage(self, ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        names = [(name, self.commands[name].help or "") for name in self.list_commands(ctx)]
        formatter.write(_help(self, ctx, commands=names))


class Commands(typer.Typer):
    """Typer's application, of such commands."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        """Register a command; the arguments are typer's."""
        return super().command(name, **{"cls": Command, **options})


def _tell(error: Any) -> None:
    terminal = Terminal(Console(stderr=True, highlight=False))
    terminal.fail(error.format_message().replace(_PYDANTIC, ""))
    if context := error.ctx:
        more = tr("`{command} --help` tells more.").format(command=context.command_path)
        terminal.say(f"{_usage(context.command, context).strip()}  {more}", "dim")


def _told(text: str | None) -> str:
    """Translate a help text, a paragraph at a time."""
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(tr(" ".join(paragraph.split())) for paragraph in paragraphs)


def _translated(params: Sequence[Any]) -> list[Any]:
    for param in params:
        default = param.show_default if isinstance(param.show_default, str) else ""
        if param.show_default is True and param.default not in (None, False, ()):
            default = str(param.default)
        param.show_default = False
        param.help = _told(param.help)
        if default:
            param.help += f" ({tr('default: {value}').format(value=tr(default))})"
    return list(params)


def _usage(command: Any, ctx: Any) -> str:
    # Newer releases of typer put what is required into braces.
    pieces = " ".join(piece.strip("{}") for piece in command.collect_usage_pieces(ctx))
    return f"{tr('Usage: {line}').format(line=f'{ctx.command_path} {pieces}')}\n"


def _help(command: Any, ctx: Any, commands: Sequence[tuple[str, str]] = ()) -> str:
    params = command.get_params(ctx)
    arguments = [(param.metavar, param.help) for param in params if param.param_type_name == "argument"]
    options = [(param.get_help_record(ctx)[0], param.help) for param in params if param.param_type_name == "option"]
    console = Console(highlight=False)
    console.width = min(console.width, _WIDEST_COLUMNS)
    with console.capture() as shown:
        console.print(Text(_usage(command, ctx).strip(), "bold"), Text(), Text(_told(command.help)), sep="\n")
        for title, rows in (
            (tr("Arguments"), arguments),
            (tr("Options"), options),
            (tr("Commands"), commands),
        ):
            for part in _section(title, rows, console.width):
                console.print(part)
    return "\n".join(line.rstrip() for line in shown.get().splitlines()) + "\n"


def _section(title: str, rows: Sequence[tuple[str, str]], width: int) -> Iterator[Any]:
    if not rows:
        return
    yield Text(f"\n{title}", "bold")
    if width < _WIDE_COLUMNS:
        for name, meaning in rows:
            yield Padding(Text(name, "cyan"), (0, 0, 0, 2))
            yield Padding(Text(meaning), (0, 0, 0, 6))
        return
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(max_width=_NAMES_COLUMNS, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for name, meaning in rows:
        table.add_row(Text(name, "cyan"), Text(meaning))
    yield Padding(table, (0, 0, 0, 2))
