"""The screen itself: a Textual application that shows a view and passes keys on."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from halfcascade.bot.controls import Choice, Controls
from halfcascade.bot.hanging import hanging
from halfcascade.bot.screen.view import View, line_of, state_of
from halfcascade.lines import tr

# Four pictures a second are smooth enough for a meter, and cost little.
_TICK_SECS = 0.25
# A key that is held repeats about thirty times a second, after a first pause of up to half a second.
_HELD_FIRST_SECS, _HELD_SECS = 0.7, 0.25
_MOUNTED = 200


class Help(ModalScreen[None]):
    """What the keys do; any key closes it."""

    def compose(self) -> ComposeResult:
        """Write the page."""
        keys = [
            ("m", tr("close or open the microphone")),
            (tr("space"), tr("while muted: talk as long as it is held")),
            ("t", tr("type; so does simply beginning to")),
            ("i", tr("interrupt the bot")),
            ("r", tr("hear the last reply again")),
            ("d", tr("choose devices")),
            ("q", tr("end; so does Ctrl-C")),
        ]
        text = Text()
        for key, does in keys:
            text.append(f" {key:<6}", "bold").append(f"{does}\n")
        yield Static(text, id="help")

    def on_key(self, event: events.Key) -> None:
        """Close.

        Args:
            event: Any key.
        """
        event.stop()
        self.dismiss(None)


class DevicePicker(ModalScreen[Choice | None]):
    """A list of microphones and loudspeakers.

    Args:
        choices: The devices.
    """

    AUTO_FOCUS = "OptionList"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, choices: list[Choice]):
        super().__init__()
        self._choices = choices

    def compose(self) -> ComposeResult:
        """List them."""
        nouns = {"input": tr("mic"), "output": tr("bot")}
        yield OptionList(
            *(Option(Text(f"{nouns[each.direction]}  {each.name}"), id=str(n)) for n, each in enumerate(self._choices)),
            id="devices",
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take the one that was chosen.

        Args:
            event: Names it.
        """
        self.dismiss(self._choices[int(event.option_id or 0)])


@dataclass
class _Line:
    """An entry of the transcript on the screen.

    Parameters:
        state: What the line was made of.
        plain: Its letters.
        shown: Its widget.
    """

    state: tuple[object, ...]
    plain: str
    shown: Static

    def update(self, state: tuple[object, ...], text: Text | None) -> bool:
        """Show it anew, and tell whether what stands below may move.

        Words that have been heard only change their colour, several times a second: nothing is laid out for that.
        """
        plain = text.plain if text else ""
        moves = plain != self.plain
        self.state, self.plain = state, plain
        self.shown.update(text or "", layout=moves)
        if moves:
            self.shown.display = text is not None
        return moves


