"""The talks of the table: what fails in each, when, and for how long."""

from dataclasses import dataclass

SERVICES = ("ears", "brain", "voice")
PHASES = ("idle", "speech", "answer")
FOR_EVER = 60.0
_DURATIONS = (2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Cell:
    """One talk with one fault.

    Parameters:
        service: What fails, or ``all``.
        fault: A key of ``FAULTS``.
        phase: When it begins: before the user's second turn, in it, or while its answer is awaited.
        secs: How long it lasts.
    """

    service: str
    fault: str
    phase: str
    secs: float

    @property
    def name(self) -> str:
        """For people and ``--only``."""
        lasts = "ever" if self.secs >= FOR_EVER else f"{self.secs:g}s"
        return f"{self.service}-{self.fault}-{self.phase}-{lasts}"


FAULTS = {
    "old-mute": "connections that are open swallow data, new ones work",
    "mute": "all connections swallow data, and those stay mute",
    "refuse": "all connections are cut, new ones refused",
    "late": "what the server says comes 3 s later",
    "hold": "data stand still both ways and come in one lump at the end",
    "trickle": "what the server says comes at 500 bytes a second",
    "garbage": "what the server says is garbled",
}


def cells() -> list[Cell]:
    """Every talk there is: at least ninety."""
    found = [
        Cell(service, fault, phase, secs)
        for service in SERVICES
        for fault, durations in (
            ("old-mute", (FOR_EVER,)),
            ("mute", _DURATIONS),
            ("refuse", _DURATIONS),
            ("late", _DURATIONS),
            ("hold", (5.0,)),
            ("trickle", (10.0,)),
            ("garbage", (5.0,)),
        )
        for phase in PHASES
        for secs in durations
    ]
    found += [Cell(service, fault, "idle", FOR_EVER) for service in SERVICES for fault in ("mute", "refuse")]
    return found + [
        Cell("all", fault, phase, secs) for fault in ("mute", "refuse") for phase in PHASES for secs in (5.0, 10.0)
    ]
