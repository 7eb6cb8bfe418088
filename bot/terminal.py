"""What a person sees while talking: live where there is a terminal, plain lines where there is none."""

import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from halfcascade import unwritten
from halfcascade.bot.cells import side_by_side
from halfcascade.bot.hanging import LABEL_COLUMNS, hanging
from halfcascade.bot.harmless import harmless
from halfcascade.bot.money import dollars
from halfcascade.bot.reply_line import reply_line
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.metrics import Turn
from halfcascade.bot.session.transcript import ALIVE, BotSaid, Entry, Problem, Prompt, ToolUsed, UserSaid
from halfcascade.lines import tr, tr_error

if TYPE_CHECKING:
    from halfcascade.bot.controls import Controls
    from halfcascade.bot.session.folder import Session
    from halfcascade.transports.tap import AudioTap

_USER, _BOT = ("you", "bold cyan"), ("bot", "bold green")
_OTHER = " " * LABEL_COLUMNS
_TAIL = 240
_LONGEST = 100_000
_STAGE_NAMES = {
    "final": "understood",
    "turn_sent": "sent",
    "first_text": "first text",
    "first_audio": "first sound",
    "heard": "heard",
}


class Terminal:
    """Prints a conversation as it happens.

    What is settled is printed once, line by line. On a terminal, what is still changing (the words being understood,
    the reply being spoken) stands below it and is replaced as it grows. When nobody reads any more (the window was
    closed, the pipe has no other end), the conversation does not end with it: what would be printed is dropped.

    Args:
        console: Where to print.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(highlight=False)
        self.console.file = cast(IO[str], _Steady(self.console.file))
        # A terminal wraps at words; elsewhere one line stays one line.
        self._soft_wrap = not self.console.is_terminal
        self._session: Session | None = None
        self._live: Live | None = None
        # What was printed of each entry of the transcript: the user's words, or nothing of others.
        self._printed: dict[int, str] = {}
        self._timed: set[int] = set()
        self._interim = ""
        self._warned = ""
        self._shown: list[str] = []
        self.taps: Sequence[AudioTap] = ()
        """Who of this terminal listens to the sound."""
        self.modules: Sequence[str] = ()
        """What it needs to show a talk, by full names: imported beside the talk, for audio would wait for it later."""

    @property
    def columns(self) -> int:
        """How wide a line may be: as the terminal, or as it likes where there is none."""
        return self.console.width if self.console.is_terminal else sys.maxsize

    def say(self, text: str, style: str = "") -> None:
        """Print a line.

        Args:
            text: One line, free of secrets.
            style: A rich style.
        """
        self.console.print(Text(text, style=style), soft_wrap=self._soft_wrap)

    def say_row(self, *cells: str, style: str = "") -> None:
        """Print a row of a listing; on a terminal that is too narrow for it, indented lines follow the first.

        Args:
            cells: One line each, free of secrets; the first is what the row is about, and may be empty.
            style: A rich style.
        """
        for line in side_by_side(cells, self.columns):
            words = Text(line.lstrip(), style=style)
            indent = line[: -len(words)]
            rows = (
                words.wrap(self.console, max(2, self.columns - len(indent)))
                if cell_len(line) > self.columns
                else [words]
            )
            for row in rows:
                self.console.print(Text(indent).append_text(row), soft_wrap=self._soft_wrap)

    def fail(self, text: str) -> None:
        """Print why something does not work.

        Args:
            text: One line: cause and remedy.
        """
        self.say(f"{tr('error')}: {tr_error(text)}", "bold red")

    def warn(self, text: str) -> None:
        """Print what does not work as it should, though the talk goes on.

        Args:
            text: One line: cause and remedy.
        """
        self.say(f"{tr('warning')}: {tr_error(text)}", "yellow")

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something takes its time.

        Args:
            text: What it is.

        Yields:
            Nothing; the display ends with the block.
        """
        if self.console.is_terminal:
            with self.console.status(f"{text} …", spinner="dots"):
                yield
        else:
            self.say(f"{text} …", "dim")
            yield

    @asynccontextmanager
    async def watching(self, session: "Session", controls: "Controls") -> AsyncIterator[None]:
        """Show a talk, and let the person act on it where this terminal can, while the block runs.

        Args:
            session: Whose events to show.
            controls: What the person can do.

        Yields:
            Nothing.
        """
        with self.showing(session):
            yield

    @contextmanager
    def showing(self, session: "Session") -> Iterator[None]:
        """Show a conversation while the block runs.

        Args:
            session: Whose events to show.

        Yields:
            Nothing.
        """
        self._session = session
        session.listen(self._on_event)
        if not self.console.is_terminal:
            yield
            self._print_settled(over=True)
            return
        self._live = Live(console=self.console, transient=True, auto_refresh=False)
        try:
            with self._live:
                yield
        finally:
            self._live = None
            self._print_settled(over=True)

    def tell(self, session: "Session") -> None:
        """Print a whole talk.

        Args:
            session: Whose words.
        """
        self._session = session
        self._print_settled(over=True)

    def _on_event(self, event: Event) -> None:
        if event.type == EventType.INTERIM:
            self._interim = event.fields["text"]
        elif event.type in (EventType.FINAL, EventType.TURN_SENT, EventType.BACKCHANNEL):
            self._interim = ""
        elif event.type == EventType.BUDGET:
            spent, budget = dollars(event.fields["usd"]), dollars(event.fields["budget_usd"])
            over = event.fields["state"] == "spent"
            what = tr("The budget is spent") if over else tr("Most of the budget is spent")
            self.say(f"{what}: {tr('{spent} of {budget}').format(spent=spent, budget=budget)}.", "yellow")
        self._print_settled()
        if self._live:
            changing = list(self._changing())
            if (shown := [line.plain for line in changing]) != self._shown:
                self._shown = shown
                self._live.update(Group(*map(self._laid_out, changing)), refresh=True)

    def _print_settled(self, *, over: bool = False) -> None:
        if not self._session:
            return
        entries = self._session.transcript.entries
        first = 0 if over else max(0, len(entries) - ALIVE)
        for index, entry in enumerate(entries[first:], first):
            # What the user goes on with, over the first sound of an answer, is shown again, whole.
            shown = self._printed.get(index) == (entry.text if isinstance(entry, UserSaid) else "")
            if not shown and (over or self._is_settled(index, entry)):
                self._print_entry(index, entry)

    def _print_entry(self, index: int, entry: Entry) -> None:
        match entry:
            case UserSaid():
                said = harmless(entry.text, longest=_LONGEST)
                self._print(index, Text.assemble(_speaker(*_USER), said, _aside(entry)), entry.text)
            case BotSaid() if entry.text.strip():
                reply = reply_line(entry, longest=_LONGEST, coloured=self.console.color_system is not None)
                self._print(index, Text.assemble(_speaker(*_BOT), reply))
                self._print_latency(self._session.metrics.turns if self._session else [])
            case ToolUsed():
                used = f"{entry.name}({_inline(entry.arguments)}) → {entry.result}"
                self._print(index, Text(f"{_OTHER}{harmless(used)}", "magenta"))
            case Prompt():
                self._print(index, Text(f"{_OTHER}{tr('the bot is told')}: {harmless(entry.text)}", "dim"))
            case Problem():
                # What ends the conversation is printed last, where it is seen.
                self._printed[index] = ""
                if not entry.permanent and entry.message != self._warned:
                    self._warned = entry.message
                    self.warn(harmless(entry.message))

    def _is_settled(self, index: int, entry: Entry) -> bool:
        """Whether an entry will not change any more."""
        match entry:
            case UserSaid():
                return entry.backchannel or self._is_over(index, entry)
            case BotSaid():
                return entry.closed
            case ToolUsed():
                return entry.result is not None
            case _:
                return True

    def _is_over(self, index: int, said: UserSaid) -> bool:
        """Whether the user can no longer go on with this turn: something has been heard or done since."""
        later = self._session.transcript.entries[index + 1 :] if self._session else []
        return not said.open and any(not isinstance(entry, BotSaid) or entry.heard or entry.closed for entry in later)

    def _print(self, index: int, line: Text, said: str = "") -> None:
        self._printed[index] = said
        self._print_row(line)

    def _print_row(self, line: Text) -> None:
        self.console.print(self._laid_out(line), soft_wrap=self._soft_wrap)

    def _laid_out(self, line: Text) -> Text:
        return hanging(line, self.console.width) if self.console.is_terminal else line

    def _print_latency(self, turns: list[Turn]) -> None:
        turn = next((turn for turn in reversed(turns) if turn.number not in self._timed and turn.latency_ms), None)
        if turn:
            self._timed.add(turn.number)
            stages = turn.stages_ms()
            told = ", ".join(
                f"{tr(name)} {stages[key] / 1000:.2f}" for key, name in _STAGE_NAMES.items() if key in stages
            )
            usd = self._session.metrics.bill().usd if self._session else 0.0
            cost = f"; {tr('{cost} so far').format(cost=dollars(usd))}" if usd else ""
            line = f"{_OTHER}{tr('{stages} s after your last word').format(stages=told)}{cost}"
            self._print_row(Text(line, "dim"))

    def _changing(self) -> Iterator[Text]:
        if not self._session:
            return
        for entry in self._session.transcript.entries[-4:]:
            if isinstance(entry, BotSaid) and not entry.closed and entry.heard:
                yield Text.assemble(_speaker(*_BOT), _tail(harmless(entry.heard, longest=_LONGEST)))
        entries = self._session.transcript.entries
        recent = list(enumerate(entries[-3:], max(0, len(entries) - 3)))
        said = next((e.text for i, e in recent if isinstance(e, UserSaid) and i not in self._printed), "")
        if said or self._interim:
            said, interim = harmless(said, longest=_LONGEST), harmless(self._interim)
            yield Text.assemble(_speaker(*_USER), f"{said} " if said and interim else said, (interim, "grey50"))