class TalkApp(App[None]):
    """Shows one talk.

    Args:
        view: What to show.
        controls: What to do on keys.
        stats: Gives the transport's counters.
    """

    ENABLE_COMMAND_PALETTE = False
    AUTO_FOCUS = None
    CSS = """
    Screen { layers: base; }
    #words { height: 1fr; scrollbar-size-vertical: 1; scrollbar-gutter: stable; }
    #words Static { width: 100%; }
    #title, #meters, #stages, #state, #keys, #interim { height: 1; text-wrap: nowrap; }
    #title, #keys { color: $foreground; text-style: dim; }
    #typed { display: none; height: 1; border: none; padding: 0; }
    #typed.open { display: block; }
    .small #title, .small #keys { display: none; }
    Help, DevicePicker { align: center middle; }
    #help, #devices { width: auto; max-width: 90%; height: auto; max-height: 90%; padding: 0 1; }
    #help, #devices { border: round $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c", "end", show=False, priority=True),
        Binding("ctrl+q", "end", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", show=False, priority=True),
    ]

    def __init__(self, view: View, controls: Controls, stats: Callable[[], Mapping[str, Any]] = dict):
        super().__init__(ansi_color=True)
        self.theme = "ansi-dark"
        self._view = view
        self._controls = controls
        self._stats = stats
        self._lines: dict[int, _Line] = {}
        self._held_until = 0.0
        self._mode_muted = False
        self._drawn: dict[str, Text] = {}
        self.work_secs = 0.0
        """Processor time that drawing took so far, for measuring it."""

    def compose(self) -> ComposeResult:
        """Lay the screen out."""
        yield Static(self._view.title, id="title")
        yield VerticalScroll(id="words", can_focus=False)
        yield Static("", id="interim")
        yield Static("", id="meters")
        yield Static("", id="stages")
        yield Static("", id="state")
        yield Input(id="typed", placeholder=tr("type, Enter sends, Esc leaves"), compact=True, select_on_focus=False)
        yield Static(Text(tr("m mute  space talk  t type  i interrupt  r repeat  d devices  ? help  q end")), id="keys")

    def on_mount(self) -> None:
        """Begin to draw."""
        self.set_interval(_TICK_SECS, self.tick)
        self.tick()

    def on_resize(self, event: events.Resize) -> None:
        """Leave out what has no room.

        Args:
            event: The new size.
        """
        self.screen.set_class(event.size.height < 16 or event.size.width < 60, "small")
        self._view.changed = True

    def on_key(self, event: events.Key) -> None:
        """Act on a key; any other letter begins a typed turn.

        Args:
            event: The key.
        """
        if isinstance(self.screen, ModalScreen):
            return
        typed = self.query_one("#typed", Input)
        if typed.has_class("open"):
            if event.key == "escape":
                self._close_input()
            elif self.focused is not typed and event.character and event.is_printable:
                # Keys that come faster than the focus moves belong to the line too.
                typed.insert_text_at_cursor(event.character)
            return
        action = _KEYS.get(event.key) or _KEYS.get(event.character or "")
        event.stop()
        event.prevent_default()
        if action:
            self.run_worker(getattr(self, f"action_{action}")(), exit_on_error=False)
        elif event.character and event.is_printable:
            self._open_input(event.character)

    def on_paste(self, event: events.Paste) -> None:
        """Begin a typed turn with what is pasted.

        Args:
            event: The text.
        """
        if not self.query_one("#typed", Input).has_class("open"):
            self._open_input(" ".join(event.text.split()))

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send what was typed.

        Args:
            event: The text.
        """
        text = event.value
        self._close_input()
        await self._controls.type(text)

    async def action_mute(self) -> None:
        """Close or open the microphone."""
        self._mode_muted = not self._mode_muted
        self._controls.mute(self._mode_muted)
        self._view.changed = True

    async def action_talk(self) -> None:
        """While muted: open the microphone for as long as the key repeats."""
        if self._mode_muted:
            now = time.monotonic()
            self._held_until = now + (_HELD_SECS if now < self._held_until else _HELD_FIRST_SECS)
            self._controls.mute(False)

    async def action_type(self) -> None:
        """Open the line for typing."""
        self._open_input("")

    async def action_interrupt(self) -> None:
        """Have the bot fall silent."""
        await self._controls.interrupt()

    async def action_repeat(self) -> None:
        """Hear the last reply again."""
        await self._controls.repeat()

    async def action_devices(self) -> None:
        """Choose devices."""
        choices = await self._controls.devices()
        if not choices:
            self._view.news = tr("There are no devices to choose here.")
            self._view.changed = True
        elif choice := await self.push_screen_wait(DevicePicker(choices)):
            self._controls.use(choice)

    async def action_help(self) -> None:
        """Show what the keys do."""
        await self.push_screen(Help())

    async def action_end(self) -> None:
        """End the talk in order."""
        self._controls.end()

    def tick(self) -> None:
        """Draw what has changed."""
        begun = time.thread_time()
        if self._mode_muted and not self._controls.muted and time.monotonic() > self._held_until:
            self._controls.mute(True)
        view, width = self._view, self.size.width
        holding = self._mode_muted and not self._controls.muted
        self._draw("meters", view.meters(width, muted=self._mode_muted, holding=holding))
        if view.changed:
            view.changed = False
            with suppress(Exception):  # counters that cannot be read now can be a moment later
                view.transport(self._stats())
            self._draw("interim", view.heard_now())
            self._draw("stages", view.stages(width))
            self._draw("state", view.state(width))
            self._draw_words()
        self.work_secs += time.thread_time() - begun

    def _draw(self, name: str, text: Text) -> None:
        if self._drawn.get(name) != text:
            self._drawn[name] = text
            with suppress(LookupError):
                # One line stays one line: nothing around it moves.
                self.screen_stack[0].query_one(f"#{name}", Static).update(text, layout=False)

    def _draw_words(self) -> None:
        area = self.screen_stack[0].query_one("#words", VerticalScroll)
        lines = dict(self._view.lines(_MOUNTED))
        at_end = area.max_scroll_y - area.scroll_y < 3
        new, moved = [], False
        width = self.size.width - 1
        for index in self._lines.keys() - lines.keys():
            self._lines.pop(index).shown.remove()
        for index, entry in lines.items():
            state = (id(entry), width, *state_of(entry))
            line = self._lines.get(index)
            if line and line.state == state:
                continue
            text = hanging(said, width) if (said := line_of(entry)) else None
            if line:
                moved |= line.update(state, text)
            elif text is not None:
                line = self._lines[index] = _Line(state, text.plain, Static(text))
                new.append(line.shown)
        if new:
            area.mount(*new)
        if new or (at_end and moved):
            area.scroll_end(animate=False)

    def _open_input(self, text: str) -> None:
        typed = self.query_one("#typed", Input)
        typed.add_class("open")
        typed.value = text
        typed.focus()
        typed.cursor_position = len(text)

    def _close_input(self) -> None:
        typed = self.query_one("#typed", Input)
        typed.remove_class("open")
        typed.value = ""
        self.set_focus(None)


_KEYS = {
    "m": "mute",
    "space": "talk",
    "t": "type",
    "i": "interrupt",
    "r": "repeat",
    "d": "devices",
    "q": "end",
    "?": "help",
    "question_mark": "help",
}


async def run_screen(app: TalkApp, over: asyncio.Event) -> None:
    """Show a talk until it is over.

    Args:
        app: The screen.
        over: Set when the talk has ended.
    """
    running = asyncio.create_task(app.run_async(mouse=False), name="screen")
    waiting = asyncio.create_task(over.wait(), name="screen over")
    try:
        await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            app.exit()
        await asyncio.wait({running}, timeout=3.0)
    finally:
        for task in (running, waiting):
            task.cancel()
        await asyncio.gather(running, waiting, return_exceptions=True)
