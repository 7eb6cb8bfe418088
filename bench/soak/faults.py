"""What goes wrong in a day, and when, from a seed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

KINDS = (
    "ears refuse",
    "ears break",
    "ears mute",
    "ears late",
    "brain drop",
    "brain refuse",
    "brain mute",
    "brain goaway",
    "brain forget",
    "voice refuse",
    "voice break",
    "voice late",
)
FAULT_EVERY_SECS = 60.0
_QUIET_END_SECS = 15.0
_LAST_SECS = (0.3, 6.0)


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong for a while.

    Parameters:
        kind: One of ``KINDS``.
        begin: In seconds from the beginning of the talk.
        end: When it is over.
    """

    kind: str
    begin: float
    end: float


class Faults:
    """The faults of a talk.

    Args:
        planned: All of them, in order.
    """

    def __init__(self, planned: Iterable[Fault]):
        self.planned = list(planned)
        self._ahead = list(reversed(self.planned))
        self._now: list[Fault] = []

    def active(self, kind: str, now: float) -> Fault | None:
        """The fault of a kind that lasts at a moment; moments only go forward.

        Args:
            kind: One of ``KINDS``.
            now: Seconds from the beginning of the talk.
        """
        while self._ahead and self._ahead[-1].begin <= now:
            self._now.append(self._ahead.pop())
        self._now = [fault for fault in self._now if fault.end > now]
        return next((fault for fault in self._now if fault.kind == kind), None)


def plan(secs: float, seed: int, every_secs: float = FAULT_EVERY_SECS) -> Iterator[Fault]:
    """Choose what goes wrong.

    Args:
        secs: How long the talk is.
        seed: Decides everything.
        every_secs: How often, on average.

    Yields:
        Faults, in order.
    """
    random, at = Random(seed), 0.0
    while (at := at + every_secs * random.uniform(0.3, 1.7)) < secs - _QUIET_END_SECS:
        yield Fault(random.choice(KINDS), at, at + random.uniform(*_LAST_SECS))
