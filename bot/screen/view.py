"""What the screen shows, worked out of a talk's events: no terminal, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import cell_len
from rich.text import Text

from halfcascade.bot.hanging import LABEL_COLUMNS
from halfcascade.bot.harmless import harmless
from halfcascade.bot.money import dollars
from halfcascade.bot.reply_line import reply_line
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.transcript import BotSaid, Entry, Problem, Prompt, ToolUsed, UserSaid
from halfcascade.lines import tr

if TYPE_CHECKING:
    from halfcascade.bot.session.hub import EventHub

_FLOOR_DB = -54.0
_BARS = " ▏▎▍▌▋▊▉█"
# Who has to answer for the time up to a stage, and the colour of its part of the bar.
_STAGES = (
    ("final", "ears", "blue"),
    ("first_text", "brain", "yellow"),
    ("first_audio", "voice", "green"),
    ("heard", "loudspeaker", "cyan"),
)
_SHORTEST_BAR, _LONGEST_BAR = 12, 60


class Levels:
    """An ``AudioTap`` that keeps the loudness of both directions for a meter.

    Attributes:
        captured_db: Of the microphone lately, in dB below full scale.
        played_db: Of the loudspeaker lately.
    """

    def __init__(self) -> None:
        self.captured_db = self.played_db = _FLOOR_DB

    def captured(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one captured block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds of the first sample.
        """
        self.captured_db = _follow(self.captured_db, audio)

    def played(self, audio: bytes, sample_rate: int, at: float) -> None:
        """Take one played block (see ``AudioTap``).

        Args:
            audio: 16-bit mono PCM.
            sample_rate: Samples per second.
            at: ``time.monotonic()`` seconds at which the first sample is heard.
        """
        self.played_db = _follow(self.played_db, audio)