class _Steady:
    """A stream that may go away while it is written to."""

    def __init__(self, stream: IO[str]):
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except UnicodeEncodeError:
            # A terminal of another character set shows what it can.
            encoding = getattr(self._stream, "encoding", None) or "ascii"
            return self._stream.write(text.encode(encoding, errors="replace").decode(encoding))
        except OSError as error:
            self._drop_the_rest(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._drop_the_rest(error)

    def _drop_the_rest(self, error: OSError) -> None:
        unwritten.note(error)
        # On the file below it, because Python itself flushes what the stream still holds when the process ends.
        with suppress(OSError), open(os.devnull, "wb") as nowhere:  # noqa: PTH123 a device
            os.dup2(nowhere.fileno(), self._stream.fileno())


def _speaker(who: str, style: str) -> tuple[str, str]:
    # Hangul takes two columns a letter.
    return (set_cell_size(tr(who), LABEL_COLUMNS), style)


def _aside(entry: UserSaid) -> tuple[str, str]:
    return (f"  {tr('(in passing)')}" if entry.backchannel else "", "dim")


def _tail(text: str) -> str:
    # What changes must fit on the screen; the whole is printed once it is settled.
    return text if len(text) <= _TAIL else f"… {text[-_TAIL:].split(' ', 1)[-1]}"


def _inline(arguments: object) -> str:
    if isinstance(arguments, dict):
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return "" if arguments is None else str(arguments)
