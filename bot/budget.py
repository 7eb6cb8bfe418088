"""A talk that may cost only so much: it warns, then ends politely."""

import asyncio
from collections.abc import Callable

from halfcascade.bot.money import Bill
from halfcascade.bot.session.events import Event, EventType
from halfcascade.bot.session.hub import EventHub

WARN_AT = 0.8
"""Part of the budget at which it warns."""

BUDGET_SPENT = "budget spent"
"""Why a talk ended whose budget was spent."""

_BUSY = (EventType.TURN_SENT, EventType.REPLY_STARTED, EventType.SPEAKING_STARTED)
_QUIET = (EventType.SPEAKING_STOPPED, EventType.INTERRUPTED)


class BudgetGuard:
    """Compares what a talk has cost with what it may cost.

    Attributes:
        quiet: Set while no answer is owed or spoken.

    Args:
        usd: What it may cost, in US dollars.
        hub: Where usage is counted, and where it is told.
        end: Called once, when all is spent.
    """

    def __init__(self, usd: float, hub: EventHub, end: Callable[[], None]):
        self._usd = usd
        self._hub = hub
        self._end = end
        self._told = 0.0
        self.quiet = asyncio.Event()
        self.quiet.set()

    def on_event(self, event: Event) -> None:
        """Take an event.

        Args:
            event: Any event.
        """
        if event.type in _BUSY:
            self.quiet.clear()
        elif event.type in _QUIET:
            self.quiet.set()
        if event.type is not EventType.USAGE:
            return
        bill: Bill = self._hub.metrics.bill()
        reached = max((part for part in (WARN_AT, 1.0) if bill.usd >= part * self._usd), default=0.0)
        if reached <= self._told:
            return
        self._told = reached
        state = "spent" if reached == 1.0 else "warning"
        self._hub.emit(EventType.BUDGET, state=state, usd=round(bill.usd, 6), budget_usd=self._usd)
        if state == "spent":
            self._end()