def _follow(db: float, audio: bytes) -> float:
    """Up at once, down slowly, as meters do."""
    if not audio:
        return db
    samples = np.frombuffer(audio, dtype="<i2")
    # A fortieth of the samples tells as much to the eye.
    peak = int(np.abs(samples[:: max(1, len(samples) // 24)].astype(np.int32)).max())
    now = 20.0 * float(np.log10(max(peak, 1) / 32768))
    return max(_FLOOR_DB, now if now > db else db + 0.15 * (now - db))


@dataclass
class View:
    """The state behind the screen, fed with events.

    Parameters:
        hub: Holds transcript and metrics.
        levels: Loudness.
        slow_secs: Latency above which the stages are shown in red.
        title: What the talk is set up with.
    """

    hub: "EventHub"
    levels: Levels
    slow_secs: float = 1.5
    title: str = ""
    interim: str = ""
    news: str = ""
    gain: float = 1.0
    user_speaks: bool = False
    bot_speaks: bool = False
    half_duplex: bool = False
    erle_db: float | None = None
    devices: str = ""
    changed: bool = True

    def apply(self, event: Event) -> None:
        """Take an event.

        Args:
            event: Any event.
        """
        self.changed = True
        match event.type:
            case EventType.INTERIM:
                self.interim = event.fields["text"]
            case EventType.FINAL | EventType.TURN_SENT | EventType.BACKCHANNEL:
                self.interim = ""
            case EventType.USER_STARTED:
                self.user_speaks = True
            case EventType.USER_STOPPED:
                self.user_speaks = False
            case EventType.SPEAKING_STARTED:
                self.bot_speaks = True
            case EventType.SPEAKING_STOPPED:
                self.bot_speaks = False
            case EventType.DUCKED:
                self.gain = float(event.fields["gain"])
            case EventType.DEVICE:
                self.news = harmless(event.fields["message"])
            case EventType.ERROR:
                self.news = harmless(event.fields["message"])
            case EventType.BUDGET:
                spent, budget = dollars(event.fields["usd"]), dollars(event.fields["budget_usd"])
                self.news = tr("{spent} of {budget} are spent.").format(spent=spent, budget=budget)
            case _:
                pass

    def transport(self, stats: Mapping[str, Any]) -> None:
        """Take the transport's counters.

        Args:
            stats: As ``metrics.json`` has them.
        """
        echo = stats.get("echo") or {}
        self.erle_db = echo.get("erle_db")
        self.half_duplex = bool(echo.get("half_duplex"))

    def lines(self, last: int = 200) -> list[tuple[int, Entry]]:
        """The words of the talk.

        Args:
            last: How many entries.

        Returns:
            Index and entry of each.
        """
        entries = self.hub.transcript.entries
        first = max(0, len(entries) - last)
        return list(enumerate(entries[first:], first))

    def heard_now(self) -> Text:
        """What is being understood, or nothing."""
        if not self.interim:
            return Text("")
        return Text.assemble((_label(tr("you")), "bold cyan"), (harmless(self.interim), "italic dim"))

    def meters(self, width: int, *, muted: bool, holding: bool) -> Text:
        """Microphone and loudspeaker.

        Args:
            width: Of the line, in cells.
            muted: Whether the microphone is closed.
            holding: Whether it is open only while a key is held.
        """
        closed = muted and not holding
        mark = tr("muted") if closed else tr("speech") if self.user_speaks else ""
        bot = tr("ducked") if self.gain < 1 else tr("speaks") if self.bot_speaks else ""
        half = (width - 2) // 2
        text = _meter(tr("mic"), self.levels.captured_db if not closed else _FLOOR_DB, mark, half, "cyan")
        text.append("  ")
        return text.append(_meter(tr("bot"), self.levels.played_db, bot, half, "green"))

    def stages(self, width: int) -> Text:
        """The newest answered turn's stages as a bar.

        Args:
            width: Of the line, in cells.
        """
        turn = next((turn for turn in reversed(self.hub.metrics.turns) if turn.stages_ms()), None)
        if turn is None:
            return Text(tr("The stages of a turn stand here."), "dim")
        passed = turn.stages_ms()
        parts, at = [], 0
        for stage, name, style in _STAGES:
            if stage in passed:
                parts.append((tr(name), max(0, passed[stage] - at), style))
                at = max(at, passed[stage])
        slow = at > 1000 * self.slow_secs
        told = Text(f" {at / 1000:.2f} s", "bold red" if slow else "bold")
        names = Text()
        for name, ms, style in parts:
            names.append(f"  {name} {ms / 1000:.2f}", "red" if slow else style)
        room = width - told.cell_len - names.cell_len
        if room < _SHORTEST_BAR:
            names, room = Text(), width - told.cell_len
        text, so_far = Text(), 0
        for _, ms, style in parts:
            so_far += ms
            # Where the bar ends by now: parts that are rounded each for itself may add up to more than there is.
            end = round(min(room, _LONGEST_BAR) * so_far / max(at, 1))
            text.append("█" * (end - len(text)), "red" if slow else style)
        text = Text.assemble(text, told, names)
        text.truncate(width)
        return text

    def state(self, width: int) -> Text:
        """Money, echo, devices and the newest trouble, as far as they fit.

        Args:
            width: Of the line, in cells.
        """
        bill = self.hub.metrics.bill()
        cost = dollars(bill.usd) + ("+" if bill.unknown else "")
        if self.hub.metrics.emulated:
            cost = tr("{cost} at Google").format(cost=cost)
        text = Text(cost, "bold")
        if self.half_duplex:
            text.append("  ● ", "red").append(tr("half duplex: the microphone is closed while the bot speaks"), "red")
        elif self.erle_db is not None:
            good = self.erle_db >= 12
            text.append("  ● ", "green" if good else "yellow").append(
                tr("echo −{db:.0f} dB").format(db=self.erle_db), "dim"
            )
        if self.news:
            text.append(f"  {self.news}", "yellow")
        elif self.devices:
            text.append(f"  {self.devices}", "dim")
        text.truncate(width, overflow="ellipsis")
        return text


def state_of(entry: Entry) -> tuple[object, ...]:
    """What the line of an entry depends on: as long as it is the same, the line is.

    Args:
        entry: The entry.
    """
    match entry:
        case UserSaid():
            return (entry.text, entry.backchannel)
        case BotSaid():
            return (len(entry.text), len(entry.heard), len(entry.unspoken), entry.spoken, entry.interrupted)
        case ToolUsed():
            return (entry.name, entry.result is None)
        case _:
            return ()


def line_of(entry: Entry) -> Text | None:
    """One entry of the transcript for a person.

    Args:
        entry: The entry.

    Returns:
        The line, or None if there is nothing to show.
    """
    match entry:
        case UserSaid():
            aside = tr("(in passing)") if entry.backchannel else ""
            return Text.assemble((_label(tr("you")), "bold cyan"), harmless(entry.text), (f"  {aside}", "dim"))
        case BotSaid():
            said = reply_line(entry)
            return Text.assemble((_label(tr("bot")), "bold green"), said) if said else None
        case ToolUsed():
            called = f"{entry.name}({_arguments(entry.arguments)})"
            if entry.result is None:
                return Text(f"     {harmless(called)} …", "magenta")
            failed = isinstance(entry.result, dict) and "error" in entry.result
            told = harmless(f"{called} → {entry.result}", longest=400)
            return Text(f"     {told}", "red" if failed else "magenta")
        case Prompt():
            return Text(f"     {tr('the bot is told')}: {harmless(entry.text)}", "dim")
        case Problem():
            return Text(f"     {harmless(entry.message)}", "yellow")


def _arguments(arguments: object) -> str:
    if isinstance(arguments, dict):
        return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return str(arguments)


def _label(name: str) -> str:
    return name + " " * max(1, LABEL_COLUMNS - cell_len(name))


def _meter(name: str, db: float, mark: str, width: int, style: str) -> Text:
    label = f"{name} "
    room = max(3, min(24, width - cell_len(label) - 10))
    full = (db - _FLOOR_DB) / -_FLOOR_DB * room
    whole = int(full)
    bar = "█" * whole + (_BARS[int((full - whole) * 8)] if whole < room else "")
    loud = style if db < -3 else "red"
    track = "·" * (room - len(bar.rstrip()))
    text = Text.assemble((label, "dim"), (bar.rstrip(), loud), (track, "dim"), (f" {mark}", "bold" if mark else ""))
    text.truncate(width, pad=True)
    return text
