"""Help, and what is told of a line that makes no sense: in the reader's language, for terminals of any width."""

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from halfcascade.lines import tr, tr_error, use_language

# The names stand beside what they mean where that leaves room for half a line, else above it.
_WIDE_COLUMNS = 64
_NAMES_COLUMNS = 32
_WIDEST_COLUMNS = 110
# What the parser itself writes into the line that tells how something is called.
_PIECES = ("[OPTIONS]", "COMMAND [ARGS]...")
# What pydantic puts before a validator's own words.
_PYDANTIC = "Value error, "
# The class of all that the parser refuses, whatever package it comes from in this release of typer.
_UsageError: type[Any] = typer.BadParameter.__base__  # type: ignore[assignment]


class _Translated:
    """What is called by a person: its help, and its errors, are in their language."""

    def main(self, args: Sequence[str] | None = None, *, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run a command line; what makes no sense is told in a line, as any other error is."""
        use_language(os.environ.get("HALFCASCADE_LANGUAGE"))
        run: Any = super().main  # type: ignore[misc]
        if not standalone_mode:
            return run(args, standalone_mode=False, **extra)
        try:
            code = run(args, standalone_mode=False, **extra)
        except _UsageError as error:
            _tell(error)
            code = error.exit_code
        except typer.Abort:
            code = 1
        sys.exit(code or 0)

    def get_params(self, ctx: Any) -> list[Any]:
        """Options and arguments, translated."""
        return _translated(super().get_params(ctx))  # type: ignore[misc]

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write how it is called."""
        formatter.write(_usage(self, ctx))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        formatter.write(_help(self, ctx))


class Command(_Translated, TyperCommand):  # type: ignore[misc]
    """A command whose help is in the reader's language."""


class Program(_Translated, TyperGroup):  # type: ignore[misc]
    """The program: its commands' help, and its errors, are in the reader's language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the whole help."""
        names = [(name, _told(self.commands[name].help)) for name in self.list_commands(ctx)]
        formatter.write(_help(self, ctx, commands=names))


class Commands(typer.Typer):
    """Typer's application, of such commands."""

    def command(self, name: str | None = None, **options: Any) -> Any:
        """Register a command; the arguments are typer's."""
        return super().command(name, **{"cls": Command, **options})


def print_error(text: str) -> None:
    """Print on standard error why something does not work.

    Args:
        text: One line in English: cause and remedy.
    """
    _print(f"{tr('error')}: {tr_error(text)}", "bold red")


def _print(text: str, style: str) -> None:
    # Only here and for help: whoever neither errs nor asks does not wait until rich is loaded.
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    # A terminal wraps at words; elsewhere one line stays one line.
    console.print(Text(text, style), soft_wrap=not console.is_terminal)


def _tell(error: Any) -> None:
    print_error(error.format_message().replace(_PYDANTIC, ""))
    if context := error.ctx:
        more = tr("`{command} --help` tells more.").format(command=context.command_path)
        _print(f"{_usage(context.command, context).strip()}  {more}", "dim")


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
    bare = [piece.strip("{}") for piece in command.collect_usage_pieces(ctx)]
    pieces = " ".join(tr(piece) if piece in _PIECES else piece for piece in bare)
    return f"{tr('Usage: {line}').format(line=f'{ctx.command_path} {pieces}')}\n"


def _help(command: Any, ctx: Any, commands: Sequence[tuple[str, str]] = ()) -> str:
    from rich.console import Console
    from rich.text import Text

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
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

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
