"""A terminal that shows a talk on its whole screen, and is told in lines before and after it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loguru import logger
from rich.console import Console

from halfcascade.bot.harmless import harmless
from halfcascade.bot.screen.view import Levels, View
from halfcascade.bot.terminal import Terminal

if TYPE_CHECKING:
    from halfcascade.bot.controls import Controls
    from halfcascade.bot.session.folder import Session


class ScreenTerminal(Terminal):
    """Shows a talk with meters, stages and keys.

    Args:
        slow_secs: Latency above which the stages are shown in red.
        console: Where to print before and after the talk.
    """

    def __init__(self, *, slow_secs: float = 1.5, console: Console | None = None):
        super().__init__(console)
        self._slow_secs = slow_secs
        self._levels = Levels()
        self._view: View | None = None
        self.taps = (self._levels,)
        self.modules = ("halfcascade.bot.screen.app",)
        self.work_secs = 0.0
        """Processor time that drawing took, for measuring it."""

    def say(self, text: str, style: str = "") -> None:
        """Print a line; during the talk it is shown as news.

        Args:
            text: One line, free of secrets.
            style: A rich style.
        """
        if self._view:
            self._view.news, self._view.changed = harmless(text), True
        else:
            super().say(text, style)

    @asynccontextmanager
    async def watching(self, session: "Session", controls: "Controls") -> AsyncIterator[None]:
        """Show a talk, and let the person act on it, while the block runs.

        Args:
            session: Whose events to show.
            controls: What the person can do.

        Yields:
            Nothing.
        """
        from halfcascade.bot.screen.app import TalkApp, run_screen

        view = View(session, self._levels, self._slow_secs, title=session.headline)
        app, over = TalkApp(view, controls, session.transport_stats), asyncio.Event()
        session.listen(view.apply)
        self._view = view
        screen = asyncio.create_task(run_screen(app, over), name="screen")
        screen.add_done_callback(_report)
        try:
            yield
        finally:
            over.set()
            await asyncio.gather(screen, return_exceptions=True)
            self._view = None
            self.work_secs = app.work_secs
            logger.info(f"The screen took {app.work_secs:.2f} s of processor time.")
            # The screen is gone with its words; they are left on the terminal in lines.
            self.tell(session)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        # A terminal that is gone costs the picture, not the talk.
        logger.error(f"The screen ended: {error!r}.")


def has_screen() -> bool:
    """Whether there is a terminal that can show more than lines, and what shows it is installed."""
    import importlib.util

    interactive = sys.stdout.isatty() and sys.stdin.isatty()
    capable = os.environ.get("TERM", "") not in ("", "dumb", "unknown")
    return interactive and capable and importlib.util.find_spec("textual") is not None
