"""Faults that the emulator injects, as data, so that clients can be tested against what goes wrong at Google.

A ``Fault`` says to which API it happens, what happens, when, and to how many streams::

    Faults([
        Fault("speech", "drop", after_bytes=64_000),                     # the stream breaks once
        Fault("tts", "error", code="RESOURCE_EXHAUSTED", times=2),       # two streams are refused
    ])

The gRPC shells ask ``Faults.take(api)`` once per stream for what shall happen to it. Live's connections carry many
turns, so their faults name turns and phases: ``Faults(live=LiveFaults(...))``, see
``halfcascade.emulator.live.faults``. Faults may be added while the emulator runs.
"""

from dataclasses import dataclass, field
from typing import Literal

from halfcascade.emulator.live.faults import LiveFaults

Api = Literal["speech", "tts", "live", "generate"]
FaultKind = Literal["drop", "error", "stall", "mute"]


@dataclass
class Fault:
    """One thing that goes wrong.

    Parameters:
        api: Where; ``live`` has its own faults.
        kind: ``drop``: the connection breaks (gRPC UNAVAILABLE). ``error``: the API answers with ``code`` and
            ``message``. ``stall``: nothing is sent for ``seconds``, then all goes on. ``mute``: nothing more is ever
            sent, the stream stays open.
        at: Seconds after the stream began; None = not by time.
        after_bytes: Once the client has sent (speech) or been sent (tts) so many bytes of audio; None = not by
            bytes. With neither ``at`` nor ``after_bytes`` it happens at once.
        after_text: Once the client has sent so many inputs (tts); None = not by that.
        code: gRPC status name such as ``UNAVAILABLE``.
        message: Error text; empty = what the real service says for that code.
        seconds: How long a stall lasts.
        times: How many streams it happens to; -1 = every one.
        skip: How many streams of the API are left alone first.
    """

    api: Api
    kind: FaultKind
    at: float | None = None
    after_bytes: int | None = None
    after_text: int | None = None
    code: str = ""
    message: str = ""
    seconds: float = 0.0
    times: int = 1
    skip: int = 0

    def due(self, elapsed: float, sent_bytes: int = 0, texts: int = 0) -> bool:
        """Tell whether it is time.

        Args:
            elapsed: Seconds since the stream began.
            sent_bytes: Bytes of audio so far.
            texts: Inputs or turns so far.

        Returns:
            True once every condition that was set is met.
        """
        return (
            (self.at is None or elapsed >= self.at)
            and (self.after_bytes is None or sent_bytes >= self.after_bytes)
            and (self.after_text is None or texts >= self.after_text)
        )


@dataclass
class Faults:
    """The faults that are still to happen.

    Parameters:
        pending: Of the gRPC APIs, in the order in which they are considered.
        live: Of Gemini Live.
    """

    pending: list[Fault] = field(default_factory=list)
    live: LiveFaults = field(default_factory=LiveFaults)

    def add(self, fault: Fault) -> None:
        """Let one more thing go wrong, from the next stream on."""
        self.pending.append(fault)

    def take(self, api: Api) -> list[Fault]:
        """Take what shall happen to a stream that begins now.

        Args:
            api: The stream's API.

        Returns:
            Its faults; each counts as used once.
        """
        taken = []
        for fault in [fault for fault in self.pending if fault.api == api]:
            if fault.skip > 0:
                fault.skip -= 1
                continue
            taken.append(fault)
            if fault.times > 0:
                fault.times -= 1
            if fault.times == 0:
                self.pending.remove(fault)
        return taken
